"""Where an image's content lies: the chain's extents, neighbours of one kind merged."""

from __future__ import annotations

from varan.block.base import Data, Node
from varan.block.operations.extents import ChainExtent, layers
from varan.light import TYPE_CHECKING, record, replace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator


@record(frozen=True, slots=True)
class MapEntry:
    """`length` bytes from `start` on. `offset` is where they lie in the file `filename`; None: nowhere as such."""

    start: int
    length: int
    depth: int
    present: bool
    zero: bool
    data: bool
    offset: int | None
    filename: str | None

    def continued_by(self, other: MapEntry) -> bool:
        """Whether `other`, which follows, is more of the same."""
        return (
            (self.depth, self.present, self.zero, self.data, self.filename)
            == (other.depth, other.present, other.zero, other.data, other.filename)
            and (self.offset is None) == (other.offset is None)
            and (self.offset is None or other.offset == self.offset + self.length)
        )


async def image_map(node: Node, start: int = 0, length: int | None = None) -> AsyncIterator[MapEntry]:
    """The map of `length` bytes from `start` (to the end when None). Raises BlockError."""
    end = node.length if length is None else min(start + length, node.length)
    current: MapEntry | None = None
    chain = layers(node)
    while start < end:
        entry = _entry(await _first_extent(chain, start, end - start))
        start += entry.length
        if current is None:
            current = entry
        elif current.continued_by(entry):
            current = replace(current, length=current.length + entry.length)
        else:
            yield current
            current = entry
    if current is not None:
        yield current


async def _first_extent(chain: list[Node], start: int, length: int) -> ChainExtent:
    """The extent at `start`, told by the topmost layer that knows: bytes behind a short backing file are zeros of the
    layer above it, which need not have them."""
    last = len(chain) - 1
    for depth, layer in enumerate(chain):
        extent = await layer.block_status(start, length)
        length = extent.length
        if depth == last or extent.flags & (Data.DATA | Data.ZERO):
            return ChainExtent(start, length, extent.flags, depth, layer, extent.offset, extent.file)
    raise AssertionError("a chain has a layer")


def _entry(extent: ChainExtent) -> MapEntry:
    flags = extent.flags
    placed = bool(flags & Data.RAW_OFFSET)
    file = extent.file if placed else None
    return MapEntry(
        start=extent.start,
        length=extent.length,
        depth=extent.depth,
        present=bool(flags & Data.ALLOCATED),
        zero=bool(flags & Data.ZERO),
        data=bool(flags & Data.DATA),
        offset=extent.offset if placed else None,
        filename=file.filename if file is not None else None,
    )
