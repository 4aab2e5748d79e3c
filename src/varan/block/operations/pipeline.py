"""Two halves of a copy on two processor cores: a thread reads ahead while the caller's thread writes.

Each half drives the coroutines of its own graph by hand; the graphs share no state. The kernel's copies and the
compressors release the interpreter's lock, so that the halves overlap.
"""

from __future__ import annotations

import threading
from queue import SimpleQueue

from varan.block.drive import run_now
from varan.light import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Coroutine
    from typing import Any

Item = TypeVar("Item")

MAX_DEPTH = 3
"""One item being made, one being consumed, one between them. More only push each other's bytes out of the processor's
caches before they are consumed."""


class Pipeline(Generic[Item]):
    """Carries items from an iterator that a thread drives to the caller; at most `depth` are on their way.

    Two queues in C: items one way, leave to make another one back. Their locks are taken without the interpreter's.
    """

    def __init__(self, source: AsyncIterator[Item], depth: int) -> None:
        self._source = source
        self._items: SimpleQueue[tuple[Item | None, BaseException | None]] = SimpleQueue()
        self._leave: SimpleQueue[bool] = SimpleQueue()
        """True: make another item; False: no more."""
        self._stopped = False
        for _ in range(max(depth, 1)):
            self._leave.put(True)

    def drain(self, consume: Callable[[Item], Coroutine[Any, Any, None]]) -> None:
        """Consume every item, in order. Raises what either half raises, when both have come to rest."""
        thread = threading.Thread(target=self._produce, name="varan-read-ahead", daemon=True)
        thread.start()
        try:
            while (item := self._take()) is not None:
                run_now(consume(item))
                self._leave.put(True)
        finally:
            self._stopped = True
            self._leave.put(False)
            thread.join()

    def _take(self) -> Item | None:
        item, error = self._items.get()
        if error is not None:
            raise error
        return item

    def _produce(self) -> None:
        try:
            while self._leave.get() and not self._stopped:
                item = run_now(self._next())
                self._items.put((item, None))
                if item is None:
                    return
        except BaseException as error:
            self._items.put((None, error))

    async def _next(self) -> Item | None:
        return await anext(self._source, None)
