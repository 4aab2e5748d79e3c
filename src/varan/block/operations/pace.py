"""Keeping a copy below so many bytes per second."""

from __future__ import annotations

import time


class Pace:
    """Sleeps whenever more was done than `rate` bytes per second allow; 0: never."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._done = 0
        self._started = time.monotonic()

    def account(self, size: int) -> None:
        """`size` more bytes are done."""
        if not self._rate:
            return
        self._done += size
        ahead = self._done / self._rate - (time.monotonic() - self._started)
        if ahead > 0:
            time.sleep(ahead)
