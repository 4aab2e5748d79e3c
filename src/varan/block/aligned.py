"""Requests of any shape over storage that takes only aligned ones: reads are widened, writes read before they write."""

from __future__ import annotations

from varan.block.base import Buffers
from varan.block.ranges import RangeLock
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from typing import TypeAlias

Transfer: TypeAlias = "Callable[[int, memoryview], Awaitable[None]]"
"""Move one aligned buffer from or to an aligned offset."""


def plain_memory(length: int) -> memoryview:
    """Memory with no alignment of its own."""
    return memoryview(bytearray(length))


class Bounce:
    """Widens requests to multiples of `alignment` through memory of its own.

    Every write of the storage must go through `write` or hold `writes`: an aligned write that comes between the reading
    and the writing of a partial block would be undone.
    """

    largest = 1 << 20
    """Bytes of bounce memory for one request; longer ones are done in turns."""

    def __init__(
        self,
        alignment: int,
        read: Transfer,
        write: Transfer,
        memory: Callable[[int], memoryview] = plain_memory,
        reach: Callable[[int], int] = int,
    ) -> None:
        """`memory` makes bounce memory; `reach` says how far a write that ends at a place keeps others away."""
        self._alignment = alignment
        self._read = read
        self._write = write
        self._memory = memory
        self._reach = reach
        self.writes = RangeLock()

    def fits(self, offset: int, length: int) -> bool:
        """Whether a request needs no widening."""
        return not (offset | length) % self._alignment

    def widen(self, offset: int, length: int) -> tuple[int, int]:
        """The aligned (start, end) around a range."""
        unit = self._alignment
        return offset // unit * unit, -(-(offset + length) // unit) * unit

    async def read(self, offset: int, buffers: Buffers) -> None:
        """Fill `buffers` from `offset`."""
        for buffer in buffers:
            for at in range(0, len(buffer), self.largest):
                piece = buffer[at : at + self.largest]
                start, end = self.widen(offset, len(piece))
                memory = self._memory(end - start)
                await self._read(start, memory)
                piece[:] = memory[offset - start : offset - start + len(piece)]
                offset += len(piece)

    async def write(self, offset: int, buffers: Buffers) -> None:
        """Write `buffers` at `offset`."""
        data = memoryview(buffers[0] if len(buffers) == 1 else b"".join(buffers))
        for at in range(0, len(data), self.largest):
            piece = data[at : at + self.largest]
            await self._write_piece(offset, piece)
            offset += len(piece)

    async def _write_piece(self, offset: int, piece: memoryview) -> None:
        start, end = self.widen(offset, len(piece))
        unit = self._alignment
        async with self.writes.hold(start, self._reach(end)):
            memory = self._memory(end - start)
            if start < offset:
                await self._read(start, memory[:unit])
            if offset + len(piece) < end and (end - start > unit or start == offset):
                await self._read(end - unit, memory[-unit:])
            memory[offset - start : offset - start + len(piece)] = piece
            await self._write(start, memory)
