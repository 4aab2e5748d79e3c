"""Moving what the layers above a base decide into that base."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence

from varan.block.base import Data, Node, Write
from varan.block.drive import run_now
from varan.block.operations.convert import Progress
from varan.block.operations.extents import layered_extent
from varan.block.operations.pace import Pace
from varan.block.operations.pipeline import MAX_DEPTH, Pipeline
from varan.block.operations.source import Buffers, Piece
from varan.block.request import truncate, write, zero

CHUNK = 2 << 20


def commit(layers: Sequence[Node], base: Node, *, rate: int = 0, progress: Progress | None = None) -> None:
    """Write to `base` all that `layers` (topmost first) decide. Raises BlockError.

    The layers are opened without their backing files, the base for writing, each in a graph of its own: a thread
    reads the layers while the caller's thread writes. `base` grows when it is the shorter one. No event loop may be
    using the nodes.
    """
    length = layers[0].length
    if base.length < length:
        run_now(truncate(base, length))
    _Commit(layers, base, rate, progress).run()
    run_now(base.flush())


class _Commit:
    def __init__(self, layers: Sequence[Node], base: Node, rate: int, progress: Progress | None) -> None:
        self._layers = layers
        self._base = base
        self._progress = progress
        self._pace = Pace(rate)
        self._buffers = Buffers(CHUNK)
        self._end = layers[0].length

    def run(self) -> None:
        Pipeline(self._pieces(), MAX_DEPTH).drain(self._put)

    async def _pieces(self) -> AsyncIterator[Piece]:
        at = 0
        while at < self._end:
            extent = await layered_extent(self._layers, at, self._end - at, Data.NONE)
            stop = at + extent.length
            if extent.reads_zero or not extent.allocated:
                yield Piece(at, extent.length, inherited=not extent.allocated)
                at = stop
            while at < stop:
                size = min(CHUNK, stop - at)
                buffer = self._buffers.take()
                await extent.layer.read(at, [memoryview(buffer)[:size]])
                yield Piece(at, size, buffer)
                at += size

    async def _put(self, piece: Piece) -> None:
        if piece.buffer is not None:
            await write(self._base, piece.start, [memoryview(piece.buffer)[: piece.length]])
            self._buffers.give_back(piece.buffer)
            self._pace.account(piece.length)
        elif not piece.inherited:
            await zero(self._base, piece.start, piece.length, Write.MAY_UNMAP)
        if self._progress is not None:
            self._progress(piece.start + piece.length, self._end)
