"""Requests that wait their turn under common limits: the shell of `varan.block.throttle`."""

from __future__ import annotations

import time

from varan.block.lazy import Lock, asyncio
from varan.block.throttle import Limits, Throttle
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable


class ThrottleGroup:
    """What several nodes or drives share. Requests of one direction go in the order they came in."""

    def __init__(
        self,
        name: str,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] | None = None,
    ) -> None:
        self.name = name
        self.members = 0
        """How many nodes go at its rate."""
        self._clock = clock
        self._sleep = sleep
        self._throttle = Throttle(limits, clock())
        self._turns: dict[bool, Lock] = {}

    @property
    def limits(self) -> Limits:
        """The limits now."""
        return self._throttle.limits

    def change(self, limits: Limits) -> None:
        """Other limits from now on; a request that waits already keeps its time."""
        self._throttle.change(limits, self._clock())

    async def admit(self, size: int, write: bool) -> None:
        """Return when a request of `size` bytes may go."""
        if not self._throttle.limits.any:
            return
        async with self._turns.setdefault(write, Lock()):
            while (seconds := self._throttle.wait(self._clock(), write)) > 0:
                await (self._sleep or asyncio.sleep)(seconds)
            self._throttle.use(size, write)
