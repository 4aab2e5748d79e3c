"""`virtio-mmio`: memory-mapped registers with a bus for a virtio device, at addresses where a PC has nothing else."""

from __future__ import annotations

from typing import Any

from varan.core.properties import Property
from varan.core.state import Device
from varan.devices.acpi.identity import AcpiIdentity
from varan.devices.environment import Environment
from varan.devices.system import SystemDevice
from varan.devices.virtio.bus import VirtioBus
from varan.devices.virtio.device import AnyVirtioDevice
from varan.devices.virtio.mmio import SIZE, VirtioMmio
from varan.errors import GenericError, InvalidParameterValue

FIRST_ADDRESS, LAST_ADDRESS = 0xFED60000, 0xFED7FFFF
"""Where transports without an address of their own are put: above the event timers, outside PCI's windows."""
GSIS = range(16, 20)
"""Their interrupts, in turn: inputs of the I/O APIC that no ISA device and no PCI link has."""
HIGHEST_GSI = 23
ADDRESS_END = 1 << 32


class VirtioMmioBus(VirtioBus):
    """Behind memory-mapped registers."""

    type_name = "virtio-mmio-bus"
    abstract = False

    def __init__(self, transport: VirtioMmio) -> None:
        super().__init__()
        self._transport = transport

    def connected(self, core: AnyVirtioDevice) -> None:
        super().connected(core)
        self._transport.connect(core)

    def disconnected(self) -> None:
        super().disconnected()
        self._transport.connect(None)


class VirtioMmioDevice(SystemDevice):
    """The transport of the device on its bus. Guests learn of it by ACPI."""

    type_name = "virtio-mmio"
    abstract = False
    description = "virtio transport with memory-mapped registers, and a bus for a device"
    properties = (
        Property("addr", "uint32", "physical address of its registers, 0 for the next that is free", default=0),
        Property("irq", "uint32", "its global system interrupt, 0 for the next of 16 to 19", default=0),
    )

    @property
    def firmware_name(self) -> str:
        return f"virtio-mmio@{self._base:016x}"

    def realize(self, environment: Environment, bus: Any) -> None:
        number = sum(isinstance(other, VirtioMmioDevice) for other in bus.devices)
        gsi = self.settings["irq"] or GSIS[number % len(GSIS)]
        if gsi > HIGHEST_GSI:
            raise InvalidParameterValue("irq", f"a global system interrupt up to {HIGHEST_GSI}")
        self._transport = VirtioMmio(environment.gsi(gsi))
        self._memory = environment.memory
        self._base = self._map(self.settings["addr"])
        self.settle(addr=self._base, irq=gsi)
        self._number = number
        self._bus = VirtioMmioBus(self._transport)
        self.add_child(f"{self.id}.0" if self.id else f"virtio-mmio-bus.{number}", self._bus)

    def _map(self, wanted: int) -> int:
        """Show the registers at `wanted`, or at the first free place when it is 0. Raises GenericError."""
        if wanted % SIZE or wanted + SIZE > ADDRESS_END:
            raise InvalidParameterValue("addr", f"a multiple of {SIZE} below 4 GiB")
        places = [wanted] if wanted else range(FIRST_ADDRESS, LAST_ADDRESS, SIZE)
        problem = ""
        for base in places:
            try:
                self._transport.map(self._memory, base)
            except ValueError as error:
                problem = str(error)
            else:
                return base
        raise GenericError(f"{self.type_name}: {problem}")

    def unrealize(self) -> None:
        self._bus.remove_from_parent()
        self._memory.unmap(self._base)

    def details(self) -> list[str]:
        return [f"mmio {self._base:016x}/{SIZE:016x}"]

    def parts(self) -> dict[str, Device[Any]]:
        return {"registers": self._transport}

    def acpi(self) -> tuple[AcpiIdentity, ...]:
        if self._bus.core is None:
            return ()
        place = ((self._base, SIZE),)
        return (
            AcpiIdentity(
                f"VR{self._number:02X}", "LNRO0005", memory=place, gsi=self.settings["irq"], unit=self._number
            ),
        )
