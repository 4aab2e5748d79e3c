"""asyncio without its price: importing it takes longer than most of what command-line tools do with an image.

Modules that need it only when a request has to wait import the name from here; the first use loads it.
"""

from __future__ import annotations

from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    import asyncio
    from types import TracebackType
    from typing import Any
else:

    class _Asyncio:
        def __getattr__(self, name: str) -> Any:
            import asyncio as module

            value = getattr(module, name)
            setattr(self, name, value)
            return value

    asyncio = _Asyncio()

__all__ = ["Lock", "asyncio", "settled"]


async def settled(work: asyncio.Future[Any]) -> None:
    """Return when `work` is over, however often the caller is cancelled meanwhile."""
    while not work.done():
        try:
            await asyncio.wait({work})
        except asyncio.CancelledError:
            continue
    if not work.cancelled():
        work.exception()


class Lock:
    """Mutual exclusion of coroutines of one loop, first come first served. Costs nothing while nobody else wants it."""

    __slots__ = ("_held", "_waiting")

    def __init__(self) -> None:
        self._held = False
        self._waiting: list[asyncio.Future[None]] = []

    def locked(self) -> bool:
        """Whether somebody holds it."""
        return self._held

    async def acquire(self) -> bool:
        """Wait until it is free, and take it."""
        if not self._held:
            self._held = True
            return True
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except BaseException:
            if turn in self._waiting:
                self._waiting.remove(turn)
            elif turn.done() and not turn.cancelled():
                self.release()
            raise
        return True

    def release(self) -> None:
        """Give it to who has waited longest, if anybody does. It stays held in between."""
        if not self._held:
            raise RuntimeError("the lock is not held")
        while self._waiting:
            turn = self._waiting.pop(0)
            if not turn.done():
                turn.set_result(None)
                return
        self._held = False

    async def __aenter__(self) -> None:
        await self.acquire()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
