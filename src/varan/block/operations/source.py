"""The reading half of a copy: several images one after the other, cut into pieces of data and of zeros."""

from __future__ import annotations

from varan.block.base import BlockError, Data, Node
from varan.block.memory import aligned
from varan.block.operations.extents import backing, chain_extent
from varan.light import TYPE_CHECKING, record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from typing import TypeAlias

Warn: TypeAlias = "Callable[[str], None]"


@record(slots=True)
class Piece:
    """`length` bytes for target offset `start`. Without a buffer they are zeros; `inherited`: the backing file's."""

    start: int
    length: int
    buffer: bytearray | None = None
    inherited: bool = False
    offset: int = 0
    """Where the bytes lie in `file`, when the source says so and they were not read."""
    file: Node | None = None


@record(frozen=True, slots=True)
class Reading:
    """How sources are read."""

    chunk: int = 2 << 20
    """Largest piece in bytes."""
    alignment: int = 1
    """Pieces of data begin and end at multiples of this (the last one excepted)."""
    only_top: bool = False
    """What the top layer does not decide is the target's backing file's business."""
    expand_zeros: bool = False
    """Zeros count as data."""
    leave_raw: bool = False
    """Data that lies plainly in a file is not read but told where it is."""
    salvage: bool = False
    """Unreadable sectors become zeros."""
    skip: int = 0
    """Bytes at the beginning of each source that are left out."""
    limit: int | None = None
    """How many bytes of each source are read at most."""
    warn: Warn | None = None


class Buffers:
    """Buffers in use again and again, the last one first: its pages are there, and in the processor's caches."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._free: list[bytearray] = []

    def take(self) -> bytearray:
        """A buffer; what it holds is arbitrary."""
        try:
            return self._free.pop()
        except IndexError:
            return aligned(self._size)

    def give_back(self, buffer: bytearray) -> None:
        """The buffer is not needed any more."""
        self._free.append(buffer)


class Sources:
    """Images to be read one after the other."""

    def __init__(self, nodes: Sequence[Node], reading: Reading) -> None:
        self._nodes = nodes
        self._reading = reading
        self.buffers = Buffers(reading.chunk)

    @property
    def length(self) -> int:
        """Bytes of all of them."""
        return sum(end - start for start, end in map(self._window, self._nodes))

    def _window(self, node: Node) -> tuple[int, int]:
        start = min(self._reading.skip, node.length)
        limit = self._reading.limit
        return start, node.length if limit is None else min(node.length, start + limit)

    async def pieces(self) -> AsyncIterator[Piece]:
        """Everything, in order. Raises BlockError."""
        start = 0
        for node in self._nodes:
            first, end = self._window(node)
            async for piece in self._pieces_of(node, first, end):
                piece.start += start - first
                yield piece
            start += end - first

    async def _pieces_of(self, node: Node, at: int, end: int) -> AsyncIterator[Piece]:
        reading = self._reading
        base = backing(node) if reading.only_top else None
        while at < end:
            flags, length, offset, file = await self._status(node, at, end - at, base)
            zero = bool(flags & Data.ZERO)
            inherited = reading.only_top and not flags & Data.ALLOCATED
            is_data = not inherited and (not zero or reading.expand_zeros)
            length = self._aligned(at, length, end, reach_out=is_data)
            if not is_data:
                yield Piece(at, length, inherited=inherited)
                at += length
                continue
            stop = at + length
            while at < stop:
                size = min(reading.chunk, stop - at)
                if reading.leave_raw and file is not None:
                    yield Piece(at, size, offset=offset, file=file)
                    offset += size
                else:
                    yield Piece(at, size, await self._read(node, at, size))
                at += size

    def _aligned(self, at: int, length: int, end: int, *, reach_out: bool) -> int:
        """The length with its end at a multiple of the alignment: data reaches over it, zeros stop before it."""
        grain = self._reading.alignment
        if grain <= 1 or at + length >= end:
            return length
        stop = (at + length) // grain * grain
        if reach_out or stop <= at:
            stop = min(-(-(at + length) // grain) * grain, end)
        return stop - at

    async def _status(self, node: Node, at: int, length: int, base: Node | None) -> tuple[Data, int, int, Node | None]:
        """Flags, length, offset and file; with an alignment, of everything up to the next multiple together."""
        extent = await chain_extent(node, at, length, base)
        grain = self._reading.alignment
        plain = extent.file if extent.flags & Data.RAW_OFFSET else None
        if grain <= 1 or extent.length >= min(grain, length):
            return extent.flags, extent.length, extent.offset, plain
        size = min(grain, length)
        flags, seen = extent.flags, extent.length
        while seen < size:
            more = await chain_extent(node, at + seen, size - seen, base)
            kept = flags & more.flags & Data.ZERO
            flags = kept | ((flags | more.flags) & (Data.ALLOCATED | Data.DATA))
            seen += more.length
        return flags, size, 0, None

    async def _read(self, node: Node, at: int, length: int) -> bytearray:
        buffer = self.buffers.take()
        view = memoryview(buffer)[:length]
        try:
            await node.read(at, [view])
        except BlockError as error:
            if not self._reading.salvage:
                raise
            await self._salvage(node, at, view, error)
        return buffer

    async def _salvage(self, node: Node, at: int, view: memoryview, error: BlockError) -> None:
        """Read sector by sector, zeros for what cannot be read."""
        for start in range(0, len(view), 512):
            sector = view[start : start + 512]
            try:
                await node.read(at + start, [sector])
            except BlockError:
                sector[:] = bytes(len(sector))
                if self._reading.warn is not None:
                    self._reading.warn(f"error while reading offset {at + start}: {error}")
