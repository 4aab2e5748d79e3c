"""Requests as users of a node make them: checked against its size and mode, with the options every node has applied.

A driver's own methods trust their arguments. These do not: they refuse what is out of bounds or read-only, make
writethrough writes stable, turn zeros into cheap zeroing where `detect-zeroes` asks for it, and fall back to writing
zeros where a node cannot zero cheaply.
"""

from __future__ import annotations

from varan.block.base import BlockError, Buffers, Data, ErrorKind, Extent, Node, Write
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

_ZERO_BYTES = bytes(1 << 20)
_ZEROS = memoryview(_ZERO_BYTES)


def size_of(buffers: Buffers) -> int:
    """Bytes in all buffers together."""
    return sum(map(len, buffers))


def check_range(node: Node, offset: int, length: int) -> None:
    """Raise BlockError (INVALID) unless the range lies within the node."""
    if offset < 0 or length < 0 or offset + length > node.length:
        raise BlockError(
            ErrorKind.INVALID,
            f"{length} bytes from {offset} on are out of the {node.length} bytes there are",
            where=node.filename,
            offset=offset,
        )


def check_writable(node: Node) -> None:
    """Raise BlockError (READ_ONLY) for a read-only node."""
    if node.read_only:
        raise BlockError(ErrorKind.READ_ONLY, "the image is read-only", where=node.filename)


async def read(node: Node, offset: int, buffers: Buffers) -> None:
    """Fill `buffers` from `offset`. Raises BlockError."""
    check_range(node, offset, size_of(buffers))
    await node.read(offset, buffers)


async def write(node: Node, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
    """Write `buffers` at `offset`. Raises BlockError."""
    check_writable(node)
    length = size_of(buffers)
    check_range(node, offset, length)
    options = node.options
    if not options.cache_writeback:
        flags |= Write.FUA
    if options.detect_zeroes != "off" and length and all(map(is_zero, buffers)):
        if options.detect_zeroes == "unmap":
            flags |= Write.MAY_UNMAP
        await zero(node, offset, length, flags)
        return
    await node.write(offset, buffers, flags)


async def read_bytes(node: Node, offset: int, length: int) -> bytes:
    """`length` bytes from `offset` on. Raises BlockError."""
    check_range(node, offset, length)
    data = bytearray(length)
    if length:
        await node.read(offset, [memoryview(data)])
    return bytes(data)


async def write_bytes(node: Node, offset: int, data: bytes | bytearray | memoryview, flags: Write = Write.NONE) -> None:
    """Write `data` at `offset`. Raises BlockError."""
    await write(node, offset, [memoryview(data).cast("B")], flags)


async def zero(node: Node, offset: int, length: int, flags: Write = Write.NONE) -> None:
    """Make the range read as zeros, as cheaply as the node can; by writing zeros where it cannot (unless
    `Write.NO_FALLBACK` is set, then UNSUPPORTED is raised). Raises BlockError."""
    check_writable(node)
    check_range(node, offset, length)
    if not node.options.discard:
        flags &= ~Write.MAY_UNMAP
    if not node.options.cache_writeback:
        flags |= Write.FUA
    if length:
        await zero_within(node, offset, length, flags)


async def zero_within(node: Node, offset: int, length: int, flags: Write = Write.NONE) -> None:
    """`zero` for drivers that zero a range of their child, which they know to be in bounds."""
    try:
        await node.write_zeroes(offset, length, flags)
        return
    except BlockError as error:
        if error.kind is not ErrorKind.UNSUPPORTED or flags & Write.NO_FALLBACK:
            raise
    flags &= ~Write.MAY_UNMAP
    end = offset + length
    while offset < end:
        step = min(end - offset, len(_ZEROS))
        await node.write(offset, [_ZEROS[:step]], flags)
        offset += step


async def discard(node: Node, offset: int, length: int) -> None:
    """The range's content matters no more. Ignored unless the node was opened with discard=unmap. Raises BlockError."""
    check_writable(node)
    check_range(node, offset, length)
    if node.options.discard and length:
        await node.discard(offset, length)


async def truncate(node: Node, length: int, preallocation: str = "off", *, exact: bool = True) -> None:
    """Change the size. Raises BlockError."""
    check_writable(node)
    if not 0 <= length < 1 << 63:
        raise BlockError(ErrorKind.INVALID, f"{length} bytes are no size an image can have", where=node.filename)
    await node.truncate(length, preallocation, exact=exact)


async def walk_status(
    node: Node, offset: int, length: int, base: Node | None = None
) -> AsyncIterator[tuple[int, Extent]]:
    """What the chain from `node` down to above `base` says of the range: (start, extent), neighbours not merged.

    Without ALLOCATED no layer above `base` decides the bytes; such bytes read as zeros when `base` is None.
    """
    end = offset + length
    while offset < end:
        extent = await chain_status(node, offset, end - offset, base)
        yield offset, extent
        offset += extent.length


async def chain_status(node: Node, offset: int, length: int, base: Node | None = None) -> Extent:
    """The first extent of `walk_status`."""
    layer: Node | None = node
    while layer is not None and layer is not base:
        rest = layer.length - offset
        if rest <= 0:
            return Extent(length, Data.ZERO | Data.ALLOCATED)
        extent = await layer.block_status(offset, min(length, rest))
        if extent.flags & Data.ALLOCATED:
            return extent
        length = extent.length
        layer = backing_of(layer)
    return Extent(length, Data.ZERO if layer is None else Data.NONE)


def unfiltered(node: Node) -> Node:
    """What filters at `node` stand before (`node` itself when it is none)."""
    while (child := node.filtered) is not None:
        node = child
    return node


def backing_of(node: Node) -> Node | None:
    """The next layer below `node`, looking through filters."""
    edge = unfiltered(node).children.get("backing")
    return None if edge is None else edge.node


def is_zero(buffer: memoryview) -> bool:
    """Whether all bytes are zero."""
    if len(buffer) and (buffer[0] or buffer[-1]):
        return False
    for start in range(0, len(buffer), len(_ZEROS)):
        # startswith compares by memcmp; comparing memoryviews goes item by item.
        if not _ZERO_BYTES.startswith(buffer[start : start + len(_ZEROS)]):
            return False
    return True
