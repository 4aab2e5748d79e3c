"""Virtio consoles with room for several ports, as types of `-device`."""

from __future__ import annotations

from varan.core.properties import Property
from varan.devices.environment import Environment
from varan.devices.virtio import console as c
from varan.devices.virtio.backend import VirtioBackend
from varan.devices.virtio.bus import VirtioBus
from varan.devices.virtio.pci import VirtioPciDevice
from varan.devices.virtio.serial_port import VirtioSerialBus
from varan.errors import GenericError


class VirtioSerialDevice(VirtioBackend):
    """The device with the bus for its ports."""

    type_name = "virtio-serial-device"
    abstract = False
    description = "virtio serial device, on a virtio bus, with a bus for its ports"
    properties = (
        Property("max_ports", "uint32", "how many ports there is room for", default=31),
        Property("emergency-write", "bool", "offer to take a character without a queue", default=True),
    )
    core: c.VirtioConsole

    async def acquire(self, environment: Environment) -> None:
        await super().acquire(environment)
        if not 1 <= self.settings["max_ports"] <= c.MOST_PORTS:
            raise GenericError(f"maximum ports supported: {c.MOST_PORTS}")

    def realize(self, environment: Environment, bus: VirtioBus) -> None:
        super().realize(environment, bus)
        self._ports = VirtioSerialBus(self.core)
        id = self.asked_for.id
        self.add_child(f"{id}.0" if id else "virtio-serial-bus.0", self._ports)

    def make_core(self, environment: Environment) -> c.VirtioConsole:
        emergency = c.F_EMERGENCY_WRITE if self.settings["emergency-write"] else 0
        return c.VirtioConsole(environment.memory, self.settings["max_ports"], features=self.ring_features | emergency)

    def unrealize(self) -> None:
        super().unrealize()
        self._ports.remove_from_parent()

    def loaded(self) -> None:
        self.core.tell_host_ends()


class VirtioSerialPci(VirtioPciDevice):
    """The same on PCI."""

    type_name = "virtio-serial-pci"
    abstract = False
    description = "virtio serial device, with a bus for its ports"
    class_code = 0x078000
    transitional_id = 0x1003
    backend_type = VirtioSerialDevice


class VirtioSerialPciTransitional(VirtioSerialPci):
    """The same thing by its exact name."""

    type_name = "virtio-serial-pci-transitional"


class VirtioSerialPciNonTransitional(VirtioSerialPci):
    """Without the legacy interface."""

    type_name = "virtio-serial-pci-non-transitional"
    modern_only = True
