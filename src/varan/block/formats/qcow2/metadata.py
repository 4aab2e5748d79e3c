"""A qcow2 image's metadata: tables in memory, look-ups, and the one place that decides in which order they are written.

The order (`commit_locked`), each step on stable storage before the next relies on it:

1. refcount blocks, and L2 tables that nothing refers to yet;
2. the refcount table, where it changed (in its new place, and then the header, where it moved);
3. L2 tables in use and L1 entries: now everything they refer to, data included, is there and counted;
4. only then are clusters that lost their last reference counted down, in memory, to be written by the next commit.

Interrupted anywhere, an image has at worst clusters that are counted and unused. With lazy refcounts step 1 and 2 wait
until the image is closed, and the dirty bit says so.

`lock` is held by whoever changes tables. Look-ups want no lock.
"""

from __future__ import annotations

import struct
from array import array

from varan.block.base import BlockError, ErrorKind, Node
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2 import tuning
from varan.block.formats.qcow2.buffers import read_padded
from varan.block.formats.qcow2.cache import Table, TableCache, write_pieces
from varan.block.formats.qcow2.guard import Guard
from varan.block.formats.qcow2.header import Header, parse_header
from varan.block.formats.qcow2.refcounts import RefcountCodec, Refcounts
from varan.block.formats.qcow2.runs import Kind, Run, make_mapper
from varan.block.formats.qcow2.tuning import Structure
from varan.block.lazy import Lock
from varan.light import TYPE_CHECKING, replace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

MAX_SLICE = 64 << 10


class L2Codec:
    """L2 tables: 64-bit big-endian words."""

    load_event = "l2_load"
    update_event = "l2_update"

    def decode(self, data: bytearray) -> array[int]:
        """Words in host order."""
        return q.table_from_bytes(data)

    def encode(self, entries: Any, low: int, high: int) -> tuple[int, bytes]:
        """(byte offset, bytes) of words `low` to `high`."""
        return low * 8, q.table_to_bytes(entries[low:high])


class Metadata:
    """Tables of one open image."""

    def __init__(self, header: Header, file: Node, data_file: Node, options: dict[str, Any]) -> None:
        self.header = header
        self.geometry = header.geometry
        self.file = file
        self.data_file = data_file
        self.lock = Lock()
        self.l1: array[int] = array("Q")
        self.l1_dirty: set[int] = set()
        self.corrupt = False
        self.lazy = header.lazy_refcounts
        size = self.geometry.cluster_size
        slice_bytes = int(options.get("l2-cache-entry-size") or min(size, MAX_SLICE))
        if slice_bytes & (slice_bytes - 1) or not q.SECTOR <= slice_bytes <= size:
            raise BlockError(ErrorKind.INVALID, "l2-cache-entry-size must be a power of two of 512 up to the cluster")
        self.slice_bytes = slice_bytes
        self.slice_entries = slice_bytes // (8 * self.geometry.words_per_entry)
        l2_limit, block_limit = tuning.cache_limits(options, size)
        self.l2 = TableCache(file, L2Codec(), slice_bytes, l2_limit)
        blocks = TableCache(file, RefcountCodec(self.geometry.refcount_bits), size, block_limit)
        self.refcounts = Refcounts(file, self.geometry, blocks)
        wanted = tuning.guarded(options)
        self.guard = Guard(self.geometry.cluster_bits, self.refcounts.reserved, wanted, self.mark_corrupt)
        self.refcounts.reserves_blocks = bool(wanted & Structure.REFCOUNT_BLOCK)
        self.refcounts.mark = self.mark_corrupt
        self.mapper = make_mapper(self.geometry, zero_flag=header.version >= 3, data_file=header.has_data_file)
        self.busy: dict[object, tuple[int, int]] = {}
        """Host clusters (first, end) that I/O is under way in: they are not given to anyone else meanwhile."""
        self.freed: Callable[[list[tuple[int, int]]], Any] | None = None
        """Told of runs of clusters (first, count) that became free (to discard them)."""

    async def load(self, *, writable: bool) -> None:
        """Read L1 and refcount table. Raises BlockError."""
        header = self.header
        self._check_inside("L1 table", header.l1_table_offset if header.l1_size else 0)
        self._check_inside("refcount table", header.refcount_table_offset)
        self.l1 = await self.read_table(header.l1_table_offset, header.l1_size)
        self.l1_dirty.clear()
        entries = header.refcount_table_clusters * self.geometry.cluster_size // 8
        table = await self.read_table(header.refcount_table_offset, entries)
        self.refcounts.load(table, header.refcount_table_offset)
        if writable:
            self.guard.build(header, self.l1, table)

    def _check_inside(self, name: str, offset: int) -> None:
        if offset >= self.file.length:
            raise BlockError(
                ErrorKind.CORRUPT, f"the {name} at {offset:#x} is past the end of the file", where=self.file.filename
            )

    async def reload(self) -> None:
        """Read header and tables again after they were changed in the file. The lock is held, nothing is dirty."""
        self.drop_caches()
        size = self.geometry.cluster_size
        self.header = parse_header(await self.read_bytes(0, min(size, self.file.length)))
        await self.load(writable=True)

    # Plain access to the file.

    async def read_bytes(self, offset: int, length: int) -> bytes:
        """Bytes of the file; zeros past its end. The caller bounds `length`."""
        data = bytearray(length)
        await read_padded(self.file, offset, [memoryview(data)])
        return bytes(data)

    async def write_bytes(self, offset: int, data: bytes) -> None:
        """Write to the file, no barrier."""
        await self.file.write(offset, [memoryview(data)])

    async def read_table(self, offset: int, entries: int) -> array[int]:
        """A table of 64-bit entries; zeros past the end of the file. The caller bounds `entries`."""
        return q.table_from_bytes(await self.read_bytes(offset, entries * 8))

    async def write_table(self, offset: int, table: array[int]) -> None:
        """Write a table of 64-bit entries, no barrier."""
        await self.write_bytes(offset, q.table_to_bytes(table))

    async def flush_file(self) -> None:
        """What was written is on stable storage (the external data file's too)."""
        if self.data_file is not self.file:
            await self.data_file.flush()
        await self.file.flush()

    async def write_header(self) -> None:
        """Rewrite the header cluster from `header` in one request, no barrier."""
        await self.write_bytes(0, self.header.serialize())

    async def set_incompatible(self, bits: int, on: bool) -> None:
        """Set or clear incompatible feature bits on stable storage."""
        self.header.incompatible = self.header.incompatible | bits if on else self.header.incompatible & ~bits
        await self.write_bytes(q.AT_FEATURES, struct.pack(">Q", self.header.incompatible))
        await self.file.flush()

    async def mark_corrupt(self) -> None:
        """The image contradicts itself: nothing is written any more, and (version 3) others are told so."""
        self.corrupt = True
        if self.header.version >= 3:
            await self.set_incompatible(q.INCOMPATIBLE_CORRUPT, True)

    # Look-ups.

    def locate(self, offset: int) -> tuple[int, int]:
        """(file offset of the L2 slice or 0 where there is none, entry index in it) for a guest offset."""
        geometry = self.geometry
        l1_index, index = divmod(offset >> geometry.cluster_bits, geometry.l2_entries)
        table = self.l1[l1_index] & q.OFFSET_MASK if l1_index < len(self.l1) else 0
        if not table:
            return 0, index
        if table & (geometry.cluster_size - 1):
            raise BlockError(ErrorKind.CORRUPT, f"L1 entry {l1_index}: {table:#x} is not the offset of a cluster")
        part, index = divmod(index, self.slice_entries)
        return table + part * self.slice_bytes, index

    def cached_run(self, offset: int, length: int) -> Run | None:
        """The run at a guest offset where no I/O is needed to tell; None otherwise. Raises BlockError."""
        geometry = self.geometry
        table_offset, index = self.locate(offset)
        if not table_offset:
            return Run(Kind.UNALLOCATED, min(length, geometry.l2_coverage - offset % geometry.l2_coverage))
        table = self.l2.peek(table_offset)
        if table is None:
            return None
        return self.mapper.run(table.entries, index, offset & (geometry.cluster_size - 1), length)

    async def run(self, offset: int, length: int) -> Run:
        """The run of 1 to `length` bytes at a guest offset, merged across tables in memory. Raises BlockError.

        It is as of now: nothing is waited for between the look-up and the return.
        """
        found = self.cached_run(offset, length)
        if found is None:
            await self.l2.get(self.locate(offset)[0])
            found = self.cached_run(offset, length)
            if found is None:
                return await self.run(offset, length)
        span = self.slice_entries << self.geometry.cluster_bits
        while found.length < length and found.kind is not Kind.COMPRESSED:
            at = offset + found.length
            more = self.cached_run(at, length - found.length) if at % span == 0 else None
            if more is None or more.kind is not found.kind:
                break
            if more.host != (found.host + found.length if found.host or found.kind is Kind.DATA else 0):
                break
            found = replace(found, length=found.length + more.length)
        return found

    # Changes (the lock is held).

    def check_writable(self) -> None:
        """Raises BlockError (CORRUPT) when the image was found to contradict itself."""
        if self.corrupt:
            raise BlockError(ErrorKind.CORRUPT, "the image is corrupt: no more writing", where=self.file.filename)

    async def slice_for_change(self, offset: int) -> tuple[Table, int]:
        """(L2 slice, entry index) for a guest offset; makes the L2 table where there is none, or where it is shared."""
        geometry = self.geometry
        l1_index = (offset >> geometry.cluster_bits) // geometry.l2_entries
        if l1_index >= len(self.l1):
            raise BlockError(ErrorKind.INVALID, f"offset {offset:#x} is past the end of the L1 table")
        entry = self.l1[l1_index]
        if not entry & q.OFFSET_MASK or not entry & q.COPIED:
            await self._new_l2_table(l1_index, entry & q.OFFSET_MASK)
        table_offset, index = self.locate(offset)
        return await self.l2.get(table_offset), index

    async def _new_l2_table(self, l1_index: int, old: int) -> None:
        """Give an L1 entry an L2 table of its own: of zeros, or a copy of the shared one at `old`."""
        size = self.geometry.cluster_size
        cluster = await self.refcounts.allocate(1)
        offset = cluster * size
        source = await self.read_l2(old) if old else None
        for at in range(0, size, self.slice_bytes):
            table = self.l2.add(offset + at, linked=False)
            if source is not None:
                table.entries[:] = source[at // 8 : (at + self.slice_bytes) // 8]
        self.guard.protect(offset, size, Structure.ACTIVE_L2)
        self.l1[l1_index] = offset | q.COPIED
        self.l1_dirty.add(l1_index)
        if old:
            self.refcounts.release(old >> self.geometry.cluster_bits, 1)

    async def read_l2(self, offset: int) -> array[int]:
        """A whole L2 table as it is now, cached changes included."""
        words = array("Q")
        for at in range(0, self.geometry.cluster_size, self.slice_bytes):
            words.extend((await self.l2.get(offset + at)).entries)
        return words

    def forget_l2(self, offset: int) -> None:
        """The L2 table at `offset` is used no more."""
        for at in range(0, self.geometry.cluster_size, self.slice_bytes):
            self.l2.forget(offset + at)
        self.guard.release(offset, self.geometry.cluster_size)

    @property
    def crowded(self) -> bool:
        """Caches hold so much that is dirty that a commit is due."""
        return self.l2.crowded or self.refcounts.cache.crowded

    @property
    def any_dirty(self) -> bool:
        """Something in memory is newer than the file."""
        counts = self.refcounts
        return bool(
            self.l2.any_dirty or self.l1_dirty or counts.cache.any_dirty or counts.table_dirty or counts.any_released
        )

    async def commit(self) -> None:
        """Write everything that changed, in order, and flush. Takes the lock. Raises BlockError."""
        async with self.lock:
            await self.commit_locked()

    async def commit_locked(self, *, closing: bool = False) -> None:
        """The same with the lock held. `closing`: also what lazy refcounts put off, and what was released."""
        references = self.l2.any_dirty or self.l1_dirty
        fresh = self.l2.dirty(linked=False)
        if self.lazy and not closing:
            if references and not self.header.incompatible & q.INCOMPATIBLE_DIRTY:
                await self.set_incompatible(q.INCOMPATIBLE_DIRTY, True)
        else:
            await self._write_refcounts()
        await self.l2.write(fresh)
        if references:
            await self.flush_file()
            await self.l2.write(self.l2.dirty(linked=True))
            for table in fresh:
                table.linked = True
            await self._write_l1()
        await self.flush_file()
        await self._apply_releases()
        if self.lazy and not closing and self.refcounts.cache.crowded:
            await self._write_refcounts()

    async def _write_refcounts(self) -> None:
        """Steps 1 and 2."""
        counts = self.refcounts
        await counts.cache.write(counts.cache.dirty())
        if not counts.table_dirty and counts.moved_from is None:
            return
        await self.flush_file()
        if counts.moved_from is not None:
            await self._move_refcount_table(counts.moved_from)
        else:
            if self.file.listens:
                await self.file.event("reftable_update")
            await self._write_entries(counts.table, counts.table_offset, counts.table_dirty)
        counts.table_dirty.clear()

    async def _move_refcount_table(self, old: tuple[int, int]) -> None:
        counts, size = self.refcounts, self.geometry.cluster_size
        await self.write_table(counts.table_offset, counts.table)
        await self.file.flush()
        clusters = len(counts.table) * 8 // size
        await self.write_bytes(q.AT_REFCOUNT_TABLE, struct.pack(">QI", counts.table_offset, clusters))
        await self.file.flush()
        self.header.refcount_table_offset, self.header.refcount_table_clusters = counts.table_offset, clusters
        self.guard.protect(counts.table_offset, clusters * size, Structure.REFCOUNT_TABLE)
        self.guard.release(old[0], old[1] * size)
        counts.moved_from = None
        counts.release(old[0] // size, old[1])

    async def _write_l1(self) -> None:
        if self.l1_dirty and self.file.listens:
            await self.file.event("l1_update")
        await self._write_entries(self.l1, self.header.l1_table_offset, self.l1_dirty)
        self.l1_dirty.clear()

    async def _write_entries(self, table: array[int], offset: int, indexes: Iterable[int]) -> None:
        ordered = sorted(set(indexes))
        if len(ordered) * 2 > len(table):
            await self.write_table(offset, table)
            return
        await write_pieces(self.file, [(offset + 8 * index, struct.pack(">Q", table[index])) for index in ordered])

    async def _apply_releases(self) -> None:
        if not self.refcounts.any_released:
            return
        try:
            freed = await self.refcounts.apply_releases(self.busy.values())
        except BlockError as error:
            if error.kind is ErrorKind.CORRUPT:
                await self.mark_corrupt()
            raise
        if freed and self.freed is not None:
            await self.freed(freed)

    def drop_unused(self) -> None:
        """Forget tables that nobody has looked at since the last time."""
        self.l2.drop_unused()
        self.refcounts.cache.drop_unused()

    def drop_caches(self) -> None:
        """Forget cached tables; nothing may be dirty."""
        self.l2.clear()
        self.refcounts.cache.clear()

    async def finish(self) -> None:
        """Leave nothing undone in the file: what is released is counted, the dirty bit is cleared. Takes the lock."""
        async with self.lock:
            for _ in range(4):  # what one commit releases, the next one writes
                if not self.any_dirty:
                    break
                await self.commit_locked(closing=True)
            if self.lazy and self.header.incompatible & q.INCOMPATIBLE_DIRTY:
                await self.file.flush()
                await self.set_incompatible(q.INCOMPATIBLE_DIRTY, False)

    async def grow_l1(self, entries: int) -> None:
        """Make the L1 table at least `entries` long, in a new place if need be. The lock is held."""
        header, size = self.header, self.geometry.cluster_size
        if entries <= len(self.l1):
            return
        if entries * 8 > q.MAX_L1_BYTES:
            raise BlockError(ErrorKind.NO_SPACE, "the L1 table would exceed 32 MiB: a larger cluster size is wanted")
        old_offset, old_clusters = header.l1_table_offset, self.geometry.clusters(len(self.l1) * 8)
        first = await self.refcounts.allocate(self.geometry.clusters(entries * 8))
        await self.commit_locked()
        grown = self.l1[:]
        grown.extend([0] * (entries - len(grown)))
        padding = q.zero_table(self.geometry.clusters(entries * 8) * size // 8 - entries)
        await self.write_table(first * size, grown + padding)
        await self.file.flush()
        await self.write_bytes(q.AT_L1, struct.pack(">IQ", entries, first * size))
        await self.file.flush()
        self.l1, header.l1_size, header.l1_table_offset = grown, entries, first * size
        self.guard.protect(first * size, entries * 8, Structure.ACTIVE_L1)
        if old_clusters:
            self.guard.release(old_offset, old_clusters * size)
            self.refcounts.release(old_offset // size, old_clusters)
