"""Who uses which host cluster: refcounts, and the allocation of free clusters.

All changes are made in memory; `metadata.Metadata.commit_locked` writes them before anything that relies on them.
Clusters given back are only counted down once the removal of the last reference is on stable storage (`release`,
`apply_releases`), so a crash leaves a cluster counted though unused, never the reverse.

A new refcount block lies in the first cluster of the region that it counts: a region without block has no cluster in
use. Regions are as many clusters as a block has entries.
"""

from __future__ import annotations

import sys
from array import array

from varan.block.base import BlockError, ErrorKind, Node
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.cache import Table, TableCache
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableSequence

MAX_RELEASED = 1 << 16
"""Runs that wait to be counted down, before a commit is due."""

_TYPES = {16: "H", 32: "I", 64: "Q"}


class RefcountCodec:
    """Refcount blocks: entries of 1 to 64 bits, big-endian; below a byte the first entry is in the lowest bits."""

    load_event = "refblock_load"
    update_event = "refblock_update_part"

    def __init__(self, bits: int) -> None:
        self.bits = bits
        self._unpacked: list[bytes] = []
        self._packed: dict[bytes, int] = {}
        if bits < 8:
            mask, per_byte = (1 << bits) - 1, 8 // bits
            self._unpacked = [bytes(value >> bits * at & mask for at in range(per_byte)) for value in range(256)]
            self._packed = {entries: value for value, entries in enumerate(self._unpacked)}

    def decode(self, data: bytearray) -> MutableSequence[int]:
        """Entries of a block."""
        if self.bits == 8:
            return data
        if self.bits < 8:
            return bytearray(b"".join(map(self._unpacked.__getitem__, data)))
        entries = array(_TYPES[self.bits])
        entries.frombytes(data)
        if sys.byteorder == "little":
            entries.byteswap()
        return entries

    def encode(self, entries: MutableSequence[int], low: int, high: int) -> tuple[int, bytes]:
        """(byte offset, bytes) that hold entries `low` to `high`."""
        if isinstance(entries, array):
            piece = entries[low:high]
            if sys.byteorder == "little":
                piece.byteswap()
            return low * self.bits // 8, piece.tobytes()
        if self.bits == 8:
            return low, bytes(entries[low:high])
        step = 8 // self.bits
        low -= low % step
        view = bytes(entries[low : -(-high // step) * step])
        return low // step, bytes(self._packed[view[at : at + step]] for at in range(0, len(view), step))


def zeros_from(entries: MutableSequence[int], start: int, limit: int) -> int:
    """How many entries from `start` on are zero, counting to `limit` at most."""
    piece = entries[start : start + limit]
    if not any(piece):
        return len(piece)
    return next(at for at, value in enumerate(piece) if value)


class Refcounts:
    """Counts and allocates. Every method wants the metadata lock held; all raise BlockError."""

    def __init__(self, file: Node, geometry: q.Geometry, cache: TableCache) -> None:
        self.file = file
        self.geometry = geometry
        self.cache = cache
        self.table: array[int] = array("Q")
        self.table_offset = 0
        self.table_dirty: list[int] = []
        """Indexes of table entries that differ from the file's."""
        self.moved_from: tuple[int, int] | None = None
        """(offset, clusters) of the table on disk where it has outgrown its place."""
        self.per_block = geometry.refcounts_per_block
        self.hint = 0
        """Where the next search begins: no cluster below is free (or it pays not to look)."""
        self.packing = 0
        """Byte offset in a cluster of compressed data where more fits; 0 when there is none."""
        self._released: list[tuple[int, int]] = []
        self.reserved: set[int] = set()
        """Clusters known to hold metadata: handing one out means that the counts lie."""
        self.reserves_blocks = True
        """New refcount blocks are among them."""
        self.mark: Callable[[], Awaitable[None]] | None = None
        """Awaited when they do, before the error is raised."""

    def load(self, table: array[int], offset: int) -> None:
        """Take the refcount table as it is on disk."""
        self.table, self.table_offset = table, offset
        self.table_dirty.clear()
        self.moved_from = None
        self.hint = self.packing = 0
        self._released.clear()

    async def block(self, index: int) -> Table | None:
        """The refcount block of region `index`; None where there is none, and so nothing in use."""
        if index >= len(self.table) or not self.table[index]:
            return None
        offset = self.table[index]
        if offset % self.geometry.cluster_size or offset > q.MAX_IMAGE_BYTES:
            raise BlockError(ErrorKind.CORRUPT, f"refcount table entry {index} ({offset:#x}) is not a cluster's offset")
        return await self.cache.get(offset)

    async def get(self, cluster: int) -> int:
        """The refcount of one cluster."""
        block = await self.block(cluster // self.per_block)
        return 0 if block is None else block.entries[cluster % self.per_block]

    async def add(self, first: int, count: int, delta: int) -> None:
        """Change the counts of `count` clusters. Those below zero or too large for the width are refused."""
        while count:
            region, at = divmod(first, self.per_block)
            here = min(count, self.per_block - at)
            block = await self.block(region) or (await self._new_block(region) if delta > 0 else None)
            if block is None:
                raise BlockError(ErrorKind.CORRUPT, f"cluster {first} is given back but not counted")
            self._add_in(block, at, here, delta, first)
            first, count = first + here, count - here

    def _add_in(self, block: Table, at: int, count: int, delta: int, first: int) -> None:
        entries, limit = block.entries, self.geometry.refcount_max
        piece = entries[at : at + count]
        low, high = min(piece) + delta, max(piece) + delta
        if low < 0 or high > limit:
            bad = first + next(i for i, value in enumerate(piece) if not 0 <= value + delta <= limit)
            if low < 0:
                raise BlockError(ErrorKind.CORRUPT, f"cluster {bad} is given back more often than it is used")
            raise BlockError(ErrorKind.UNSUPPORTED, f"the refcount of cluster {bad} would exceed {limit}")
        for index in range(at, at + count):
            entries[index] += delta
        self.cache.touch(block, at, at + count)
        if delta < 0 and not low:
            self.hint = min(self.hint, first)

    async def _new_block(self, region: int) -> Table:
        """A block for a region that has none, in the region's own first cluster."""
        if region >= len(self.table):
            await self._grow_table(region)
        if self.table[region]:  # growing the table made it
            return await self.cache.get(self.table[region])
        return await self._place_block(region, region * self.per_block, region)

    async def _place_block(self, region: int, cluster: int, home: int) -> Table:
        """Put the block of `region` in `cluster`, which region `home` counts (its block exists or is this one)."""
        offset = cluster * self.geometry.cluster_size
        await self._check_unreserved(cluster, 1)
        block = self.cache.add(offset, linked=False)
        self.table[region] = offset
        self.table_dirty.append(region)
        if self.reserves_blocks:
            self.reserved.add(cluster)
        if home == region:
            block.entries[cluster % self.per_block] = 1
        return block

    async def _check_unreserved(self, first: int, count: int) -> None:
        if not self.reserved.isdisjoint(range(first, first + count)):
            if self.mark is not None:
                await self.mark()
            raise BlockError(ErrorKind.CORRUPT, f"clusters {first} to {first + count - 1} are counted free but in use")

    async def _grow_table(self, region: int) -> None:
        """Make the table reach `region`, with room to spare, in a new place beyond everything counted so far."""
        per_cluster = self.geometry.cluster_size // 8
        old = len(self.table)
        wanted = max(region + 1, old + old // 2) + 2
        while True:
            clusters = -(-wanted // per_cluster)
            blocks = self._blocks_beyond(clusters, region)
            if clusters * per_cluster >= region + 1 + blocks:
                break
            wanted += per_cluster
        if clusters * self.geometry.cluster_size > q.MAX_REFCOUNT_TABLE_BYTES:
            raise BlockError(ErrorKind.NO_SPACE, "the image has reached the largest size its refcount table can count")
        self.table.extend([0] * (clusters * per_cluster - old))
        if self.moved_from is None:
            self.moved_from = (self.table_offset, -(-old // per_cluster))
        else:
            self.release(self.table_offset // self.geometry.cluster_size, -(-old // per_cluster))
        first = await self._allocate_beyond(clusters, region)
        self.table_offset = first * self.geometry.cluster_size

    def _blocks_beyond(self, count: int, region: int) -> int:
        """Refcount blocks for `count` clusters and for themselves, from the start of a region without any on."""
        blocks = 1
        while blocks * self.per_block < count + blocks:
            blocks += 1
        return blocks + 1

    async def _allocate_beyond(self, count: int, region: int = 0) -> int:
        """`count` contiguous clusters past every region that is counted; their blocks lie in front of them."""
        used = [index for index, offset in enumerate(self.table) if offset]
        start = max(used[-1] + 1 if used else 0, region)
        blocks = self._blocks_beyond(count, start)
        if start + blocks > len(self.table):
            await self._grow_table(start + blocks)
            return await self._allocate_beyond(count)
        cluster = start * self.per_block
        await self._check_unreserved(cluster, blocks + count)
        for index in range(blocks):
            await self._place_block(start + index, cluster + index, start + (index // self.per_block))
        for index in range(1, blocks):
            home = await self.cache.get(self.table[start + index // self.per_block])
            home.entries[index % self.per_block] = 1
        await self.add(cluster + blocks, count, 1)
        return cluster + blocks

    async def allocate(self, count: int) -> int:
        """The first of exactly `count` contiguous clusters, each counted once."""
        if count >= self.per_block // 2 and count > 1:
            return await self._allocate_beyond(count)
        start, position = self.hint, self.hint
        while True:
            first, found = await self._run_in_region(position, count)
            if found == count:
                break
            position = first + found if found else (first // self.per_block + 1) * self.per_block
        await self._take(first, count)
        if first == start:
            self.hint = first + count
        return first

    async def allocate_run(self, count: int) -> tuple[int, int]:
        """(first, n): the next free run, of 1 to `count` clusters, each counted once."""
        position = self.hint
        while True:
            first, found = await self._run_in_region(position, count)
            if found:
                break
            position = (first // self.per_block + 1) * self.per_block
        await self._take(first, found)
        self.hint = first + found
        return first, found

    async def _run_in_region(self, position: int, count: int) -> tuple[int, int]:
        """The first free run of up to `count` clusters at or after `position`, not leaving its region.

        (any cluster of the region, 0) when the region has none left.
        """
        region, at = divmod(position, self.per_block)
        block = await self.block(region) or await self._new_block(region)
        entries = block.entries
        if entries[at]:
            try:
                at = entries.index(0, at)
            except ValueError:
                return position, 0
        return region * self.per_block + at, zeros_from(entries, at, count)

    async def _take(self, first: int, count: int) -> None:
        await self._check_unreserved(first, count)
        if (first + count) * self.geometry.cluster_size > 1 << 56:
            raise BlockError(ErrorKind.NO_SPACE, "the image has reached the largest offset of the format")
        await self.add(first, count, 1)

    async def allocate_bytes(self, length: int) -> int:
        """The file offset of room for `length` bytes of compressed data: behind the last such data where that goes.

        Each host cluster touched is counted once more.
        """
        size, bits = self.geometry.cluster_size, self.geometry.cluster_bits
        offset = self.packing
        room = -offset % size
        whole = offset >> bits
        fits = bool(room) and await self.get(whole) < self.geometry.refcount_max
        if fits and length > room:
            fits = whole + 1 not in self.reserved and await self._free_behind(whole + 1)
        if not fits:
            offset = await self.allocate(self.geometry.clusters(length)) << bits
        else:
            await self.add(whole, 1, 1)
            if length > room:
                await self.add(whole + 1, 1, 1)
        self.packing = offset + length
        return offset

    async def _free_behind(self, cluster: int) -> bool:
        block = await self.block(cluster // self.per_block)
        return block is not None and not block.entries[cluster % self.per_block]

    def release(self, first: int, count: int) -> None:
        """Count `count` clusters down once the next commit has made the removal of their references durable."""
        last = self._released[-1] if self._released else (0, 0)
        if last[1] and sum(last) == first:
            self._released[-1] = (last[0], last[1] + count)
        else:
            self._released.append((first, count))

    @property
    def any_released(self) -> bool:
        """Clusters wait to be counted down."""
        return bool(self._released)

    @property
    def releases_due(self) -> bool:
        """So much waits that a commit pays."""
        return len(self._released) > MAX_RELEASED

    async def apply_releases(self, busy: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
        """Count down what was released, but for clusters in `busy` runs (first, end): I/O is under way there.

        The runs (first, count) that became free.
        """
        waiting, self._released = self._released, []
        held = list(busy)
        freed: list[tuple[int, int]] = []
        for first, count in waiting:
            if any(low < first + count and first < high for low, high in held):
                self._released.append((first, count))
                continue
            await self.add(first, count, -1)
            freed += await self._free_within(first, count)
        return freed

    async def last_used(self) -> int:
        """The last cluster that is counted."""
        for region in reversed([index for index, offset in enumerate(self.table) if offset]):
            block = await self.block(region)
            if block is not None and any(block.entries):
                entries = block.entries
                return region * self.per_block + next(i for i in range(len(entries) - 1, -1, -1) if entries[i])
        return 0

    async def drop_empty_blocks(self) -> None:
        """Forget the last blocks while they count nothing but themselves."""
        for region in reversed([index for index, offset in enumerate(self.table) if offset]):
            block = await self.block(region)
            home, at = divmod(self.table[region] // self.geometry.cluster_size, self.per_block)
            if block is None or home != region or block.entries[at] != 1 or sum(map(bool, block.entries)) != 1:
                break
            self.cache.forget(block.offset)
            self.reserved.discard(home * self.per_block + at)
            self.table[region] = 0
            self.table_dirty.append(region)
            self.hint = min(self.hint, region * self.per_block)

    async def _free_within(self, first: int, count: int) -> list[tuple[int, int]]:
        runs: list[tuple[int, int]] = []
        for cluster in range(first, first + count):
            if await self.get(cluster):
                continue
            if runs and sum(runs[-1]) == cluster:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((cluster, 1))
            if self.packing // self.geometry.cluster_size == cluster:
                self.packing = 0
        return runs
