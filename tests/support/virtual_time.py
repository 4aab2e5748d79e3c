"""A clock for what waits: it goes on when the loop has nothing better to do."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

ROUNDS = 8
"""Of the loop, in which tasks do what they can before time goes on."""


class VirtualTime:
    """Called, it gives its seconds."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def later(self, seconds: float, callback: Callable[[], None]) -> Alarm:
        """Call back when that many seconds have passed."""
        return Alarm(self, self.now + seconds, callback)


class Alarm:
    """One call that is to come."""

    def __init__(self, time: VirtualTime, when: float, callback: Callable[[], None]) -> None:
        self._time, self._when, self._callback = time, when, callback
        self._left = ROUNDS
        self._cancelled = False
        self._step()

    def cancel(self) -> None:
        """It does not come."""
        self._cancelled = True

    def _step(self) -> None:
        if self._cancelled:
            return
        self._left -= 1
        if self._left:
            asyncio.get_running_loop().call_soon(self._step)
            return
        self._time.now = max(self._time.now, self._when)
        self._callback()
