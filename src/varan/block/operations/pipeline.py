"""Two halves of a copy on two processor cores: a thread reads ahead while the caller's thread writes.

Each half drives the coroutines of its own graph by hand; the graphs share no state. The kernel's copies and the
compressors release the interpreter's lock, so that the halves overlap.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, Generic, TypeVar

from varan.block.drive import run_now

Item = TypeVar("Item")

_POLL = 0.2
"""Seconds after which a waiting half looks whether the other has given up."""


class Pipeline(Generic[Item]):
    """Carries items from an iterator that a thread drives to the caller; at most `depth` are on their way."""

    def __init__(self, source: AsyncIterator[Item], depth: int) -> None:
        self._source = source
        self._queue: queue.Queue[tuple[Item | None, BaseException | None]] = queue.Queue(max(depth, 1))
        self._stopped = threading.Event()

    def drain(self, consume: Callable[[Item], Coroutine[Any, Any, None]]) -> None:
        """Consume every item, in order. Raises what either half raises, when both have come to rest."""
        thread = threading.Thread(target=self._produce, name="varan-read-ahead", daemon=True)
        thread.start()
        try:
            while (item := self._take()) is not None:
                run_now(consume(item))
        finally:
            self._stopped.set()
            thread.join()

    def _take(self) -> Item | None:
        item, error = self._queue.get()
        if error is not None:
            raise error
        return item

    def _produce(self) -> None:
        try:
            while (item := run_now(self._next())) is not None:
                if not self._put(item, None):
                    return
            self._put(None, None)
        except BaseException as error:
            self._put(None, error)

    async def _next(self) -> Item | None:
        return await anext(self._source, None)

    def _put(self, item: Item | None, error: BaseException | None) -> bool:
        while not self._stopped.is_set():
            try:
                self._queue.put((item, error), timeout=_POLL)
                return True
            except queue.Full:
                continue
        return False
