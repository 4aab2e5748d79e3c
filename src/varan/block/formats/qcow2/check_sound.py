"""The check of an image of moderate size in which nothing is wrong, which most are: shown without numpy.

Importing numpy takes longer than all of this. Where anything at all is unusual (findings, snapshots, compressed or
encrypted clusters, shared clusters) nothing is said, and `check` looks at the image.
"""

from __future__ import annotations

import sys
from array import array
from itertools import pairwise

from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.check_report import CheckReport, Fix, Image
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from varan.block.base import Node
    from varan.block.formats.qcow2.header import Header

MAX_CLUSTERS = 1 << 17
"""Clusters of a file up to which this is faster: 8 GiB of the usual size."""
_WIDTH = 16
"""Bits of a refcount, as nearly all images have it."""


class _UnusualError(Exception):
    """This image is for the full check."""


async def prove_sound(file: Node, header: Header) -> CheckReport | None:
    """The report on a sound image; None when it cannot be said here whether it is. Raises BlockError."""
    image = Image(file, header, Fix.NONE)
    unusual = header.snapshots or header.crypt_method or header.has_data_file or header.extended_l2
    if unusual or header.extension(q.EXTENSION_BITMAPS) is not None or image.geometry.refcount_bits != _WIDTH:
        return None
    if image.clusters > MAX_CLUSTERS or not header.l1_size:
        return None
    proof = _Proof(image)
    try:
        await proof.run()
    except _UnusualError:
        return None
    return image.report


class _Proof:
    """Follows every reference once; each cluster may be met one time only."""

    def __init__(self, image: Image) -> None:
        self._image = image
        self._bits = image.geometry.cluster_bits
        self._used: set[int] = set()
        self._low_bits = (1 << self._bits) - 1

    async def run(self) -> None:
        """Fill the image's report. Raises _UnusualError."""
        image, header = self._image, self._image.header
        report = image.report
        report.total_clusters = image.geometry.clusters(header.size)
        self._use([0])
        table_bytes = header.refcount_table_clusters * header.cluster_size
        self._use_range(header.refcount_table_offset, table_bytes)
        blocks = q.table_from_bytes(await image.read(header.refcount_table_offset, table_bytes))
        regions = [region for region, offset in enumerate(blocks) if offset]
        self._use(self._clusters([blocks[region] for region in regions]))
        self._use_range(header.l1_table_offset, header.l1_size * 8)
        l1 = q.table_from_bytes(await image.read(header.l1_table_offset, header.l1_size * 8))
        tables = self._clusters([entry ^ q.COPIED for entry in l1 if entry])
        self._use(tables)
        for cluster in tables:
            await self._l2(cluster)
        await self._refcounts({region: blocks[region] for region in regions})
        report.image_end_offset = max(self._used) + 1 << self._bits

    def _use(self, clusters: list[int]) -> None:
        before = len(self._used)
        self._used.update(clusters)
        if len(self._used) != before + len(clusters):
            raise _UnusualError

    def _use_range(self, offset: int, length: int) -> None:
        last = self._image.geometry.clusters(offset + length)
        if last > self._image.clusters:
            raise _UnusualError
        self._use(list(range(offset >> self._bits, last)))

    def _clusters(self, offsets: list[int]) -> list[int]:
        """The clusters that begin at `offsets`. Whatever other bit an entry has makes an offset that is none."""
        if offsets and max(offsets) >= self._image.length:
            raise _UnusualError
        low, bits = self._low_bits, self._bits
        if any(map(low.__and__, offsets)):
            raise _UnusualError
        return [offset >> bits for offset in offsets]

    async def _l2(self, cluster: int) -> None:
        words = q.table_from_bytes(await self._image.read(cluster << self._bits, 1 << self._bits))
        # 0 and 1 are what is unallocated, and what is zeros and has no cluster.
        found = self._clusters([word ^ q.COPIED for word in words if word > q.ZERO])
        self._use(found)
        report = self._image.report
        report.allocated_clusters += len(found)
        if found and found != list(range(found[0], found[0] + len(found))):
            report.fragmented_clusters += sum(after - before != 1 for before, after in pairwise(found))

    async def _refcounts(self, blocks: dict[int, int]) -> None:
        """All that was met is counted once, and nothing else is."""
        per_block = self._image.geometry.refcounts_per_block
        by_region: dict[int, list[int]] = {}
        if len(blocks) == 1:
            by_region[next(iter(blocks))] = list(self._used)
        else:
            for cluster in self._used:
                by_region.setdefault(cluster // per_block, []).append(cluster)
        if by_region.keys() - blocks.keys():
            raise _UnusualError
        for region, offset in blocks.items():
            first, used = region * per_block, by_region.get(region, [])
            if used and not first <= min(used) <= max(used) < first + per_block:
                raise _UnusualError
            counts = _counts(await self._image.read(offset, 1 << self._bits))
            if {counts[cluster - first] for cluster in used} - {1} or len(counts) - counts.count(0) != len(used):
                raise _UnusualError


def _counts(block: bytearray) -> array[int]:
    counts = array("H", bytes(block))
    if sys.byteorder == "little":
        counts.byteswap()
    return counts
