"""What filters have in common: everything they do not change goes through to the one child they stand before."""

from __future__ import annotations

from varan.block.base import Buffers, Edge, Extent, Limits, Node, OpenOptions, Write
from varan.block.request import size_of


class PassingNode(Node):
    """A node that is its child."""

    def __init__(self, options: OpenOptions, child: Edge) -> None:
        super().__init__(options)
        self.children[child.role] = child
        self._edge = child
        self.listens = child.node.listens

    @property
    def _child(self) -> Node:
        return self._edge.node

    @property
    def length(self) -> int:
        return self._child.length

    @property
    def limits(self) -> Limits:
        return self._child.limits

    @property
    def filename(self) -> str:
        return self._child.filename

    @property
    def filtered(self) -> Node:
        return self._child

    async def read(self, offset: int, buffers: Buffers) -> None:
        await self._child.read(offset, buffers)

    async def write(self, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
        self.note_write(offset, size_of(buffers))
        await self._child.write(offset, buffers, flags)

    async def write_zeroes(self, offset: int, length: int, flags: Write = Write.NONE) -> None:
        self.note_write(offset, length)
        await self._child.write_zeroes(offset, length, flags)

    async def discard(self, offset: int, length: int) -> None:
        await self._child.discard(offset, length)

    async def flush(self) -> None:
        await self._child.flush()

    async def block_status(self, offset: int, length: int) -> Extent:
        return await self._child.block_status(offset, length)

    async def truncate(self, length: int, preallocation: str = "off", *, exact: bool = True) -> None:
        await self._child.truncate(length, preallocation, exact=exact)

    async def event(self, name: str) -> None:
        if self._child.listens:
            await self._child.event(name)
