"""The filter `preallocate`: a file that grows is given more space than it needs yet, so that it grows less often.

It stands between a format and its file. What was given and not used is taken back when the node is closed; a process
that dies before leaves a longer file, which formats tolerate.
"""

from __future__ import annotations

import asyncio
from typing import ClassVar

from varan.block.base import (
    BlockError,
    Buffers,
    ChildRole,
    Driver,
    Edge,
    ErrorKind,
    Node,
    OpenOptions,
    Permission,
    Write,
)
from varan.block.filters.passing import PassingNode
from varan.block.request import size_of

_ALIGN = 1 << 20
_SIZE = 128 << 20


class PreallocateNode(PassingNode):
    """A child whose end is ahead of its data."""

    driver = "preallocate"

    def __init__(self, options: OpenOptions, child: Edge) -> None:
        super().__init__(options, child)
        self._align: int = options.driver_options.get("prealloc-align", _ALIGN)
        self._extra: int = options.driver_options.get("prealloc-size", _SIZE)
        self._end = self._child.length
        """Where the data ends: the length that parents see."""
        self._active = not self.read_only
        self._growing = asyncio.Lock()

    @property
    def length(self) -> int:
        return self._end

    async def _grow(self, end: int) -> None:
        if end <= self._end:
            return
        async with self._growing:
            await self._reserve(end)
        self._end = max(self._end, end)

    async def _reserve(self, end: int) -> None:
        if self._active and end > self._child.length and self.granted[0] & Permission.RESIZE:
            wanted = -(-(end + self._extra) // self._align) * self._align
            try:
                await self._child.truncate(wanted, "falloc")
            except BlockError:
                # It was only to make things faster: from now on the file grows as it is written.
                self._active = False

    async def write(self, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
        self.note_write(offset, size_of(buffers))
        await self._grow(offset + size_of(buffers))
        await self._child.write(offset, buffers, flags)

    async def write_zeroes(self, offset: int, length: int, flags: Write = Write.NONE) -> None:
        self.note_write(offset, length)
        await self._grow(offset + length)
        await self._child.write_zeroes(offset, length, flags)

    async def truncate(self, length: int, preallocation: str = "off", *, exact: bool = True) -> None:
        await self._take_back()
        await self._child.truncate(length, preallocation, exact=exact)
        self._end = length

    async def close(self) -> None:
        if not self.read_only:
            await self._take_back()

    async def _take_back(self) -> None:
        if self._child.length > self._end:
            await self._child.truncate(self._end)


class PreallocateDriver(Driver):
    """Growing ahead."""

    name = "preallocate"
    is_filter = True
    child_roles: ClassVar[tuple[ChildRole, ...]] = (ChildRole("file", probed=True),)
    open_options: ClassVar[dict[str, str]] = {"prealloc-align": "size", "prealloc-size": "size"}

    @classmethod
    async def open(cls, options: OpenOptions, children: dict[str, Edge]) -> Node:
        align = options.driver_options.get("prealloc-align", _ALIGN)
        if align < 512 or align % 512:
            raise BlockError(ErrorKind.INVALID, "option 'prealloc-align' must be a multiple of 512")
        return PreallocateNode(options, children["file"])


DRIVER = PreallocateDriver
