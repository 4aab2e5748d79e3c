"""The iBase 700 watchdog: two ISA ports, one to feed it with a time-out, one to switch it off.

Source: IB700 SBC user manual, "Watchdog timer configuration".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from varan.core.clock import NANOSECONDS, Clock, TimerQueue
from varan.core.ports import PortSpace
from varan.core.state import Device, State
from varan.devices.environment import Environment
from varan.devices.isa import IsaDevice
from varan.errors import GenericError

DISABLE_PORT = 0x441
FEED_PORT = 0x443
LONGEST = 30
"""Seconds that the value 0 stands for; each further one is two seconds less."""
STEP = 2


class Ib700State(State, kw_only=True):
    """`deadline`: when it runs out, in nanoseconds of guest time; None while it is off."""

    deadline: int | None = None


class Ib700(Device[Ib700State]):
    """The timer behind the ports; `expired` is called when it runs out, which switches it off."""

    state_type = Ib700State

    def __init__(self, clock: Clock, timers: TimerQueue, expired: Callable[[], None]) -> None:
        super().__init__()
        self._clock = clock
        self._timer = timers.timer(clock, self._run_out, "ib700")
        self._expired = expired

    def map(self, ports: PortSpace) -> None:
        """Answer at the two ports. Raises ValueError when they are taken."""
        ports.map(DISABLE_PORT, 1, self._read, self._disable, name="ib700-disable")
        try:
            ports.map(FEED_PORT, 1, self._read, self._feed, name="ib700-feed")
        except ValueError:
            ports.unmap(DISABLE_PORT)
            raise

    def unmap(self, ports: PortSpace) -> None:
        """Leave the ports; the timer is off."""
        ports.unmap(DISABLE_PORT)
        ports.unmap(FEED_PORT)
        self._timer.cancel()

    def _read(self, offset: int, size: int) -> int:
        return 0xFF

    def _disable(self, offset: int, size: int, value: int) -> None:
        self.state.deadline = None
        self.restored()

    def _feed(self, offset: int, size: int, value: int) -> None:
        seconds = LONGEST - STEP * (value & 0xF)
        self.state.deadline = self._clock.now() + seconds * NANOSECONDS
        self.restored()

    def _run_out(self) -> None:
        self.state.deadline = None
        self._expired()

    def restored(self) -> None:
        if self.state.deadline is None:
            self._timer.cancel()
        else:
            self._timer.arm(self.state.deadline)


class Ib700Device(IsaDevice):
    """`-device ib700`."""

    type_name = "ib700"
    abstract = False
    description = "iBase 700 watchdog at ports 441h and 443h"

    def realize(self, environment: Environment, bus: Any) -> None:
        self._ports = environment.ports
        self._core = Ib700(environment.virtual, environment.timers, environment.requests.watchdog_expired)
        try:
            self._core.map(environment.ports)
        except ValueError as error:
            raise GenericError(f"{self.type_name}: {error}") from None

    def unrealize(self) -> None:
        self._core.unmap(self._ports)

    def parts(self) -> dict[str, Device[Any]]:
        return {"ib700": self._core}
