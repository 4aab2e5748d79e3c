"""The filter `copy-on-read`: what is read from a backing file is written into the image above it, so that it is read
from there the next time."""

from __future__ import annotations

from typing import ClassVar

from varan.block.base import (
    BlockError,
    Buffers,
    ChildRole,
    Data,
    Driver,
    Edge,
    ErrorKind,
    Extent,
    Node,
    OpenOptions,
    Permission,
    Write,
)
from varan.block.filters.passing import PassingNode
from varan.block.ranges import RangeLock
from varan.block.request import backing_of, chain_status, is_zero, size_of, unfiltered, zero_within
from varan.block.transports.posix import advance

_LARGEST = 1 << 20


class CopyOnReadNode(PassingNode):
    """A child that keeps what was read through it."""

    driver = "copy-on-read"

    def __init__(self, options: OpenOptions, child: Edge) -> None:
        super().__init__(options, child)
        self._bottom: str | None = options.driver_options.get("bottom")
        self._busy = RangeLock()

    async def read(self, offset: int, buffers: Buffers) -> None:
        if self._child.read_only:
            await self._child.read(offset, buffers)
            return
        rest: Buffers = buffers
        end = offset + size_of(buffers)
        if await self._is_here(offset, end):
            await self._child.read(offset, buffers)
            return
        # A write between reading the old data and keeping it would be lost, hence the hold.
        async with self._busy.hold(offset, end):
            while offset < end:
                extent = await self._child.block_status(offset, end - offset)
                if extent.flags & Data.ALLOCATED:
                    await self._child.read(offset, _first(rest, extent.length))
                else:
                    extent = await self._keep(offset, min(extent.length, _LARGEST), rest)
                rest = advance(rest, extent.length)
                offset += extent.length

    async def _is_here(self, offset: int, end: int) -> bool:
        while offset < end:
            extent = await self._child.block_status(offset, end - offset)
            if not extent.flags & Data.ALLOCATED:
                return False
            offset += extent.length
        return True

    async def _keep(self, offset: int, length: int, buffers: Buffers) -> Extent:
        status = await chain_status(self._child, offset, length, self._base())
        mine = _first(buffers, status.length)
        await self._child.read(offset, mine)
        if status.flags & Data.ALLOCATED or self._bottom is None:
            if all(map(is_zero, mine)):
                await zero_within(self._child, offset, status.length, Write.UNCHANGED)
            else:
                await self._child.write(offset, mine, Write.UNCHANGED)
        return status

    def _base(self) -> Node | None:
        """What lies below the bottom: data from there is not kept."""
        if self._bottom is None:
            return None
        node: Node | None = self._child
        while node is not None:
            if self._bottom in (node.node_name, unfiltered(node).node_name):
                return backing_of(node)
            node = backing_of(node)
        return None

    async def children_ready(self) -> None:
        if self._bottom is None:
            return
        node: Node | None = self._child
        while node is not None and node.node_name != self._bottom:
            node = backing_of(node)
        if node is None:
            raise BlockError(
                ErrorKind.INVALID, f"'{self._bottom}' is no node of the backing chain", where=self.filename
            )

    async def write(self, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
        self.note_write(offset, size_of(buffers))
        async with self._busy.hold(offset, offset + size_of(buffers)):
            await self._child.write(offset, buffers, flags)

    async def write_zeroes(self, offset: int, length: int, flags: Write = Write.NONE) -> None:
        self.note_write(offset, length)
        async with self._busy.hold(offset, offset + length):
            await self._child.write_zeroes(offset, length, flags)

    async def discard(self, offset: int, length: int) -> None:
        async with self._busy.hold(offset, offset + length):
            await self._child.discard(offset, length)

    def child_permissions(self, role: str, wanted: Permission, shared: Permission) -> tuple[Permission, Permission]:
        if wanted & Permission.CONSISTENT_READ and not self._child.read_only:
            wanted |= Permission.WRITE_UNCHANGED
        return wanted, shared


def _first(buffers: Buffers, length: int) -> list[memoryview]:
    found: list[memoryview] = []
    for buffer in buffers:
        found.append(buffer[:length])
        length -= len(found[-1])
        if not length:
            break
    return found


class CopyOnReadDriver(Driver):
    """Keeping what is read."""

    name = "copy-on-read"
    is_filter = True
    child_roles: ClassVar[tuple[ChildRole, ...]] = (ChildRole("file", probed=True),)
    open_options: ClassVar[dict[str, str]] = {"bottom": "str"}

    @classmethod
    async def open(cls, options: OpenOptions, children: dict[str, Edge]) -> Node:
        return CopyOnReadNode(options, children["file"])


DRIVER = CopyOnReadDriver
