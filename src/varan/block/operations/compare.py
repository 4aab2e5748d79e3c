"""Whether two images show the same bytes. Images of different sizes are the same when the longer ends in zeros."""

from __future__ import annotations

from varan.block.base import BlockError, Data, Node
from varan.block.drive import run_now
from varan.block.memory import aligned
from varan.block.operations.extents import ChainExtent, chain_extent
from varan.block.operations.zeros import first_difference, first_nonzero
from varan.light import TYPE_CHECKING, Enum, record

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor
    from typing import TypeAlias

CHUNK = 1 << 20
SIDE_BY_SIDE = 256 << 10
"""Bytes from which on it pays to read both images at the same time."""
SECTOR = 512
"""Differences are told by the sector they are in."""

Progress: TypeAlias = "Callable[[int, int], None]"
"""Called with the bytes done and the bytes there are."""


class Verdict(Enum):
    """How two images differ."""

    IDENTICAL = "identical"
    CONTENT = "content"
    SIZE = "size"
    STATUS = "status"


class StatusError(BlockError):
    """The allocation of an image could not be told."""


@record(frozen=True, slots=True)
class Result:
    """The verdict, with the byte it was reached at; `sizes_differ` where one goes on
    behind the other's end."""

    verdict: Verdict
    offset: int = 0
    sizes_differ: bool = False


class Comparison:
    """One comparison of two nodes. `strict`: the sizes and what is allocated must be the same too."""

    def __init__(self, one: Node, two: Node, *, strict: bool = False, progress: Progress | None = None) -> None:
        self._nodes = (one, two)
        self._strict = strict
        self._progress = progress
        self._buffers = (aligned(CHUNK), aligned(CHUNK))
        self._helper: ThreadPoolExecutor | None = None

    async def run(self) -> Result:
        """Compare until the first difference. Raises BlockError when an image cannot be read."""
        try:
            return await self._run()
        finally:
            if self._helper is not None:
                self._helper.shutdown()

    async def _run(self) -> Result:
        one, two = self._nodes
        common, total = sorted((one.length, two.length))
        if self._strict and common != total:
            return Result(Verdict.SIZE, sizes_differ=True)
        at = 0
        while at < common:
            first = await _status(one, at, common - at)
            second = await _status(two, at, first.length)
            length = second.length
            if self._strict and _strict_kind(first) != _strict_kind(second):
                return Result(Verdict.STATUS, at)
            difference = await self._compare(at, length, first, second)
            if difference is not None:
                return Result(Verdict.CONTENT, difference & -SECTOR)
            at += length
            self._report(at, total)
        return await self._check_tail(common, total)

    async def _check_tail(self, at: int, end: int) -> Result:
        differ = at != end
        longer = max(self._nodes, key=lambda node: node.length)
        while at < end:
            extent = await _status(longer, at, end - at)
            if not extent.reads_zero:
                difference = await self._find_nonzero(longer, 0, at, extent.length)
                if difference is not None:
                    return Result(Verdict.CONTENT, difference & -SECTOR, differ)
            at += extent.length
            self._report(at, end)
        return Result(Verdict.IDENTICAL, sizes_differ=differ)

    async def _compare(self, at: int, length: int, first: ChainExtent, second: ChainExtent) -> int | None:
        if first.reads_zero and second.reads_zero:
            return None
        if first.reads_zero or second.reads_zero:
            index = 1 if first.reads_zero else 0
            return await self._find_nonzero(self._nodes[index], index, at, length)
        if length >= SIDE_BY_SIDE:
            from varan.block.operations.side_by_side import first_plain_difference, plain_file

            files = plain_file(first), plain_file(second)
            if files[0] is not None and files[1] is not None:
                places = (files[0], first.offset), (files[1], second.offset)
                found = first_plain_difference(*places, length)
                return None if found is None else at + found
        one, two = self._buffers
        for start in range(at, at + length, CHUNK):
            size = min(CHUNK, at + length - start)
            await self._read_both(start, size)
            same = one == two if size == CHUNK else False
            if not same and (difference := first_difference(one, two, size)) < size:
                return start + difference
        return None

    async def _read_both(self, start: int, size: int) -> None:
        """Fill both buffers; side by side where the nodes block their thread and share nothing."""
        one, two = self._nodes
        views = [[memoryview(buffer)[:size]] for buffer in self._buffers]
        if size < SIDE_BY_SIDE or not (one.options.inline and two.options.inline) or one is two:
            await one.read(start, views[0])
            await two.read(start, views[1])
            return
        if self._helper is None:
            from concurrent.futures import ThreadPoolExecutor

            self._helper = ThreadPoolExecutor(1, "varan-compare")
        other = self._helper.submit(run_now, two.read(start, views[1]))
        try:
            await one.read(start, views[0])
        finally:
            other.result()

    async def _find_nonzero(self, node: Node, index: int, at: int, length: int) -> int | None:
        buffer = self._buffers[index]
        for start in range(at, at + length, CHUNK):
            size = min(CHUNK, at + length - start)
            await node.read(start, [memoryview(buffer)[:size]])
            if (found := first_nonzero(buffer, size)) < size:
                return start + found
        return None

    def _report(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._progress(done, total)


async def _status(node: Node, offset: int, length: int) -> ChainExtent:
    try:
        return await chain_extent(node, offset, length)
    except BlockError as error:
        raise StatusError(error.kind, str(error), offset=offset) from error


def _strict_kind(extent: ChainExtent) -> Data:
    return extent.flags & (Data.DATA | Data.ZERO | Data.ALLOCATED)
