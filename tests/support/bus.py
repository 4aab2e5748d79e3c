"""A bare bus for device tests: ports, a clock that tests move, timers, and wires that remember their levels."""

from __future__ import annotations

import threading
from typing import Any

from varan.core.clock import ManualClock, TimerQueue
from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace
from varan.devices.environment import Environment


class Wire:
    """An interrupt line: its level now, and how often it rose."""

    def __init__(self) -> None:
        self.level = 0
        self.rises = 0

    def __call__(self, level: int) -> None:
        if level and not self.level:
            self.rises += 1
        self.level = level


class Bus:
    """Ports, clock and timers without a machine around them."""

    def __init__(self) -> None:
        self.ports = PortSpace()
        self.clock = ManualClock()
        self.timers = TimerQueue()

    def environment(self, **given: Any) -> Environment:
        """What a board gives its devices, with this bus's clock and ports; `given` replaces members."""
        return Environment(
            **{
                "memory": MemorySpace(),
                "ports": self.ports,
                "lock": threading.RLock(),
                "timers": self.timers,
                "virtual": self.clock,
                "host": ManualClock(),
                **given,
            }
        )

    def inb(self, port: int) -> int:
        return self.ports.read(port, 1)

    def outb(self, port: int, *values: int) -> None:
        for value in values:
            self.ports.write(port, 1, value)

    def run(self, nanoseconds: int) -> None:
        """Let time pass as a fast host would: every timer runs on time."""
        end = self.clock.now() + nanoseconds
        while True:
            wait = self.timers.run_due()
            if wait is None or self.clock.now() + wait > end:
                break
            self.clock.advance(wait)
        self.clock.advance(end - self.clock.now())
        self.timers.run_due()

    def stall(self, nanoseconds: int) -> None:
        """Let time pass as a slow host would: timers run at the end."""
        self.clock.advance(nanoseconds)
        self.timers.run_due()
