"""Staying awake between two messages that follow one another closely.

When a CPU has nothing to do it sleeps, and waking it takes longer than executing a QMP command: 30 µs and more in a
virtual machine. A peer that asks and asks again pays that for every message. So after a message the event loop may be
kept turning for a moment, as KVM polls before it lets a halted vCPU's thread sleep. Everything else on the loop gets
its turn meanwhile.

Whether that helps is measured, not assumed; it harms where the peer waits for the same CPU. As long as answers come
quickly, some are awaited asleep, then as many awake, then the better way is kept for a while before it is tried
anew. The first slow answer ends a vigil and starts over, so that a peer who asks now and then costs nothing.
"""

from __future__ import annotations

import asyncio
import enum
import time
from collections.abc import Callable

WINDOW = 100e-6
"""Seconds for which the loop is kept awake."""

QUICK = 250e-6
"""Seconds within which an answer counts as quick; includes waking up."""

TRIAL = 16
"""Quick answers in a row by which each way is judged."""

TERM = 1000
"""Answers for which the better way is kept."""

ADVANTAGE = 0.8
"""Staying awake must take at most this share of the time that sleeping takes."""


class _Phase(enum.Enum):
    TRY_ASLEEP = enum.auto()
    TRY_AWAKE = enum.auto()
    KEEP = enum.auto()


class Vigil:
    """One connection's wakefulness."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` gives seconds."""
        self._clock = clock
        self._asked = 0.0
        """When the last message was sent; 0 when its answer has come."""
        self._scheduled = False
        self._asleep_mean = 0.0
        self._start(_Phase.TRY_ASLEEP, TRIAL, awake=False)

    @property
    def awake(self) -> bool:
        """Whether the next answer will be awaited awake."""
        return self._awake

    def begin(self) -> None:
        """A message was sent, and an answer may come soon. Call on the loop."""
        if self._indifferent:
            return
        self._asked = self._clock()
        if self._awake and not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def end(self) -> None:
        """The answer has come."""
        if self._indifferent:
            self._count()
        if not self._asked:
            return
        took = self._clock() - self._asked
        self._asked = 0.0
        if took > QUICK:
            self._start(_Phase.TRY_ASLEEP, TRIAL, awake=False)
            return
        self._total += took
        self._count()

    def _turn(self) -> None:
        self._scheduled = False
        if not self._asked:
            return
        if self._clock() - self._asked < WINDOW:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)
        else:
            self._start(_Phase.TRY_ASLEEP, TRIAL, awake=False)

    def _count(self) -> None:
        self._left -= 1
        if not self._left:
            self._judge()

    def _judge(self) -> None:
        mean = self._total / TRIAL
        match self._phase:
            case _Phase.TRY_ASLEEP:
                self._asleep_mean = mean
                self._start(_Phase.TRY_AWAKE, TRIAL, awake=True)
            case _Phase.TRY_AWAKE:
                self._start(_Phase.KEEP, TERM, awake=mean < ADVANTAGE * self._asleep_mean)
            case _Phase.KEEP:
                self._start(_Phase.TRY_ASLEEP, TRIAL, awake=False)

    def _start(self, phase: _Phase, answers: int, *, awake: bool) -> None:
        self._phase = phase
        self._left = answers
        self._awake = awake
        self._total = 0.0
        self._indifferent = phase is _Phase.KEEP and not awake
        """Sleeping is better: nothing to do and nothing to learn for a while."""
