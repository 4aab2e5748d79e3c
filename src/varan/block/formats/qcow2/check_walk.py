"""The walk over L1 and L2 tables: every reference is counted, every entry judged, and what can be mended is.

Snapshots share tables, so a table is read once however often it is referenced, and what is in it counts as often.
"""

from __future__ import annotations

from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.check_l2 import Fault, Rules, scan
from varan.block.formats.qcow2.check_refcounts import RefcountCheck
from varan.block.formats.qcow2.check_report import Fix, Image
from varan.light import TYPE_CHECKING, record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import numpy as np
    from numpy.typing import NDArray

    Words = NDArray[np.uint64]

READ_AHEAD = 4 << 20
"""Bytes of adjacent tables that are read in one request."""


@record(frozen=True, slots=True)
class Root:
    """An L1 table: the active one, or that of `weight` snapshots."""

    what: str
    offset: int
    entries: int
    weight: int = 1
    active: bool = False


@record(frozen=True, slots=True)
class Tables:
    """The L2 tables of an image: distinct offsets in order, how often each is referenced, and how often by the disk."""

    offsets: Words
    weights: NDArray[np.int64]
    active: NDArray[np.int64]


def words_of(data: bytes | bytearray) -> Words:
    """Big-endian words in host order."""
    import numpy as np

    return np.frombuffer(data, ">u8").astype(np.uint64)


class Walk:
    """Counts references from `roots` into `image.references`."""

    def __init__(self, image: Image) -> None:
        self.image = image
        self.rules = Rules(image.geometry, image.header.has_data_file, image.length)
        self._outside: list[tuple[Root, list[int]]] = []
        """L1 entries that lead out of the file, by table."""
        self._faulty: list[tuple[int, int]] = []
        """(offset, weight) of L2 tables with faults."""

    async def run(self, roots: list[Root]) -> Tables:
        """Count everything that the roots lead to; gives the L2 tables found."""
        budget = self.image.length + len(roots) * self.image.geometry.cluster_size
        found: list[tuple[Root, Words]] = []
        for root in roots:
            budget -= root.entries * 8
            if budget < 0:
                self.image.report.corruption(f"{root.what}: the L1 tables together are larger than the file")
                break
            found.append((root, await self._l1(root)))
        tables = self._distinct(found)
        for offset, weight in zip(tables.offsets.tolist(), tables.weights.tolist(), strict=True):
            self.image.count("L2 table", offset, self.image.geometry.cluster_size, weight)
        await self._scan_all(tables)
        return tables

    async def _l1(self, root: Root) -> Words:
        """The offsets of L2 tables in an L1 table, which itself is counted."""
        import numpy as np

        image, report = self.image, self.image.report
        if not root.offset and root.entries:
            report.corruption(f"{root.what}: its L1 table is said to be in the header")
            return np.zeros(0, np.uint64)
        if not image.count(f"{root.what}: its L1 table", root.offset, root.entries * 8, root.weight):
            return np.zeros(0, np.uint64)
        entries = words_of(await image.read(root.offset, root.entries * 8))
        reserved = np.flatnonzero(entries & np.uint64(q.L1_RESERVED))
        for index in reserved[:1000].tolist():
            report.say(f"ERROR {root.what}: L1 entry {index} has reserved bits set: 0x{int(entries[index]):x}")
        report.corruptions += len(reserved)
        offsets = entries & np.uint64(q.OFFSET_MASK)
        bad = (offsets & np.uint64(image.geometry.cluster_size - 1)) != 0
        for index in np.flatnonzero(bad).tolist():
            report.corruption(f"{root.what}: L1 entry {index}: L2 table at 0x{int(offsets[index]):x} is not aligned")
        outside = (offsets >= np.uint64(max(image.length, 1))) & ~bad
        if outside.any():
            self._outside.append((root, np.flatnonzero(outside).tolist()))
        usable: Words = offsets[(offsets != 0) & ~bad & ~outside]
        return usable

    def _distinct(self, found: list[tuple[Root, Words]]) -> Tables:
        import numpy as np

        everything = [offsets for _, offsets in found]
        joined = np.concatenate(everything) if everything else np.zeros(0, np.uint64)
        offsets, inverse = np.unique(joined, return_inverse=True)
        each = np.concatenate([np.full(len(o), root.weight) for root, o in found]) if found else np.zeros(0)
        active = np.concatenate([np.full(len(o), int(root.active)) for root, o in found]) if found else np.zeros(0)
        weights = np.bincount(inverse, each, len(offsets)).astype(np.int64)
        return Tables(offsets, weights, np.bincount(inverse, active, len(offsets)).astype(np.int64))

    async def read_tables(self, offsets: list[int]) -> AsyncIterator[tuple[int, Words]]:
        """(position in `offsets`, words) of tables, whose offsets are in order; neighbours are read together."""
        size = self.image.geometry.cluster_size
        at = 0
        while at < len(offsets):
            count = 1
            while (
                at + count < len(offsets)
                and (count + 1) * size <= READ_AHEAD
                and offsets[at + count] == offsets[at] + count * size
            ):
                count += 1
            data = memoryview(await self.image.read(offsets[at], count * size))
            for index in range(count):
                yield at + index, words_of(bytes(data[index * size : (index + 1) * size]))
            at += count

    async def _scan_all(self, tables: Tables) -> None:
        report = self.image.report
        offsets = tables.offsets.tolist()
        async for index, words in self.read_tables(offsets):
            result = scan(words, self.rules)
            weight, active = int(tables.weights[index]), int(tables.active[index])
            if result.faults:
                self._faulty.append((offsets[index], weight))
            if not self.rules.data_file:
                self.image.references.add(result.clusters, weight)
                for run in result.compressed_runs:
                    self.image.references.add(run, weight)
            report.allocated_clusters += result.allocated * active
            report.compressed_clusters += result.compressed * active
            report.fragmented_clusters += result.fragmented * active

    def alone(self, offset: int, length: int, weight: int) -> bool:
        """Whether a table's clusters have its references only, so that writing to it changes nothing else."""
        bits = self.image.geometry.cluster_bits
        first = offset >> bits
        window = self.image.references.window(first, (offset + length - 1 >> bits) - first + 1)
        return bool((window == weight).all())

    async def mend(self) -> None:
        """Report what is wrong with entries, and mend those that can be. Everything has been counted by now."""
        for root, indexes in self._outside:
            mend = bool(self.image.fix & Fix.ERRORS) and self.alone(root.offset, root.entries * 8, root.weight)
            for index in indexes:
                await self._drop_l1_entry(root, index, mend=mend)
        for offset, weight in self._faulty:
            mend = bool(self.image.fix & Fix.ERRORS)
            await self._faults(offset, mend=mend and self.alone(offset, self.image.geometry.cluster_size, weight))

    async def _drop_l1_entry(self, root: Root, index: int, *, mend: bool) -> None:
        """An L2 table past the end of the file holds nothing: without the reference the disk is the same."""
        message = f"{root.what}: L1 entry {index}: its L2 table lies outside of the file"
        if not mend:
            self.image.report.corruption(message)
            return
        await self.image.write(root.offset + index * 8, bytes(8))
        self.image.report.repaired(message)

    async def _faults(self, offset: int, *, mend: bool) -> None:
        """Report an L2 table's faults, and mend those that can be."""
        report = self.image.report
        step = self.image.geometry.words_per_entry
        words = words_of(await self.image.read(offset, self.image.geometry.cluster_size))
        mended = False
        for fault, entries in scan(words, self.rules).faults:
            for entry in entries.tolist():
                value = int(words[entry * step])
                message = f"L2 table 0x{offset:x} entry {entry} (0x{value:x}): {fault.value}"
                changed = self._mended(fault, words, entry) if mend else None
                if changed is None:
                    report.corruption(message)
                    continue
                words[entry * step : (entry + 1) * step] = changed
                mended = True
                report.repaired(message)
        if mended:
            await self.image.write(offset, words.astype(">u8").tobytes())

    def _mended(self, fault: Fault, words: Words, entry: int) -> list[int] | None:
        """The entry's words without the fault, where that changes no byte of the disk; None where nothing does that."""
        step = self.image.geometry.words_per_entry
        value = int(words[entry * step])
        bitmap = int(words[entry * step + 1]) if step == 2 else 0
        tail = [bitmap] if step == 2 else []
        if fault is Fault.RESERVED:
            return [value & ~q.L2_RESERVED, *tail]
        if fault is Fault.COPIED_COMPRESSED:
            return [value & ~q.COPIED, *tail]
        if fault is Fault.COMPRESSED_BITMAP:
            return [value, 0]
        if fault is Fault.SUBCLUSTERS:
            return [value, bitmap & ~((bitmap & q.ALL_SUBCLUSTERS) << q.SUBCLUSTERS)]
        if fault not in (Fault.UNALIGNED_PREALLOCATED, Fault.OUTSIDE) or value & q.COMPRESSED:
            return None
        if step == 2:
            return [0, (bitmap | bitmap << q.SUBCLUSTERS) & (q.ALL_SUBCLUSTERS << q.SUBCLUSTERS)]
        return [q.ZERO] if self.image.header.version >= 3 else None


class CopiedCheck:
    """Whether the COPIED flags of the disk's own tables tell the truth about refcounts."""

    def __init__(self, walk: Walk, refcounts: RefcountCheck) -> None:
        self.walk = walk
        self.image = walk.image
        self.refcounts = refcounts
        report = self.image.report
        sound = not (report.corruptions or report.leaks or report.check_errors)
        self.mend = bool(self.image.fix & Fix.ERRORS) or (bool(self.image.fix & Fix.LEAKS) and sound)

    async def run(self, tables: Tables) -> None:
        """Check L1 and L2 entries; mend them where that is wanted and safe."""
        await self._l1()
        if self.walk.rules.data_file:
            return
        chosen = tables.active > 0
        offsets, weights = tables.offsets[chosen].tolist(), tables.weights[chosen].tolist()
        size = self.image.geometry.cluster_size
        async for index, words in self.walk.read_tables(offsets):
            found = scan(words, self.walk.rules)
            wrong = (self.refcounts.of(found.clusters) == 1) != found.copied
            if not wrong.any():
                continue
            mend = self.mend and self.walk.alone(offsets[index], size, weights[index])
            step = self.image.geometry.words_per_entry
            for entry in found.indexes[wrong].tolist():
                self._say(f"L2 table 0x{offsets[index]:x} entry {entry} (0x{int(words[entry * step]):x})", mend)
                words[entry * step] ^= type(words[0])(q.COPIED)
            if mend:
                await self.image.write(offsets[index], words.astype(">u8").tobytes())

    async def _l1(self) -> None:
        import numpy as np

        header = self.image.header
        if not header.l1_size or not self.image.inside(header.l1_table_offset, header.l1_size * 8):
            return
        entries = words_of(await self.image.read(header.l1_table_offset, header.l1_size * 8))
        offsets = entries & np.uint64(q.OFFSET_MASK)
        used = np.flatnonzero((offsets != 0) & (offsets < np.uint64(self.image.length)))
        clusters = (offsets[used] >> np.uint64(header.cluster_bits)).astype(np.int64)
        copied = (entries[used] & np.uint64(q.COPIED)) != 0
        wrong = used[(self.refcounts.of(clusters) == 1) != copied]
        mend = self.mend and self.walk.alone(header.l1_table_offset, header.l1_size * 8, 1)
        for index in wrong.tolist():
            self._say(f"L1 entry {index} (0x{int(entries[index]):x})", mend)
            entries[index] ^= np.uint64(q.COPIED)
        if wrong.size and mend:
            await self.image.write(header.l1_table_offset, entries.astype(">u8").tobytes())

    def _say(self, where: str, mend: bool) -> None:
        message = f"{where}: the copied flag contradicts the refcount"
        if mend:
            self.image.report.repaired(message)
        else:
            self.image.report.corruption(message)
