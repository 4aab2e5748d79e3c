"""The filter that a job puts before a node to know, and to hold up, what is written to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from varan.block.base import BlockError, Buffers, Edge, ErrorKind, Node, Permission, Write
from varan.block.filters.passing import PassingNode
from varan.block.ranges import RangeLock
from varan.block.request import size_of
from varan.light import replace


class WatchNode(PassingNode):
    """A node that is its child. Every change holds its range, widened to whole units, from before to after it."""

    driver = "job-filter"

    def __init__(self, below: Node, unit: int = 1) -> None:
        options = replace(below.options, node_name=None, driver_options={})
        super().__init__(options, Edge(below, "file", Permission.NONE, Permission.ALL))
        self.read_only = below.read_only
        self.unit = unit
        self.busy = RangeLock()

    async def before(self, offset: int, length: int) -> None:
        """A change is about to be made. Does not raise."""

    def after(self, offset: int, length: int) -> None:
        """A change was made, or failed."""

    async def follow(self, offset: int, length: int) -> None:
        """A change was made, and is not told to whoever made it before this returns. Does not raise."""

    @asynccontextmanager
    async def _change(self, offset: int, length: int) -> AsyncIterator[None]:
        unit = self.unit
        start, end = offset - offset % unit, offset + length + -(offset + length) % unit
        async with self.busy.hold(start, end):
            await self.before(offset, length)
            try:
                yield
            finally:
                self.after(offset, length)
            await self.follow(offset, length)

    async def write(self, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
        self.note_write(offset, size_of(buffers))
        async with self._change(offset, size_of(buffers)):
            await self._child.write(offset, buffers, flags)

    async def write_zeroes(self, offset: int, length: int, flags: Write = Write.NONE) -> None:
        self.note_write(offset, length)
        async with self._change(offset, length):
            await self._child.write_zeroes(offset, length, flags)

    async def discard(self, offset: int, length: int) -> None:
        async with self._change(offset, length):
            await self._child.discard(offset, length)

    async def truncate(self, length: int, preallocation: str = "off", *, exact: bool = True) -> None:
        raise BlockError(ErrorKind.IN_USE, "a job works on it: its size cannot change", where=self.filename)


def below_jobs(node: Node) -> Node:
    """What the filters of jobs at `node` stand before (`node` itself when it is none)."""
    while isinstance(node, WatchNode):
        node = node.filtered
    return node
