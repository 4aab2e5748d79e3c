"""How fast a counter runs that nobody tells the frequency of: sampled against the host's monotonic clock."""

from __future__ import annotations

import time
from collections.abc import Callable

_SHORTEST = 1_000_000
"""Nanoseconds between the two samples that an answer needs at least; good for about 100 ppm."""
_ENOUGH = 1_000_000_000
"""Nanoseconds after which a longer wait would not make the answer better by anything that matters."""
_TRIES = 16
_NANOSECONDS = 1_000_000_000


class Frequency:
    """The frequency of the counter that `read` reads, better the later it is asked for, and final after a second."""

    def __init__(
        self,
        read: Callable[[], int],
        clock: Callable[[], int] = time.monotonic_ns,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._read, self._clock, self._sleep = read, clock, sleep
        self._first = self._sample()
        self._final: int | None = None

    def hertz(self) -> int:
        """Counts a second. Blocks for up to a millisecond where less has passed since the counter was first seen."""
        if self._final is not None:
            return self._final
        began, count = self._first
        missing = began + _SHORTEST - self._clock()
        if missing > 0:
            self._sleep(missing / _NANOSECONDS)
        now, later = self._sample()
        found = (later - count) * _NANOSECONDS // (now - began)
        if now - began >= _ENOUGH:
            self._final = found
        return found

    def _sample(self) -> tuple[int, int]:
        """(nanoseconds, count) at one moment: of several tries the one that took least, and so was not interrupted."""
        tries = []
        for _ in range(_TRIES):
            before = self._clock()
            count = self._read()
            after = self._clock()
            tries.append((after - before, (before + after) // 2, count))
        _, moment, count = min(tries)
        return moment, count
