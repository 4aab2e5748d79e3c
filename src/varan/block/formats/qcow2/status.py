"""What an image's file says of its clusters: whether metadata was preallocated over holes."""

from __future__ import annotations

from varan.block.base import BlockError
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from varan.block.formats.qcow2.metadata import Metadata
    from varan.block.formats.qcow2.node import Qcow2Node


async def detect_preallocation(node: Qcow2Node) -> bool:
    """Whether clearly more clusters are in use than the host stores, so that asking the file about them pays."""
    stored, size = node.file.stored(), node.metadata.header.cluster_size
    if stored is None:
        return False
    clusters, kept = -(-node.file.length // size), stored // size
    enough = max(kept * 10 // 9, kept + 2)
    if clusters < enough:
        return False
    try:
        async with node.metadata.lock:
            return await _used(node.metadata, clusters, enough) >= enough
    except BlockError:
        # Damaged counts do not keep anyone from reading the image.
        return False


async def _used(metadata: Metadata, clusters: int, enough: int) -> int:
    """How many of the first `clusters` clusters are in use; the count may stop when it is `enough`."""
    header, refcounts, used = metadata.header, metadata.refcounts, 0
    if not refcounts.table:
        entries = header.refcount_table_clusters * header.cluster_size // 8
        refcounts.load(await metadata.read_table(header.refcount_table_offset, entries), header.refcount_table_offset)
    per_block = metadata.geometry.refcounts_per_block
    for region in range(min(-(-clusters // per_block), len(refcounts.table))):
        block = await refcounts.block(region)
        if block is not None:
            counts = block.entries[: clusters - region * per_block]
            used += len(counts) - counts.count(0)
        if used >= enough:
            break
    return used
