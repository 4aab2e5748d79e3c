"""Growing, shrinking and preallocating images."""

from __future__ import annotations

import struct

from varan.block.base import BlockError, ErrorKind, Write
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2 import zeroing
from varan.block.formats.qcow2.entries import Covered
from varan.block.request import zero_within
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from varan.block.formats.qcow2.node import Qcow2Node

MODES = ("off", "metadata", "falloc", "full")


async def truncate(node: Qcow2Node, length: int, preallocation: str) -> None:
    """Change the guest's size. Raises BlockError."""
    header = node.metadata.header
    node.metadata.check_writable()
    if preallocation not in MODES:
        raise BlockError(ErrorKind.INVALID, f"there is no preallocation mode '{preallocation}'", where=node.filename)
    if length % q.SECTOR:
        raise BlockError(ErrorKind.INVALID, f"the new size must be a multiple of {q.SECTOR}", where=node.filename)
    if header.snapshots:
        from varan.block.formats.qcow2 import snapshots

        snapshots.resize_allowed(node, length)
    if header.extension(q.EXTENSION_BITMAPS) is not None:
        from varan.block.formats.qcow2 import bitmaps

        bitmaps.resize_allowed(node, length)
    if length < node.length:
        if preallocation != "off":
            raise BlockError(ErrorKind.INVALID, "preallocation cannot be used for shrinking", where=node.filename)
        await _shrink(node, length)
    else:
        await _grow(node, length, preallocation)


async def _grow(node: Qcow2Node, length: int, preallocation: str) -> None:
    metadata, geometry = node.metadata, node.metadata.geometry
    old, size = node.length, geometry.cluster_size
    if preallocation != "off" and node.backing is not None and not geometry.extended_l2:
        raise BlockError(
            ErrorKind.UNSUPPORTED,
            "preallocation over a backing file wants extended L2 entries",
            where=node.filename,
        )
    if length > q.MAX_IMAGE_BYTES:
        raise BlockError(ErrorKind.INVALID, "the new size is too large", where=node.filename)
    async with metadata.lock:
        await metadata.grow_l1(geometry.l1_entries(length))
    backing = node.backing
    stale = max(-(-old // size) * size, backing.length if backing is not None else 0)
    if min(length, stale) > old:
        await zero_within(node, old, min(length, stale) - old, Write.NONE)
    if metadata.header.has_data_file and node.data_file.length < length:
        await node.data_file.truncate(length, preallocation if preallocation != "metadata" else "off")
    if preallocation != "off":
        await preallocate(node, -(-old // size) * size, length, preallocation)
    await metadata.commit()
    await _set_size(node, length)


async def _set_size(node: Qcow2Node, length: int) -> None:
    metadata = node.metadata
    await metadata.write_bytes(q.AT_SIZE, struct.pack(">Q", length))
    await metadata.file.flush()
    metadata.header.size = length
    node.set_length(length)


async def preallocate(node: Qcow2Node, start: int, end: int, mode: str) -> None:
    """Give every cluster from `start` (a cluster's) to `end` that has none a place; `mode` says how firm a one."""
    metadata = node.metadata
    bits = metadata.geometry.cluster_bits
    at = start
    while at < end:
        async with node.writer.exclusive(at >> bits, (end - 1 >> bits) + 1):
            clusters, host_end = await _preallocate_some(node, at, end)
            if mode in ("falloc", "full") and host_end > node.data_file.length:
                await node.data_file.truncate(host_end, mode)
            if metadata.crowded:
                await metadata.commit_locked()
        at += clusters << bits
    last = metadata.refcounts.hint << bits
    if not metadata.header.has_data_file and node.file.length < last:
        await node.file.truncate(last, exact=False)


async def _preallocate_some(node: Qcow2Node, at: int, end: int) -> tuple[int, int]:
    """Clusters done from `at` on, and where in the data file the last one ends (0: there was nothing to do)."""
    metadata, editor = node.metadata, node.writer.editor
    bits, words = metadata.geometry.cluster_bits, metadata.geometry.words_per_entry
    table, index = await metadata.slice_for_change(at)
    wanted = min((end - 1 >> bits) + 1 - (at >> bits), metadata.slice_entries - index)
    entries = table.entries[index * words : (index + wanted) * words : words]
    taken = next((position for position, entry in enumerate(entries) if entry), wanted)
    if not taken:
        return 1, 0
    if metadata.header.has_data_file:
        host = at
    else:
        first, taken = await metadata.refcounts.allocate_run(taken)
        host = first << bits
        node.writer.virgin_from = max(node.writer.virgin_from, host + (taken << bits))
    table, index = await metadata.slice_for_change(at)
    editor.link(table.entries, index, host, Covered(taken, 0, 0))
    metadata.l2.touch(table, index * words, (index + taken) * words)
    return taken, host + (taken << bits)


async def _shrink(node: Qcow2Node, length: int) -> None:
    metadata, geometry = node.metadata, node.metadata.geometry
    size = geometry.cluster_size
    low, high = -(-length // size) * size, -(-node.length // size) * size
    if low < high:
        await zeroing.drop(node, low, high, hide_backing=False)
    kept = geometry.l1_entries(length)
    async with metadata.lock:
        await metadata.commit_locked()
        for index in range(kept, min(len(metadata.l1), geometry.l1_entries(node.length))):
            entry = metadata.l1[index] & q.OFFSET_MASK
            if entry:
                metadata.l1[index] = 0
                metadata.l1_dirty.add(index)
                metadata.forget_l2(entry)
                metadata.refcounts.release(entry >> geometry.cluster_bits, 1)
        await metadata.commit_locked()
    await _set_size(node, length)
    if metadata.header.has_data_file:
        if metadata.header.data_file_raw:
            await node.data_file.truncate(length)
        return
    async with metadata.lock:
        await metadata.commit_locked(closing=True)
        await metadata.refcounts.drop_empty_blocks()
        await metadata.commit_locked(closing=True)
        end = (await metadata.refcounts.last_used() + 1) << geometry.cluster_bits
        if end < node.file.length:
            await node.file.truncate(end, exact=False)
            node.writer.virgin_from = end
