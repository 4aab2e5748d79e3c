"""`isa-debugcon`: a port that takes a debugging guest's output."""

from __future__ import annotations

from typing import Any

from varan.chardev.base import ChardevError
from varan.core.properties import Property
from varan.core.state import Device
from varan.devices.char.debugcon import DebugConsolePort
from varan.devices.environment import Environment
from varan.devices.isa import IsaBus, IsaDevice

DEFAULT_PORT = 0xE9


class IsaDebugcon(IsaDevice):
    """A debug console; guests that look for one read `readback` from its port."""

    type_name = "isa-debugcon"
    abstract = False
    description = "debug console: a port whose bytes go to a chardev"
    properties = (
        Property("iobase", "uint32", "the port", default=DEFAULT_PORT),
        Property("readback", "uint32", "what the port reads as", default=DEFAULT_PORT),
        Property("chardev", "str", "ID of a chardev to use as a backend", default=""),
    )

    async def acquire(self, environment: Environment) -> None:
        self._chardev = self.find_end(environment, "chardev")

    def realize(self, environment: Environment, bus: IsaBus) -> None:
        self._ports = environment.ports
        self._port = DebugConsolePort(environment.lock, self.settings["readback"])
        console = self._port.console
        self.map_ports(bus, self.settings["iobase"], 1, console.read, console.write, self.type_name)
        if self._chardev is not None:
            try:
                self._port.attach(self._chardev)
            except ChardevError:
                self.unrealize()
                raise self.end_in_use("chardev", self._chardev.id) from None

    def unrealize(self) -> None:
        self._ports.unmap(self.settings["iobase"])

    def parts(self) -> dict[str, Device[Any]]:
        return {"console": self._port.console}
