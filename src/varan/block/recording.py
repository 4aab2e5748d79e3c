"""Recording in dirty bitmaps which parts of a node change, whoever changes them."""

from __future__ import annotations

from _thread import allocate_lock

from varan.block.base import Buffers, Node, Write
from varan.block.dirty import DirtyBitmap
from varan.block.request import size_of


class Recorder:
    """The dirty bitmaps of one node, by name.

    While there are any, the node's methods that change it are covered by those of the recorder, so that a node
    without bitmaps pays nothing, and no driver has to think of them. Bitmaps come and go, and are changed, while no
    request is under way; marks are made by the loop and by vCPU threads.
    """

    def __init__(self, node: Node) -> None:
        self.bitmaps: dict[str, DirtyBitmap] = {}
        self._node = node
        self._kind = type(node)
        self._marking = allocate_lock()
        self._covers = {
            "write": self._write,
            "write_zeroes": self._write_zeroes,
            "discard": self._discard,
            "truncate": self._truncate,
            "write_now": self._write_now,
        }

    def add(self, bitmap: DirtyBitmap) -> None:
        """Record in another bitmap."""
        self.bitmaps[bitmap.name] = bitmap
        vars(self._node).update(self._covers)

    def drop(self, name: str) -> None:
        """Record in a bitmap no more. Nothing happens when there is none of that name."""
        self.bitmaps.pop(name, None)
        if not self.bitmaps:
            for method in self._covers:
                vars(self._node).pop(method, None)

    def mark(self, offset: int, length: int) -> None:
        """These bytes have changed. Any thread."""
        with self._marking:
            for bitmap in self.bitmaps.values():
                bitmap.record(offset, length, self._node.length)

    def follow_size(self) -> None:
        """Let all bitmaps be as large as the node is now."""
        with self._marking:
            for bitmap in self.bitmaps.values():
                bitmap.follow_size(self._node.length)

    # A change that failed may have happened in part: it is marked as well.

    async def _write(self, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
        try:
            await self._kind.write(self._node, offset, buffers, flags)
        finally:
            if not flags & Write.UNCHANGED:
                self.mark(offset, size_of(buffers))

    async def _write_zeroes(self, offset: int, length: int, flags: Write = Write.NONE) -> None:
        try:
            await self._kind.write_zeroes(self._node, offset, length, flags)
        finally:
            if not flags & Write.UNCHANGED:
                self.mark(offset, length)

    async def _discard(self, offset: int, length: int) -> None:
        try:
            await self._kind.discard(self._node, offset, length)
        finally:
            self.mark(offset, length)

    async def _truncate(self, length: int, preallocation: str = "off", *, exact: bool = True) -> None:
        await self._kind.truncate(self._node, length, preallocation, exact=exact)
        self.follow_size()

    def _write_now(self, offset: int, buffers: Buffers) -> bool:
        try:
            return self._kind.write_now(self._node, offset, buffers)
        finally:
            self.mark(offset, size_of(buffers))


def recorder_of(node: Node) -> Recorder:
    """The recorder of a node."""
    if node.recorder is None:
        node.recorder = Recorder(node)
    return node.recorder
