"""All references of an L1 table at once: counted up, given back, and the COPIED flags that follow from refcounts.

A table is worked through slice by slice with array operations; adjacent clusters are counted as runs.
"""

from __future__ import annotations

from array import array
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Any

from varan.block.base import BlockError
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.check_l2 import Rules, TableScan, scan
from varan.block.formats.qcow2.metadata import Metadata

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

_WIDTHS = {1: "u1", 2: "u2", 4: "u4", 8: "u8"}


def _words(entries: Any) -> NDArray[np.uint64]:
    """The words of a cached slice, shared with it."""
    import numpy as np

    return np.frombuffer(entries, np.uint64)


def _scan(metadata: Metadata, words: NDArray[np.uint64]) -> TableScan:
    rules = Rules(metadata.geometry, metadata.header.has_data_file, max(metadata.file.length, 1))
    return scan(words, rules)


async def _slices(metadata: Metadata, l1: array[int]) -> AsyncIterator[int]:
    """File offsets of all L2 slices that `l1` leads to."""
    size = metadata.geometry.cluster_size
    for entry in l1:
        table = entry & q.OFFSET_MASK
        if table and not table & (size - 1) and table < metadata.file.length:
            for at in range(0, size, metadata.slice_bytes):
                yield table + at


def _runs_of(found: TableScan) -> list[tuple[int, int, int]]:
    import numpy as np

    clusters = np.concatenate([found.clusters, *found.compressed_runs])
    if not clusters.size:
        return []
    distinct, times = np.unique(clusters, return_counts=True)
    breaks = np.flatnonzero((np.diff(distinct) != 1) | (np.diff(times) != 0)) + 1
    starts = np.concatenate(([0], breaks))
    lengths = np.diff(np.concatenate((starts, [len(distinct)])))
    return list(zip(distinct[starts].tolist(), lengths.tolist(), times[starts].tolist(), strict=True))


async def runs(metadata: Metadata, l1: array[int]) -> AsyncIterator[tuple[int, int, int]]:
    """(first cluster, clusters, times) of everything that `l1` refers to: L2 tables and data."""
    size = metadata.geometry.cluster_size
    async for offset in _slices(metadata, l1):
        if not offset & (size - 1):
            yield offset >> metadata.geometry.cluster_bits, 1, 1
        if metadata.header.has_data_file:
            continue
        table = await metadata.l2.get(offset)
        for run in _runs_of(_scan(metadata, _words(table.entries).copy())):
            yield run


async def add(metadata: Metadata, l1: array[int]) -> None:
    """Count one more reference to everything that `l1` refers to; all or nothing. Raises BlockError."""
    done = 0
    try:
        async for first, count, times in runs(metadata, l1):
            await metadata.refcounts.add(first, count, times)
            done += 1
            if metadata.crowded:
                await metadata.commit_locked(closing=True)
    except BlockError:
        async for first, count, times in runs(metadata, l1):
            if not done:
                break
            await metadata.refcounts.add(first, count, -times)
            done -= 1
        raise


async def release(metadata: Metadata, l1: array[int]) -> None:
    """Give back what `l1` refers to, once the next commit has made that durable."""
    async for first, count, times in runs(metadata, l1):
        for _ in range(times):
            metadata.refcounts.release(first, count)


async def _counts(metadata: Metadata, clusters: NDArray[np.int64]) -> NDArray[np.uint64]:
    import numpy as np

    counts = np.zeros(clusters.size, np.uint64)
    per_block = metadata.geometry.refcounts_per_block
    regions = clusters // per_block
    for region in np.unique(regions).tolist():
        block = await metadata.refcounts.block(region)
        if block is not None:
            here = regions == region
            entries: Any = block.entries
            width = _WIDTHS[memoryview(entries).itemsize]
            counts[here] = np.frombuffer(entries, width)[clusters[here] - region * per_block]
    return counts


async def set_flags(metadata: Metadata, l1: array[int]) -> None:
    """Make the COPIED flags in the L2 tables of `l1` say which clusters have exactly one reference."""
    import numpy as np

    if metadata.header.has_data_file:
        return
    step = metadata.geometry.words_per_entry
    async for offset in _slices(metadata, l1):
        found = _scan(metadata, _words((await metadata.l2.get(offset)).entries).copy())
        alone = await _counts(metadata, found.clusters) == 1
        changed = found.indexes[alone != found.copied]
        if not changed.size:
            continue
        table = await metadata.l2.get(offset)
        words = _words(table.entries)
        words[changed * step] ^= np.uint64(q.COPIED)
        metadata.l2.touch(table, int(changed[0]) * step, (int(changed[-1]) + 1) * step)
        if metadata.crowded:
            await metadata.commit_locked(closing=True)


async def set_root_flags(metadata: Metadata) -> None:
    """The same for the disk's L1 table itself."""
    for index, entry in enumerate(metadata.l1):
        if entry & q.OFFSET_MASK:
            alone = await metadata.refcounts.get((entry & q.OFFSET_MASK) >> metadata.geometry.cluster_bits) == 1
            if alone != bool(entry & q.COPIED):
                metadata.l1[index] = entry ^ q.COPIED
                metadata.l1_dirty.add(index)
