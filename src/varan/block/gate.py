"""A gate that operations pass, so that they can be held back while the graph below them changes."""

from __future__ import annotations

from varan.block.lazy import asyncio


class Gate:
    """Counts the operations inside. Costs nothing worth counting while nobody holds it shut."""

    __slots__ = ("_empty", "_open", "_shut", "_waiting", "inside")

    def __init__(self) -> None:
        self.inside = 0
        """Operations that have begun and not ended."""
        self._shut = self._waiting = 0
        self._open: asyncio.Future[None] | None = None
        self._empty: asyncio.Future[None] | None = None

    @property
    def shut(self) -> bool:
        """Whether somebody holds it shut."""
        return self._shut > 0

    async def enter(self) -> None:
        """Begin an operation, as soon as nobody holds the gate shut."""
        self._waiting += 1
        try:
            while self._shut:
                if self._open is None:
                    self._open = asyncio.get_running_loop().create_future()
                await asyncio.shield(self._open)
        finally:
            self._waiting -= 1
        self.inside += 1

    def leave(self) -> None:
        """End an operation."""
        self.inside -= 1
        if not self.inside:
            _wake(self._empty)
            self._empty = None

    def close(self) -> None:
        """Hold it shut; as often as this is called `open` must be."""
        self._shut += 1

    def open(self) -> None:
        """Hold it shut no more."""
        self._shut -= 1
        if not self._shut:
            _wake(self._open)
            self._open = None

    async def emptied(self) -> None:
        """Return when nothing is inside."""
        while self.inside:
            if self._empty is None:
                self._empty = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._empty)

    async def drained(self) -> None:
        """Return when nothing is inside or waits to be."""
        while self.inside or self._waiting:
            await self.emptied()
            # Those that wait are told in turn before this goes on.
            await self.enter()
            await asyncio.sleep(0)
            self.leave()

    async def __aenter__(self) -> None:
        await self.enter()

    async def __aexit__(self, *failure: object) -> None:
        self.leave()


def _wake(waiting: asyncio.Future[None] | None) -> None:
    if waiting is not None and not waiting.done():
        waiting.set_result(None)
