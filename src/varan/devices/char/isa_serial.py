"""`isa-serial`: a serial port of a PC."""

from __future__ import annotations

from typing import Any

from varan.chardev.base import Chardev, ChardevError
from varan.core.properties import Property
from varan.core.state import Device
from varan.devices.acpi.identity import AcpiIdentity
from varan.devices.char.serial import PORTS, SerialPort
from varan.devices.char.uart16550 import BAUD_BASE
from varan.devices.environment import Environment, WakeCause
from varan.devices.isa import IsaBus, IsaDevice
from varan.errors import GenericError, InvalidParameterValue

STANDARD_PORTS = ((0x3F8, 4), (0x2F8, 3), (0x3E8, 4), (0x2E8, 3))
"""I/O base and interrupt of COM1 to COM4."""
BY_INDEX = 0xFFFFFFFF
"""Setting's value: take the standard one of the port's index; as an index: the first that no other port has."""


class IsaSerial(IsaDevice):
    """A 16550A with a chardev at the other end of the cable."""

    type_name = "isa-serial"
    abstract = False
    description = "16550A serial port"
    properties = (
        Property("index", "uint32", "which of COM1 to COM4 (0 to 3)", default=BY_INDEX),
        Property("iobase", "uint32", "first of its eight ports", default=BY_INDEX),
        Property("irq", "uint32", "its interrupt", default=BY_INDEX),
        Property("baudbase", "uint32", "bits a second with a divisor of 1", default=BAUD_BASE),
        Property("wakeup", "bool", "input ends the machine's sleep", default=False),
        Property("chardev", "str", "ID of a chardev to use as a backend", default=""),
    )
    port: SerialPort
    _chardev: Chardev | None = None

    async def acquire(self, environment: Environment) -> None:
        self._chardev = self.find_end(environment, "chardev")

    def realize(self, environment: Environment, bus: IsaBus) -> None:
        index = self._choose_index(bus)
        base, irq = STANDARD_PORTS[index]
        given = self.settings
        base = base if given["iobase"] == BY_INDEX else given["iobase"]
        irq = irq if given["irq"] == BY_INDEX else given["irq"]
        if not given["baudbase"]:
            raise InvalidParameterValue("baudbase", "a positive number")
        self.settle(index=index, iobase=base, irq=irq)
        self.port = SerialPort(
            environment.lock, environment.virtual, environment.timers, *bus.output(irq), given["baudbase"]
        )
        if given["wakeup"]:
            self.port.on_input = lambda: environment.requests.wake(WakeCause.BUTTON)
        self._ports = environment.ports
        uart = self.port.uart
        self.map_ports(bus, base, PORTS, uart.read, uart.write, f"serial{index + 1}")
        if self._chardev is not None:
            try:
                self.attach(self._chardev)
            except GenericError:
                self.unrealize()
                raise

    def _choose_index(self, bus: IsaBus) -> int:
        index: int = self.settings["index"]
        if index == BY_INDEX:
            taken = {port.settings["index"] for port in bus.devices if isinstance(port, IsaSerial)}
            index = next(number for number in range(len(STANDARD_PORTS) + 1) if number not in taken)
        if index >= len(STANDARD_PORTS):
            raise GenericError(f"Max. supported number of ISA serial ports is {len(STANDARD_PORTS)}.")
        return index

    def attach(self, chardev: Chardev) -> None:
        """Connect the cable to `chardev`. On the loop. Raises GenericError when somebody else uses it."""
        try:
            self.port.attach(chardev)
        except ChardevError:
            raise self.end_in_use("chardev", chardev.id) from None
        self.settings = {**self.settings, "chardev": chardev.id}

    def unrealize(self) -> None:
        self._ports.unmap(self.settings["iobase"])

    def acpi(self) -> tuple[AcpiIdentity, ...]:
        unit, ports = self.settings["index"] + 1, ((self.settings["iobase"], PORTS),)
        return (AcpiIdentity(f"COM{unit}", "PNP0501", ports, self.settings["irq"], unit),)

    def parts(self) -> dict[str, Device[Any]]:
        return {"uart": self.port.uart}

    def loaded(self) -> None:
        self.port.resync()
