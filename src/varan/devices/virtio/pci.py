"""Virtio devices on PCI: what they share as types of `-device`.

A device type derives `VirtioPciDevice`, names its backend's type, and has three names: NAME-pci, which speaks both
interfaces, NAME-pci-transitional, which is the same thing, and NAME-pci-non-transitional, which only speaks the modern
one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from varan.core.properties import Property
from varan.core.state import Device
from varan.devices.environment import Environment
from varan.devices.pci.bar import Bar
from varan.devices.pci.bus import PciBus
from varan.devices.pci.device import PciDevice
from varan.devices.pci.function import PciFunction
from varan.devices.pci.layout import Identity
from varan.devices.pci.msix import MOST_VECTORS, MsixTable
from varan.devices.pluggable import PluggableDevice
from varan.devices.virtio import pci_registers as r
from varan.devices.virtio.backend import VirtioBackend
from varan.devices.virtio.bus import VirtioPciBus
from varan.devices.virtio.device import AnyVirtioDevice
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
    )
    backend_type: ClassVar[type[VirtioBackend]] = VirtioBackend
    """What is in it. Its settings and other properties are this type's too."""
    registers: r.VirtioPciRegisters
    _msix: MsixTable | None = None

    def __init_subclass__(cls) -> None:
        if "backend_type" in vars(cls):
            cls.properties = (*_shown(cls.backend_type), *vars(cls).get("properties", ()))
        super().__init_subclass__()

    def __init__(self, id: str | None = None, settings: Mapping[str, Any] | None = None) -> None:
        super().__init__(id, settings)
        known = self.backend_type.all_properties()
        given = {name: value for name, value in (settings or {}).items() if name in known}
        self.backend = self.backend_type(settings=given)
        self.backend.whole = self
        self.virtio_bus = VirtioPciBus()
        self.add_child("virtio-bus", self.virtio_bus)
        self.add_child("virtio-backend", self.backend)

    @classmethod
    def made_of(cls) -> tuple[type[PluggableDevice], ...]:
        return (cls.backend_type,)

    @property
    def inner(self) -> tuple[PluggableDevice, ...]:
        return (self.backend,)

    @property
    def core(self) -> AnyVirtioDevice:
        """The backend's, once it is realized."""
        return self.backend.core

    async def acquire(self, environment: Environment) -> None:
        await super().acquire(environment)
        await self.backend.acquire(environment)

    def realize(self, environment: Environment, bus: PciBus) -> None:
        self._interfaces()
        self.backend.hotplugged = self.hotplugged
        self.virtio_bus.plug(self.backend, environment)
        try:
            super().realize(environment, bus)
        except BaseException:
            self.virtio_bus.unplug(self.backend)
            raise

    def make_function(self, environment: Environment) -> PciFunction:
        legacy, modern = self._interfaces()
        core = self.core
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
        self.virtio_bus.unplug(self.backend)

    async def release(self) -> None:
        await self.backend.release()
        await super().release()

    def loaded(self) -> None:
        self.backend.loaded()

    def parts(self) -> dict[str, Device[Any]]:
        parts = super().parts()
        if self._msix is not None:
            parts["msix"] = self._msix
        return {**parts, "registers": self.registers, "virtio": self.core}


def _shown(backend: type[PluggableDevice]) -> tuple[Property, ...]:
    """What a backend of this type adds to what every device has, for the device that it is in."""
    common = PluggableDevice.all_properties()
    return tuple(
        one if one.setting and one.write is None else _passed_on(one)
        for name, one in backend.all_properties().items()
        if name not in common
    )


def _passed_on(one: Property) -> Property:
    read, write = one.read, one.write
    return Property(
        one.name,
        one.type,
        one.description,
        default=one.default,
        choices=one.choices,
        setting=one.setting,
        parse=one.parse,
        read=(lambda device: read(device.backend)) if read is not None else None,
        write=(lambda device, value: write(device.backend, value)) if write is not None else None,
    )
