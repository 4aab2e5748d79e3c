"""pvpanic: a register by which a guest tells that it has crashed.

Source: the pvpanic device specification (bits of the register, its ISA port, its ACPI name QEMU0001).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from varan.api.events import GuestCrashloaded
from varan.api.values import GuestPanicAction
from varan.core.properties import Property
from varan.core.state import Device, State
from varan.devices.acpi.identity import AcpiIdentity
from varan.devices.environment import Environment
from varan.devices.isa import IsaDevice
from varan.errors import GenericError

DEFAULT_PORT = 0x505
PANICKED = 1 << 0
"""The guest crashed and has nothing more to say."""
CRASH_LOADED = 1 << 1
"""The guest crashed and now runs what deals with it."""
EVENTS_PROPERTY = Property("events", "uint8", "which reports the guest may make", default=PANICKED | CRASH_LOADED)


class PvpanicState(State, kw_only=True):
    """Nothing: a report is over when it has been made."""


class Pvpanic(Device[PvpanicState]):
    """The register. `events` says which reports it takes; each calls its callback."""

    state_type = PvpanicState

    def __init__(self, events: int, panicked: Callable[[], None], crash_loaded: Callable[[], None]) -> None:
        super().__init__()
        self._events = events
        self._panicked = panicked
        self._crash_loaded = crash_loaded

    def read(self, offset: int, size: int) -> int:
        return self._events

    def write(self, offset: int, size: int, value: int) -> None:
        reported = value & self._events
        if reported & PANICKED:
            self._panicked()
        elif reported & CRASH_LOADED:
            self._crash_loaded()


def make_core(environment: Environment, events: int) -> Pvpanic:
    """The register with its reports led to the machine."""

    def crash_loaded() -> None:
        environment.emit(GuestCrashloaded(action=GuestPanicAction.RUN))

    return Pvpanic(events, environment.requests.guest_panicked, crash_loaded)


class PvpanicDevice(IsaDevice):
    """`-device pvpanic`."""

    type_name = "pvpanic"
    abstract = False
    description = "port by which the guest reports a crash"
    properties = (Property("ioport", "uint16", "the port", default=DEFAULT_PORT), EVENTS_PROPERTY)

    def realize(self, environment: Environment, bus: Any) -> None:
        self._ports = environment.ports
        self._core = make_core(environment, self.settings["events"])
        try:
            self._ports.map(self.settings["ioport"], 1, self._core.read, self._core.write, name=self.type_name)
        except ValueError as error:
            raise GenericError(f"{self.type_name}: {error}") from None

    def unrealize(self) -> None:
        self._ports.unmap(self.settings["ioport"])

    def acpi(self) -> tuple[AcpiIdentity, ...]:
        return (AcpiIdentity("PEVT", "QEMU0001", ((self.settings["ioport"], 1),)),)

    def parts(self) -> dict[str, Device[Any]]:
        return {"pvpanic": self._core}
