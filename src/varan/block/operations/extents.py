"""What a chain of images says about its bytes: which layer decides them, and whether they are data or zeros."""

from __future__ import annotations

from varan.block.base import Data, Node
from varan.block.request import backing_of
from varan.light import TYPE_CHECKING, record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence


@record(frozen=True, slots=True)
class ChainExtent:
    """`length` bytes of one kind from `start` on, decided `depth` layers below the top by `layer`."""

    start: int
    length: int
    flags: Data
    depth: int
    layer: Node
    offset: int = 0
    file: Node | None = None

    @property
    def reads_zero(self) -> bool:
        """Whether the bytes are known to be zeros."""
        return bool(self.flags & Data.ZERO)

    @property
    def allocated(self) -> bool:
        """Whether some layer above the base decides them."""
        return bool(self.flags & Data.ALLOCATED)


def backing(node: Node) -> Node | None:
    """The next layer below `node`."""
    return backing_of(node)


def layers(top: Node, base: Node | None = None) -> list[Node]:
    """The chain from `top` down to above `base` (all of it when None)."""
    chain = []
    node: Node | None = top
    while node is not None and node is not base:
        chain.append(node)
        node = backing(node)
    return chain


async def chain_extent(top: Node, offset: int, length: int, base: Node | None = None) -> ChainExtent:
    """The extent that begins at `offset`, at most `length` bytes long, looked up above `base`.

    What no layer decides reads as zeros when there is no `base`.
    """
    return await layered_extent(layers(top, base), offset, length, Data.ZERO if base is None else Data.NONE)


async def layered_extent(chain: Sequence[Node], offset: int, length: int, undecided: Data) -> ChainExtent:
    """The extent that begins at `offset` as the layers of `chain` (topmost first) have it.

    A layer shorter than those above it reads as zeros behind its end, as if it said so itself.
    """
    for depth, layer in enumerate(chain):
        rest = layer.length - offset
        if rest <= 0:
            return ChainExtent(offset, length, Data.ZERO | Data.ALLOCATED, depth, layer)
        extent = await layer.block_status(offset, min(length, rest))
        length = extent.length
        if extent.flags & Data.ALLOCATED:
            return ChainExtent(offset, length, extent.flags, depth, layer, extent.offset, extent.file)
    return ChainExtent(offset, length, undecided, len(chain) - 1, chain[-1])


async def walk(top: Node, offset: int, length: int, base: Node | None = None) -> AsyncIterator[ChainExtent]:
    """The extents from `offset` on, in order, as they are found (neighbours of one kind are not merged)."""
    end = offset + length
    while offset < end:
        extent = await chain_extent(top, offset, end - offset, base)
        yield extent
        offset += extent.length
