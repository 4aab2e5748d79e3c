"""Requests past the host's page cache (`cache.direct`, O_DIRECT): the kernel takes only aligned ones.

Others go through aligned memory of our own. The last block of a file whose size is no multiple of the alignment cannot
be written alone: the file is cut back afterwards, and until then nobody else writes behind that place.
"""

from __future__ import annotations

import errno
import os

from varan.block.aligned import Bounce
from varan.block.base import Buffers
from varan.block.request import size_of
from varan.block.transports import posix
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from contextlib import AbstractAsyncContextManager

_END = 1 << 63
_PAGE = 4096
_TRIED = (512, _PAGE)


def alignment(fd: int) -> int:
    """The alignment that O_DIRECT wants for the file: found by trying, the page size when nothing can be tried."""
    if posix.device_length(fd) < 2 * _PAGE:
        return _PAGE
    memory = page_memory(_PAGE)
    for size in _TRIED:
        try:
            os.preadv(fd, [memory[size : 2 * size] if size < _PAGE else memory], size)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
        else:
            return size
    return _PAGE


def page_memory(length: int) -> memoryview:
    """Memory that begins at a page."""
    import mmap

    return memoryview(mmap.mmap(-1, max(length, 1)))[:length]


def read_direct(fd: int, offset: int, buffers: Buffers) -> None:
    """Fill aligned `buffers` from an aligned offset, zeros behind the end of the file. Raises OSError."""
    rest: Buffers = buffers
    while rest:
        count = os.preadv(fd, rest[: posix.IOV_MAX], offset)
        whole = count == size_of(rest[: posix.IOV_MAX])
        offset += count
        rest = posix.advance(rest, count)
        if not whole and offset >= posix.device_length(fd):
            # From an end inside a block the kernel would refuse to read on.
            posix.fill_zeros(rest)
            return


class Direct:
    """The direct way to one file."""

    def __init__(self, fd: int, run: Callable[..., Awaitable[object]], length: Callable[[], int]) -> None:
        """`run(function, *arguments)` calls what may block; `length` is the size that the file shall have."""
        self._fd = fd
        self._run = run
        self._length = length
        self._alignment = alignment(fd)
        self._bounce = Bounce(self._alignment, self._read_aligned, self._write_aligned, page_memory, self._reach)

    def _fits(self, offset: int, buffers: Buffers) -> bool:
        unit = self._alignment
        return offset % unit == 0 and all(
            len(buffer) % unit == 0 and not buffer.readonly and _address(buffer) % unit == 0 for buffer in buffers
        )

    def _reach(self, end: int) -> int:
        return end if end <= self._length() else _END

    async def read(self, offset: int, buffers: Buffers) -> None:
        """Fill `buffers` from `offset`."""
        if self._fits(offset, buffers):
            await self._run(read_direct, self._fd, offset, buffers)
        else:
            await self._bounce.read(offset, buffers)

    async def write(self, offset: int, buffers: Buffers, sync: int) -> None:
        """Write `buffers` at `offset`; `sync` is RWF_DSYNC or 0."""
        if self._fits(offset, buffers):
            async with self._bounce.writes.hold(offset, offset + size_of(buffers)):
                await self._run(posix.write_whole, self._fd, offset, buffers, sync)
            return
        await self._bounce.write(offset, buffers)
        if sync:
            await self._run(posix.sync_data, self._fd)

    def hold(self, offset: int, length: int) -> AbstractAsyncContextManager[None]:
        """Keep writes away from a range that is changed by other means."""
        start, end = self._bounce.widen(offset, length)
        return self._bounce.writes.hold(start, self._reach(end))

    async def _read_aligned(self, offset: int, memory: memoryview) -> None:
        await self._run(read_direct, self._fd, offset, [memory])

    async def _write_aligned(self, offset: int, memory: memoryview) -> None:
        await self._run(posix.write_whole, self._fd, offset, [memory])
        if offset + len(memory) > self._length():
            await self._run(os.ftruncate, self._fd, self._length())


def _address(buffer: memoryview) -> int:
    import ctypes

    return ctypes.addressof(ctypes.c_char.from_buffer(buffer)) if len(buffer) else 0
