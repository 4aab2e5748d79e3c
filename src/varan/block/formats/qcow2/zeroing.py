"""Zeroing and discarding guest bytes by changing L2 entries."""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind, Write
from varan.block.formats.qcow2.buffers import zeros
from varan.block.formats.qcow2.entries import Entries
from varan.block.request import zero_within
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from varan.block.formats.qcow2.node import Qcow2Node

MAX_PIECE = 1 << 20


async def write_zeroes(node: Qcow2Node, offset: int, length: int, flags: Write) -> None:
    """Make guest bytes read as zeros. Raises BlockError; UNSUPPORTED in a version 2 image with a backing file."""
    header, geometry = node.metadata.header, node.metadata.geometry
    node.metadata.check_writable()
    if header.version < 3 and node.backing is not None:
        raise BlockError(ErrorKind.UNSUPPORTED, "version 2 has no zero clusters", where=node.filename)
    size = geometry.cluster_size
    end = offset + length
    low = -(-offset // size) * size
    high = end if end >= node.length else end // size * size
    if low >= high:
        await _write_partial(node, offset, end, flags)
        return
    if header.data_file_raw:
        await zero_within(node.data_file, low, min(high, node.data_file.length) - low, flags & ~Write.FUA)
    await _write_partial(node, offset, low, flags)
    keep = not flags & Write.MAY_UNMAP or header.has_data_file
    editor = node.writer.editor
    await _change(node, low, high, lambda entries, index, count: editor.zero(entries, index, count, keep=keep))
    await _write_partial(node, high, end, flags)


async def _write_partial(node: Qcow2Node, start: int, end: int, flags: Write) -> None:
    """Zero less than a cluster: nothing where it is zeros, by subclusters where there are any, else by writing."""
    if start >= end or await node.reads_zero(start, end - start):
        return
    sub = node.metadata.geometry.subcluster_size
    low, high = -(-start // sub) * sub, end // sub * sub
    if low < high and not node.metadata.header.data_file_raw and await _zero_subclusters(node, low, high):
        await _write_partial(node, start, low, flags)
        await _write_partial(node, high, end, flags)
        return
    if flags & Write.NO_FALLBACK:
        raise BlockError(ErrorKind.UNSUPPORTED, "no cheap zeroing of parts of clusters", where=node.filename)
    for at in range(start, end, MAX_PIECE):
        await node.write_sectors(at, zeros(min(MAX_PIECE, end - at)), node.backing)


async def _zero_subclusters(node: Qcow2Node, start: int, end: int) -> bool:
    """Mark whole subclusters as zeros; False when some cannot be."""
    metadata, writer = node.metadata, node.writer
    size, bits = metadata.geometry.cluster_size, metadata.geometry.cluster_bits
    for at in range(start - start % size, end, size):
        first, last = max(start - at, 0), min(end - at, size)
        async with writer.exclusive(at >> bits, (at >> bits) + 1):
            metadata.check_writable()
            table, index = await metadata.slice_for_change(at)
            if not writer.editor.zero_part(table.entries, index, first, last):
                return False
            words = metadata.geometry.words_per_entry
            metadata.l2.touch(table, index * words, (index + 1) * words)
    return True


async def discard(node: Qcow2Node, offset: int, length: int) -> None:
    """Give whole clusters back. Without zero clusters (version 2) and over a backing file nothing is done."""
    header, geometry = node.metadata.header, node.metadata.geometry
    node.metadata.check_writable()
    hide = node.backing is not None
    if header.version < 3 and hide:
        return
    size = geometry.cluster_size
    low = -(-offset // size) * size
    high = offset + length
    if high < node.length:
        high = high // size * size
    if low >= high:
        return
    if header.data_file_raw:
        await zero_within(node.data_file, low, min(high, node.data_file.length) - low, Write.MAY_UNMAP)
        return
    await drop(node, low, high, hide_backing=hide)
    if header.has_data_file:
        await node.flush()
        await node.data_file.discard(low, min(high, node.data_file.length) - low)


async def drop(node: Qcow2Node, low: int, high: int, *, hide_backing: bool) -> None:
    """Unmap clusters; what was allocated reads as zeros then, even over a backing file, if `hide_backing`."""
    editor = node.writer.editor
    await _change(
        node,
        low,
        high,
        lambda entries, index, count: editor.drop(entries, index, count, hide_backing=hide_backing),
        skip_unmapped=not hide_backing,
    )


async def _change(
    node: Qcow2Node,
    low: int,
    high: int,
    edit: Callable[[Entries, int, int], list[int]],
    *,
    skip_unmapped: bool = False,
) -> None:
    """Apply `edit` to all entries from `low` (a cluster's start) to `high`, slice by slice."""
    metadata, writer = node.metadata, node.writer
    bits, words = metadata.geometry.cluster_bits, metadata.geometry.words_per_entry
    span = metadata.slice_entries << bits
    while low < high:
        end = min(high, low - low % span + span)
        first, last = low >> bits, (end - 1 >> bits) + 1
        async with writer.exclusive(first, last):
            metadata.check_writable()
            if not (skip_unmapped and not metadata.locate(low)[0]):
                table, index = await metadata.slice_for_change(low)
                for entry in edit(table.entries, index, last - first):
                    writer.release_entry(entry)
                metadata.l2.touch(table, index * words, (index + last - first) * words)
            if metadata.crowded or metadata.refcounts.releases_due:
                await metadata.commit_locked()
        low = end
