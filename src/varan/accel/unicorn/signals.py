"""What any thread may tell a CPU that runs guest code: stop, an NMI, a vector to take.

Two carriers with the same members. With machine code the flags lie in its data page, and its replacement of the CPU
loop's interrupt check looks at them. Without it they are Python objects and the check is a Python callback, which the
CPU loop makes only while `ring` has asked for it.
"""

from __future__ import annotations

import threading
from typing import Protocol

from varan.accel.unicorn.cpu import Engine
from varan.accel.unicorn.layout import ALWAYS_ASK
from varan.accel.unicorn.machinecode import MachineCode


class Signals(Protocol):
    """`offer` is 0 or OFFERED with the controller's answer; it becomes 0 when the guest takes the vector.

    While `pause_stops` is 1, PAUSE sets `stop` (with machine code only).
    """

    stop: int
    stopped: int
    nmi: int
    pause_stops: int
    offer: int

    def exchange_offer(self, value: int) -> int:
        """Replace `offer`, returning the old value, in one step."""

    def ring(self) -> None:
        """Something was set: have the CPU look between two blocks of code."""


class NativeSignals:
    """Signals in the machine code's data page, which it looks at of its own accord."""

    def __init__(self, engine: Engine, code: MachineCode) -> None:
        self._engine = engine
        self._shared = code.shared
        self.exchange_offer = code.exchange_offer

    @property
    def stop(self) -> int:
        return self._shared.stop

    @stop.setter
    def stop(self, value: int) -> None:
        self._shared.stop = value

    @property
    def stopped(self) -> int:
        return self._shared.stopped

    @stopped.setter
    def stopped(self, value: int) -> None:
        self._shared.stopped = value

    @property
    def nmi(self) -> int:
        return self._shared.nmi

    @nmi.setter
    def nmi(self, value: int) -> None:
        self._shared.nmi = value

    @property
    def pause_stops(self) -> int:
        return self._shared.pause_stops

    @pause_stops.setter
    def pause_stops(self, value: int) -> None:
        self._shared.pause_stops = value

    @property
    def offer(self) -> int:
        return self._shared.offer

    @offer.setter
    def offer(self, value: int) -> None:
        self._shared.offer = value

    def ring(self) -> None:
        self._engine.leave_chain()


class PortableSignals:
    """Signals as Python attributes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._lock = threading.Lock()
        self.stop = 0
        self.stopped = 0
        self.nmi = 0
        self.pause_stops = 0
        self.offer = 0

    def exchange_offer(self, value: int) -> int:
        with self._lock:
            old, self.offer = self.offer, value
        return old

    def ring(self) -> None:
        self._engine.cpu.interrupt_request = ALWAYS_ASK
        self._engine.leave_chain()
