"""Virtio devices on PCI: what they share as types of `-device`.

A device type derives `VirtioPciDevice`, makes its core, and has three names: NAME-pci, which speaks both interfaces,
NAME-pci-transitional, which is the same thing, and NAME-pci-non-transitional, which only speaks the modern one.
"""

from __future__ import annotations

from typing import Any, ClassVar

from varan.core.properties import Property
from varan.core.state import Device
from varan.devices.environment import Environment
from varan.devices.pci.bar import Bar
from varan.devices.pci.device import PciDevice
from varan.devices.pci.function import PciFunction
from varan.devices.pci.layout import Identity
from varan.devices.pci.msix import MOST_VECTORS, MsixTable
from varan.devices.virtio import pci_registers as r
from varan.devices.virtio.device import AnyVirtioDevice
from varan.devices.virtio.features import RING_EVENT_IDX, RING_INDIRECT_DESC, RING_PACKED
from varan.devices.virtio.pci_window import WindowFunction
from varan.errors import GenericError

VENDOR = 0x1AF4
MODERN_DEVICE = 0x1040
"""Device id of virtio device number 0; the others follow."""
MODERN_SUBSYSTEM = 0x1100
LEGACY_BAR, MSIX_BAR, MODERN_BAR = 0, 1, 4
AUTO_VECTORS = 0xFFFFFFFF
"""Setting's value: as many as the device can use."""


class VirtioPciDevice(PciDevice):
    """See the module's text. Subclasses set `class_code`, and `transitional_id` where the device is that old."""

    type_name = "virtio-pci"
    class_code: ClassVar[int]
    """Base class, subclass and programming interface."""
    transitional_id: ClassVar[int | None] = None
    modern_only: ClassVar[bool] = False
    properties: ClassVar[tuple[Property, ...]] = (
        Property("disable-legacy", "OnOffAuto", "no legacy interface", default="auto", choices=("on", "off", "auto")),
        Property("disable-modern", "bool", "no interface of VIRTIO 1", default=False),
        Property("vectors", "uint32", "MSI-X vectors, 0 for none", default=AUTO_VECTORS),
        Property("packed", "bool", "offer packed virtqueues", default=False),
        Property("event_idx", "bool", "offer event indices", default=True),
        Property("indirect_desc", "bool", "offer indirect descriptors", default=True),
        Property("iommu_platform", "bool", "not available: there is no IOMMU", default=False),
    )
    core: AnyVirtioDevice
    registers: r.VirtioPciRegisters
    _msix: MsixTable | None = None

    def make_core(self, environment: Environment) -> AnyVirtioDevice:
        """The device itself. Raises VaranError."""
        raise NotImplementedError

    @property
    def ring_features(self) -> int:
        """What the settings offer of the queues' features."""
        given = self.settings
        bits = {"packed": RING_PACKED, "event_idx": RING_EVENT_IDX, "indirect_desc": RING_INDIRECT_DESC}
        return sum(bit for setting, bit in bits.items() if given[setting])

    def make_function(self, environment: Environment) -> PciFunction:
        legacy, modern = self._interfaces()
        core = self.core = self.make_core(environment)
        function = WindowFunction(self._identity(core, legacy), name=self.type_name, interrupt_pin=1)
        vectors = self.settings["vectors"]
        if vectors == AUTO_VECTORS:
            vectors = len(core.queues) + 1
        if vectors > MOST_VECTORS:
            raise GenericError(f"{self.type_name}: MSI-X has up to {MOST_VECTORS} vectors, not {vectors}")
        if vectors:
            self._msix = MsixTable(function, vectors, MSIX_BAR)
        registers = self.registers = r.VirtioPciRegisters(core, function, self._msix, legacy=legacy)
        if legacy:
            bar = Bar("io", r.LEGACY_SIZE, registers.read_port, registers.write_port, name=f"{self.type_name} legacy")
            function.add_bar(LEGACY_BAR, bar)
        if modern:
            bar = Bar("mem64", r.MODERN_SIZE, registers.read, registers.write, True, f"{self.type_name} modern")
            function.add_bar(MODERN_BAR, bar)
            for body, mask in r.capabilities(MODERN_BAR):
                offset = function.add_capability(r.CAP_VENDOR, body, mask)
            function.open_window(offset, MODERN_BAR)
        return function

    def _interfaces(self) -> tuple[bool, bool]:
        """Whether there is a legacy and a modern interface. Raises GenericError for what cannot be."""
        given = self.settings
        legacy = given["disable-legacy"] != "on" and not self.modern_only and self.transitional_id is not None
        modern = not given["disable-modern"]
        if given["iommu_platform"]:
            raise GenericError(f"{self.type_name}: iommu_platform=on needs an IOMMU, and the machine has none")
        if not legacy and not modern:
            raise GenericError(f"{self.type_name}: device cannot work as neither modern nor legacy mode is enabled")
        return legacy, modern

    def _identity(self, core: AnyVirtioDevice, legacy: bool) -> Identity:
        device = self.transitional_id if legacy else None
        return Identity(
            vendor=VENDOR,
            device=MODERN_DEVICE + core.device_number if device is None else device,
            revision=0 if legacy else 1,
            class_code=self.class_code,
            subsystem_vendor=VENDOR,
            subsystem=core.device_number if legacy else MODERN_SUBSYSTEM,
        )

    def unrealize(self) -> None:
        super().unrealize()
        self.core.forget_memory()

    async def release(self) -> None:
        if self.realized:
            self.core.forget_memory()

    def parts(self) -> dict[str, Device[Any]]:
        parts = super().parts()
        if self._msix is not None:
            parts["msix"] = self._msix
        return {**parts, "registers": self.registers, "virtio": self.core}
