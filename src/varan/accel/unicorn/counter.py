"""The time-stamp counters of a machine's vCPUs: the host's counter less an offset each, stopped and started together.

They are stopped and started at one moment for all, so that guests which compare them across CPUs see them agree.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

from varan.accel.unicorn.cpu import Engine

_MASK_64 = (1 << 64) - 1


class Counter:
    """`timestamp` reads the host's counter."""

    def __init__(self, timestamp: Callable[[], int]) -> None:
        self._timestamp = timestamp
        self._offsets: dict[int, int] = {}
        """What to add to the host's counter, by vCPU."""
        self._engines: dict[int, Engine] = {}
        self._stopped_at: int | None = None
        """The host's counter when they were stopped."""

    def _now(self) -> int:
        return self._timestamp() if self._stopped_at is None else self._stopped_at

    def value(self, index: int) -> int:
        """The counter of a vCPU."""
        return self._now() + self._offsets.get(index, 0) & _MASK_64

    def set(self, index: int, value: int) -> None:
        """Make a vCPU's counter `value`."""
        self._offsets[index] = value - self._now()
        self._apply(index)

    def reset(self, index: int) -> None:
        """A vCPU is reset: its counter starts from 0, and from when that of vCPU 0 did."""
        self._offsets[index] = -self._now() if index == 0 else self._offsets.get(0, -self._now())
        self._apply(index)

    def join(self, index: int, engine: Engine) -> None:
        """The vCPU's engine, new or reset, takes over the vCPU's counter."""
        if index not in self._offsets:
            self.reset(index)
        self._engines[index] = engine
        self._apply(index)

    def leave(self, index: int) -> None:
        """The vCPU's engine goes."""
        self._engines.pop(index, None)

    def stop(self) -> None:
        """Hold all counters."""
        if self._stopped_at is None:
            self._stopped_at = self._timestamp()

    def start(self) -> None:
        """Let all counters go on."""
        if self._stopped_at is None:
            return
        passed = self._timestamp() - self._stopped_at
        self._stopped_at = None
        for index in self._offsets:
            self._offsets[index] -= passed
            self._apply(index)

    def _apply(self, index: int) -> None:
        engine = self._engines.get(index)
        if engine is not None:
            engine.env.tsc_offset = ctypes.c_int64(self._offsets[index]).value
