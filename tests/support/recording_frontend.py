"""A chardev frontend that remembers what happened, and can be waited for."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from varan.chardev.base import Pipe


class RecordingFrontend:
    """Remembers input and events: `opened`, `closed`, `writable`, in order."""

    def __init__(self) -> None:
        self.events: list[str] = []
        self.input = bytearray()
        self.breaks = 0
        self.pipe: Pipe | None = None
        self._changed = asyncio.Event()

    def opened(self, pipe: Pipe) -> None:
        self.pipe = pipe
        self._note("opened")

    def receive(self, data: bytes) -> None:
        self.input += data
        self._changed.set()

    def closed(self) -> None:
        self.pipe = None
        self._note("closed")

    def writable(self) -> None:
        self._note("writable")

    def receive_break(self) -> None:
        self.breaks += 1
        self._changed.set()

    async def until(self, condition: Callable[[RecordingFrontend], bool], seconds: float = 10) -> None:
        """Wait until `condition` holds; fails when it does not within `seconds`."""
        async with asyncio.timeout(seconds):
            while not condition(self):
                self._changed.clear()
                await self._changed.wait()

    async def until_input(self, data: bytes) -> None:
        """Wait until at least as much input as `data` has come; it must be `data`."""
        await self.until(lambda recorder: len(recorder.input) >= len(data))
        assert bytes(self.input) == data
        self.input.clear()

    async def until_event(self, event: str, count: int = 1) -> None:
        """Wait until `event` has happened `count` times."""
        await self.until(lambda recorder: recorder.events.count(event) >= count)

    async def connected(self) -> Pipe:
        """Wait until there is a pipe."""
        await self.until(lambda recorder: recorder.pipe is not None)
        assert self.pipe is not None
        return self.pipe

    def _note(self, event: str) -> None:
        self.events.append(event)
        self._changed.set()


async def pass_turns(turns: int = 5) -> None:
    """Let the loop run what is ready, for tests that nothing happens."""
    for _ in range(turns):
        await asyncio.sleep(0)
