"""Refcounts on disk against the references that were counted: compared, mended in place, or built anew."""

from __future__ import annotations

import struct

from varan.block.base import BlockError, ErrorKind
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.check_report import Fix, Image
from varan.light import TYPE_CHECKING, record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import numpy as np
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]
    Clusters = NDArray[np.int64]


def decode(data: bytes | bytearray, bits: int) -> Words:
    """The entries of a refcount block."""
    import numpy as np

    if bits < 8:
        packed = np.frombuffer(data, np.uint8)
        shifts = np.arange(0, 8, bits, dtype=np.uint8)
        return ((packed[:, None] >> shifts) & np.uint8((1 << bits) - 1)).reshape(-1).astype(np.uint64)
    return np.frombuffer(data, f">u{bits // 8}").astype(np.uint64)


def encode(counts: Words, bits: int) -> bytes:
    """A refcount block of these entries, which fit."""
    import numpy as np

    if bits < 8:
        per_byte = 8 // bits
        shifts = np.arange(0, 8, bits, dtype=np.uint8)
        pieces = counts.astype(np.uint8).reshape(-1, per_byte) << shifts
        packed: NDArray[np.uint8] = np.bitwise_or.reduce(pieces, axis=1)
        return packed.astype(np.uint8).tobytes()
    data: bytes = counts.astype(f">u{bits // 8}").tobytes()
    return data


@record(frozen=True, slots=True)
class Mismatch:
    """Clusters whose refcount on disk is not the number of references."""

    clusters: Clusters
    counted: Words
    references: Words


class RefcountCheck:
    """Checks and mends the refcount structures of an image whose references are all counted."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.bits = image.geometry.refcount_bits
        self.per_block = image.geometry.refcounts_per_block
        self.blocks: dict[int, int] = {}
        """Offsets of usable refcount blocks by region."""
        self.faults = 0
        """Corruptions of the structures themselves: gone after a rebuild."""
        self._wrong: list[Mismatch] = []

    async def load_table(self) -> None:
        """Count the refcount table and its blocks, and find out which blocks can be used."""
        image, header = self.image, self.image.header
        size = header.refcount_table_clusters * image.geometry.cluster_size
        if not image.count("the refcount table", header.refcount_table_offset, size):
            self.faults += 1
            image.rebuild = True
            return
        table = q.table_from_bytes(await image.read(header.refcount_table_offset, size))
        for region, entry in enumerate(table):
            if entry:
                self._block(region, entry)
        for region, offset in self.blocks.items():
            cluster = offset >> image.geometry.cluster_bits
            count = int(image.references.window(cluster, 1)[0])
            if count != 1:
                image.report.corruption(f"refcount block {region} is referenced {count} times")
                self.faults += 1
                image.rebuild = True

    def _block(self, region: int, entry: int) -> None:
        image = self.image
        offset = entry & q.REFCOUNT_TABLE_MASK
        problem = None
        if entry & ~q.REFCOUNT_TABLE_MASK:
            problem = f"refcount table entry {region} has reserved bits set"
        elif offset % image.geometry.cluster_size:
            problem = f"refcount block {region} is not aligned (0x{offset:x})"
        elif offset >= image.length:
            problem = f"refcount block {region} lies outside of the file (0x{offset:x})"
        if problem:
            image.report.corruption(problem)
            self.faults += 1
            image.rebuild = True
            return
        self.blocks[region] = offset
        image.references.add_range(offset >> image.geometry.cluster_bits, 1)

    async def _regions(self) -> AsyncIterator[tuple[int, Words]]:
        """(region, counts on disk) of all regions that have a block or references."""
        import numpy as np

        regions = set(self.blocks) | self.image.references.regions(self.per_block)
        for region in sorted(regions):
            if region in self.blocks:
                yield region, await self._read_block(region)
            else:
                yield region, np.zeros(self.per_block, np.uint64)

    async def _read_block(self, region: int) -> Words:
        return decode(await self.image.read(self.blocks[region], self.image.geometry.cluster_size), self.bits)

    async def compare(self) -> None:
        """Find mismatches, mend those that may be mended in place, report the others, and find the image's end."""
        import numpy as np

        image = self.image
        end = 0
        limit = max(image.clusters, image.references.end)
        self._wrong.clear()
        async for region, counted in self._regions():
            first = region * self.per_block
            if first >= limit:
                continue
            counted = counted[: limit - first]
            references = image.references.window(first, len(counted)).astype(np.uint64)
            used = np.flatnonzero((counted != 0) | (references != 0))
            if used.size:
                end = max(end, first + int(used[-1]) + 1)
            wrong = np.flatnonzero(counted != references)
            if wrong.size:
                await self._mismatch(Mismatch(wrong + first, counted[wrong], references[wrong]))
        image.report.image_end_offset = end << image.geometry.cluster_bits

    async def _mismatch(self, wrong: Mismatch) -> None:
        import numpy as np

        image, report = self.image, self.image.report
        high = wrong.counted > wrong.references
        mend = np.zeros(len(wrong.clusters), bool)
        region = int(wrong.clusters[0]) // self.per_block
        if region in self.blocks and not image.rebuild:
            if image.fix & Fix.LEAKS:
                mend |= high
            if image.fix & Fix.ERRORS:
                mend |= ~high & (wrong.references <= np.uint64(image.geometry.refcount_max))
        if (wrong.counted == 0).any():
            image.rebuild = True
            mend &= wrong.counted != 0
        if mend.any():
            await self._set(region, wrong.clusters[mend], wrong.references[mend])
            report.leaks_fixed += int((mend & high).sum())
            report.corruptions_fixed += int((mend & ~high).sum())
        report.leaks += int((~mend & high).sum())
        report.corruptions += int((~mend & ~high).sum())
        self._say(wrong, mend)
        rest = ~mend
        if rest.any():
            self._wrong.append(Mismatch(wrong.clusters[rest], wrong.counted[rest], wrong.references[rest]))

    def _say(self, wrong: Mismatch, mend: NDArray[np.bool_]) -> None:
        rows = zip(
            wrong.clusters.tolist(), wrong.counted.tolist(), wrong.references.tolist(), mend.tolist(), strict=True
        )
        for cluster, counted, references, mended in rows:
            word = "Repairing" if mended else "Leaked" if counted > references else "ERROR"
            self.image.report.say(f"{word} cluster {cluster} refcount={counted} reference={references}")

    async def _set(self, region: int, clusters: Clusters, values: Words) -> None:
        counts = await self._read_block(region)
        counts[clusters - region * self.per_block] = values
        await self.image.write(self.blocks[region], encode(counts, self.bits))

    def of(self, clusters: Clusters) -> Words:
        """The refcounts on disk of `clusters`: what was counted, but for the mismatches that stay."""
        import numpy as np

        result = self.image.references.of(clusters).astype(np.uint64)
        for wrong in self._wrong:
            at = np.searchsorted(wrong.clusters, clusters)
            at[at == len(wrong.clusters)] = 0
            hit = wrong.clusters[at] == clusters
            result[hit] = wrong.counted[at[hit]]
        return result

    def set_width(self, bits: int) -> None:
        """Count with `bits` from the rebuild on, which has to follow. The blocks found so far are only to be freed."""
        self.image.header.refcount_order = bits.bit_length() - 1
        self.image.geometry = self.image.header.geometry
        self.bits = bits
        self.per_block = self.image.geometry.refcounts_per_block

    async def rebuild(self) -> None:
        """Write new refcount structures after everything that is in use, and switch the header over to them.

        The old structures stay untouched until the header no longer leads to them, so a crash leaves either.
        Raises BlockError.
        """
        image, size = self.image, self.image.geometry.cluster_size
        if image.references.most > image.geometry.refcount_max:
            raise BlockError(ErrorKind.UNSUPPORTED, f"refcounts of {self.bits} bits are too narrow for this image")
        self._forget_structures()
        regions, table_clusters, start = self._plan()
        blocks = {region: start + table_clusters + index for index, region in enumerate(regions)}
        image.references.add_range(start, table_clusters + len(regions))
        for region, cluster in blocks.items():
            counts = image.references.window(region * self.per_block, self.per_block).astype("uint64")
            await image.write(cluster * size, encode(counts, self.bits))
        table = q.zero_table(table_clusters * size // 8)
        for region, cluster in blocks.items():
            table[region] = cluster * size
        await image.write(start * size, q.table_to_bytes(table))
        await image.file.flush()
        await self._switch(start * size, table_clusters)
        image.header.refcount_table_offset, image.header.refcount_table_clusters = start * size, table_clusters
        image.length = image.file.length
        self.blocks = {region: cluster * size for region, cluster in blocks.items()}
        image.rebuild = False

    async def _switch(self, offset: int, clusters: int) -> None:
        """Let the header lead to another table, in one write, with the width that goes with it."""
        image = self.image
        fields = await image.read(0, q.HEADER_LENGTH_V3)
        struct.pack_into(">QI", fields, q.AT_REFCOUNT_TABLE, offset, clusters)
        if image.header.version >= 3:
            struct.pack_into(">I", fields, q.AT_REFCOUNT_ORDER, image.header.refcount_order)
        await image.write(0, fields)
        await image.file.flush()

    def _forget_structures(self) -> None:
        """Take back the references of the old table and blocks: they go."""
        image, bits = self.image, self.image.geometry.cluster_bits
        image.references.drop(image.header.refcount_table_offset >> bits, image.header.refcount_table_clusters)
        for offset in self.blocks.values():
            image.references.drop(offset >> bits, 1)

    def _plan(self) -> tuple[list[int], int, int]:
        """(regions that need a block, clusters of the table, first of the new clusters)."""

        image = self.image
        start = max(image.references.end, image.clusters)
        needed = image.references.regions(self.per_block)
        table = 1
        while True:
            end = start + table + len(needed)
            needed.update(range(start // self.per_block, (end - 1) // self.per_block + 1))
            want = -(-(max(needed) + 1) * 8 // image.geometry.cluster_size)
            if want <= table and start + table + len(needed) == end:
                break
            table = max(table, want)
        if table * image.geometry.cluster_size > q.MAX_REFCOUNT_TABLE_BYTES:
            raise BlockError(ErrorKind.NO_SPACE, "the image is too large for a refcount table")
        return sorted(needed), table, start
