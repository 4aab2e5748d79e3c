"""Virtio devices as types of `-device`, whatever transport shows them to the guest.

`virtio-X-device` sits on a virtio bus. A device of the type `virtio-X-pci` is a transport with such a device in it,
whose settings are its own.
"""

from __future__ import annotations

from typing import Any, ClassVar

from varan.core.properties import Property
from varan.core.state import Device
from varan.devices.environment import Environment
from varan.devices.pluggable import PluggableDevice
from varan.devices.virtio.bus import VirtioBus
from varan.devices.virtio.device import AnyVirtioDevice
from varan.devices.virtio.features import RING_EVENT_IDX, RING_INDIRECT_DESC, RING_PACKED
from varan.errors import GenericError


class VirtioBackend(PluggableDevice):
    """See the module's text. Subclasses make their register core in `make_core`."""

    type_name = "virtio-device"
    bus_type = "virtio-bus"
    properties: ClassVar[tuple[Property, ...]] = (
        Property("packed", "bool", "offer packed virtqueues", default=False),
        Property("event_idx", "bool", "offer event indices", default=True),
        Property("indirect_desc", "bool", "offer indirect descriptors", default=True),
        Property("iommu_platform", "bool", "not available: there is no IOMMU", default=False),
    )
    core: AnyVirtioDevice
    whole: PluggableDevice | None = None
    """The device that the user asked for, when this one is only a part of it."""

    @property
    def asked_for(self) -> PluggableDevice:
        """The device that the user asked for: the one that this is part of, or this one."""
        return self.whole or self

    def settle(self, **values: Any) -> None:
        super().settle(**values)
        if self.whole is not None:
            self.whole.settle(**values)

    def make_core(self, environment: Environment) -> AnyVirtioDevice:
        """The device itself. Raises VaranError."""
        raise NotImplementedError

    @property
    def ring_features(self) -> int:
        """What the settings offer of the queues' features."""
        given = self.settings
        bits = {"packed": RING_PACKED, "event_idx": RING_EVENT_IDX, "indirect_desc": RING_INDIRECT_DESC}
        return sum(bit for setting, bit in bits.items() if given[setting])

    def realize(self, environment: Environment, bus: VirtioBus) -> None:
        if self.settings["iommu_platform"]:
            raise GenericError(f"{self.type_name}: iommu_platform=on needs an IOMMU, and the machine has none")
        self._bus = bus
        self.core = self.make_core(environment)
        bus.connected(self.core)

    def unrealize(self) -> None:
        self._bus.disconnected()
        self.core.forget_memory()

    async def release(self) -> None:
        if self.realized:
            self.core.forget_memory()

    def parts(self) -> dict[str, Device[Any]]:
        return {"virtio": self.core}
