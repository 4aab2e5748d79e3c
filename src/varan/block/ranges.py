"""Byte ranges held one at a time: requests that overlap take turns, others pass without waiting."""

from __future__ import annotations

from varan.block.lazy import asyncio
from varan.light import TYPE_CHECKING, asynccontextmanager

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


class _NotHeld:
    """What there is instead of holding a range where nobody could get in the way."""

    async def __aenter__(self) -> None:
        pass

    async def __aexit__(self, *failure: object) -> None:
        pass


NOT_HELD = _NotHeld()


class RangeLock:
    """The ranges that requests hold."""

    def __init__(self) -> None:
        self._held: list[tuple[int, int, list[asyncio.Future[None]]]] = []

    @asynccontextmanager
    async def hold(self, start: int, end: int) -> AsyncIterator[None]:
        """Hold `start` to `end` (exclusive) while the body runs. Waits only when somebody else holds a part of it."""
        while (blocker := self._overlapping(start, end)) is not None:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            blocker.append(turn)
            await turn
        waiting: list[asyncio.Future[None]] = []
        entry = (start, end, waiting)
        self._held.append(entry)
        try:
            yield
        finally:
            self._held.remove(entry)
            for turn in waiting:
                if not turn.done():
                    turn.set_result(None)

    def _overlapping(self, start: int, end: int) -> list[asyncio.Future[None]] | None:
        for held_start, held_end, waiting in self._held:
            if start < held_end and held_start < end:
                return waiting
        return None
