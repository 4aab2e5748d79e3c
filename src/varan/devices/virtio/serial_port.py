"""The ports of a virtio serial device as devices of their own, and the bus that they sit on."""

from __future__ import annotations

from typing import ClassVar

from varan.api.events import VserportChange
from varan.chardev.base import Chardev, ChardevError
from varan.core.properties import Property
from varan.devices.bus import AtOnce, Bus
from varan.devices.environment import Environment
from varan.devices.pluggable import PluggableDevice
from varan.devices.virtio.console import Port, VirtioConsole
from varan.devices.virtio.console_link import ConsoleLink
from varan.errors import GenericError

AUTO = 0xFFFFFFFF
"""Setting's value: the next number that is free."""


class VirtioSerialBus(Bus):
    """The ports of one device, which come and go as they like."""

    type_name = "virtio-serial-bus"
    abstract = False

    def __init__(self, console: VirtioConsole) -> None:
        super().__init__()
        self.console = console
        self.hotplug = AtOnce()

    @property
    def full(self) -> bool:
        return len(self.console.ports) >= self.console.max_ports

    def choose_number(self, wanted: int, name: str, *, is_console: bool) -> int:
        """The number of a further port. Number 0 is a console's. Raises GenericError when it cannot be had."""
        ports = self.console.ports
        if name and any(port.name == name for port in ports.values()):
            raise GenericError(f"virtio-serial-bus: A port already exists by name {name}")
        if wanted == AUTO:
            first = 0 if is_console and 0 not in ports else 1
            wanted = next(number for number in range(first, self.console.max_ports + 2) if number not in ports)
            if wanted >= self.console.max_ports:
                raise GenericError("virtio-serial-bus: Maximum port limit for this device reached")
        if wanted in ports:
            raise GenericError(f"virtio-serial-bus: A port already exists at id {wanted}")
        if wanted >= self.console.max_ports:
            highest = self.console.max_ports - 1
            raise GenericError(f"virtio-serial-bus: Out-of-range port id specified, max. allowed: {highest}")
        return wanted


class VirtioSerialPort(PluggableDevice):
    """A byte stream with a name, for programs in the guest."""

    type_name = "virtserialport"
    abstract = False
    description = "port of a virtio serial device"
    bus_type = "virtio-serial-bus"
    is_console: ClassVar[bool] = False
    properties = (
        Property("chardev", "str", "ID of a chardev to use as a backend", default=""),
        Property("nr", "uint32", "the port's number", default=AUTO),
        Property("name", "str", "the name by which the guest finds it", default=""),
    )
    _chardev: Chardev | None = None
    _link: ConsoleLink

    async def acquire(self, environment: Environment) -> None:
        self._chardev = self.find_end(environment, "chardev")
        if not self.is_console and self.settings["nr"] == 0:
            raise GenericError(
                "Port number 0 on virtio-serial devices reserved for virtconsole devices for backward compatibility."
            )

    def realize(self, environment: Environment, bus: VirtioSerialBus) -> None:
        name = self.settings["name"]
        number = bus.choose_number(self.settings["nr"], name, is_console=self.is_console)
        self._environment, self._console, self._number = environment, bus.console, number
        link = self._link = ConsoleLink(environment.lock, environment.post, self._guest_opened)
        bus.console.add_port(Port(number, link, name=name, is_console=self.is_console))
        link.connect(bus.console, number)
        if self._chardev is not None:
            try:
                link.attach(self._chardev)
            except ChardevError:
                self.unrealize()
                raise self.end_in_use("chardev", self._chardev.id) from None
        self.settle(nr=number)

    def _guest_opened(self, opened: bool) -> None:
        if self.id:
            self._environment.emit(VserportChange(id=self.id, open=opened))

    def unrealize(self) -> None:
        self._link.disconnect()
        self._link.detach()
        self._console.remove_port(self._number)


class VirtConsole(VirtioSerialPort):
    """A port that the guest may use as its console."""

    type_name = "virtconsole"
    description = "console port of a virtio serial device"
    is_console = True
