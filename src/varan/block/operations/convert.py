"""Copying images into a new one: what is zero stays unwritten, what is data is read ahead in a second thread."""

from __future__ import annotations

from varan.block.base import BlockError, Data, ErrorKind, Node, Write
from varan.block.drive import run_now
from varan.block.operations import zeros
from varan.block.operations.pace import Pace
from varan.block.operations.pipeline import MAX_DEPTH, Pipeline
from varan.block.operations.source import Buffers, Piece, Reading, Sources
from varan.block.request import write, zero
from varan.light import TYPE_CHECKING, record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import TypeAlias

CHUNK = 2 << 20
"""Bytes read at a time."""
COMPRESSED_CHUNK = 4 << 20
"""Bytes that are compressed at a time, in threads."""
MAX_GRAIN = 64 << 10

Progress: TypeAlias = "Callable[[int, int], None]"
"""Called with the bytes done and the bytes there are."""


@record(slots=True)
class ConvertOptions:
    """How a copy is made."""

    sparse: int = 4096
    """Runs of zeros at least this long are not written; 0: everything is."""
    depth: int = 8
    """Pieces on their way between reading and writing (more than `pipeline.MAX_DEPTH` are of no use)."""
    target_is_zero: bool = False
    """The target reads as zeros where nothing is written."""
    target_has_backing: bool = False
    """Only what the sources' top layers decide is copied."""
    compressed: bool = False
    salvage: bool = False
    copy_range: bool = False
    """Let the kernel copy from file to file where it can."""
    rate: int = 0
    """Bytes per second at most; 0: no limit."""
    skip: int = 0
    """Bytes at the beginning of each source that are left out."""
    limit: int | None = None
    """How many bytes of each source are read at most."""
    progress: Progress | None = None
    warn: Callable[[str], None] | None = None


def convert(sources: Sequence[Node], target: Node, options: ConvertOptions) -> None:
    """Write the content of `sources`, one after the other, to `target`. Raises BlockError.

    Drives the nodes by hand, those of the sources in a thread of its own: source and target must belong to different
    graphs, and no event loop may be using them.
    """
    reading = Reading(
        chunk=COMPRESSED_CHUNK if options.compressed else CHUNK,
        alignment=_alignment(target, options),
        only_top=options.target_has_backing,
        expand_zeros=options.sparse == 0 and not options.compressed,
        leave_raw=options.copy_range and not options.compressed,
        salvage=options.salvage,
        skip=options.skip,
        limit=options.limit,
        warn=options.warn,
    )
    reader = Sources(sources, reading)
    if reader.length > target.length:
        raise BlockError(ErrorKind.INVALID, "output file is smaller than input file", where=target.filename)
    writer = _writer(target, options, reader)
    Pipeline(reader.pieces(), min(options.depth, MAX_DEPTH)).drain(writer.put)
    run_now(writer.finish())


def _alignment(target: Node, options: ConvertOptions) -> int:
    if options.compressed:
        return max(target.limits.zero_alignment, 512)
    return 1


def _writer(target: Node, options: ConvertOptions, reader: Sources) -> Writer:
    if options.compressed:
        from varan.block.operations.compressed import CompressedWriter

        return CompressedWriter(target, options, reader.length, reader.buffers)
    return Writer(target, options, reader.length, reader.buffers)


class Writer:
    """The writing half."""

    def __init__(self, target: Node, options: ConvertOptions, total: int, buffers: Buffers) -> None:
        self._target = target
        self._options = options
        self._total = total
        self._buffers = buffers
        self._grain = max(options.sparse, min(target.limits.zero_alignment, MAX_GRAIN)) if options.sparse else 0
        self._pace = Pace(options.rate)

    async def put(self, piece: Piece) -> None:
        """Write one piece. Raises BlockError."""
        if piece.file is not None:
            await self._copy(piece)
        elif piece.buffer is not None:
            await self._put_data(piece.start, piece.length, piece.buffer)
            self._buffers.give_back(piece.buffer)
        elif not piece.inherited:
            await self._put_zeros(piece.start, piece.length)
        self._account(piece)

    async def finish(self) -> None:
        """Everything was put: write it back."""
        end = self._target.length
        if self._total < end and not self._options.target_is_zero and not self._options.target_has_backing:
            await self._put_zeros(self._total, end - self._total)
        await self._target.flush()

    async def _put_data(self, start: int, length: int, buffer: bytearray) -> None:
        view = memoryview(buffer)
        for at, size, empty in zeros.runs(buffer, length, self._grain, start):
            if empty:
                await self._put_zeros(start + at, size)
            else:
                await write(self._target, start + at, [view[at : at + size]])

    async def _put_zeros(self, start: int, length: int) -> None:
        if not self._options.target_is_zero:
            flags = Write.MAY_UNMAP if self._options.sparse else Write.NONE
            await zero(self._target, start, length, flags)

    async def _copy(self, piece: Piece) -> None:
        """Have the kernel copy from file to file; read and write when it cannot."""
        assert piece.file is not None
        from varan.block.operations.offload import copy_range

        done = await copy_range(piece.file, piece.offset, self._target, piece.start, piece.length)
        rest = piece.length - done
        if rest:
            buffer = self._buffers.take()
            await piece.file.read(piece.offset + done, [memoryview(buffer)[:rest]])
            await self._put_data(piece.start + done, rest, buffer)
            self._buffers.give_back(buffer)

    def _account(self, piece: Piece) -> None:
        if self._options.progress is not None:
            self._options.progress(piece.start + piece.length, self._total)
        if piece.buffer is not None or piece.file is not None:
            self._pace.account(piece.length)


def reads_as_zero(target: Node) -> bool:
    """Whether nothing in the target was ever written, and so all of it is zeros."""

    async def look() -> bool:
        extent = await target.block_status(0, target.length)
        return extent.length == target.length and (
            bool(extent.flags & Data.ZERO) or (not extent.flags & Data.ALLOCATED and "backing" not in target.children)
        )

    return target.length == 0 or run_now(look())
