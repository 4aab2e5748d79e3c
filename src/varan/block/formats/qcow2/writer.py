"""Guest writes: in place where a cluster is the image's alone, else to new clusters, which are linked when the data are
there.

Data I/O holds no lock. Clusters that a write is giving a place to are `in flight`: other writes to them wait, and
everything else goes on. Old clusters are released, new ones counted, and the L2 entries set only after the data were
written.
"""

from __future__ import annotations

from varan.block.base import BlockError, Buffers, ErrorKind
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.buffers import part, total, zeros
from varan.block.formats.qcow2.entries import Covered, EntryEditor, make_editor
from varan.block.lazy import asyncio
from varan.light import TYPE_CHECKING, asynccontextmanager, record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from varan.block.formats.qcow2.node import Qcow2Node


class Flight:
    """Guest clusters `first` to `end` (exclusive) whose entries are about to change."""

    __slots__ = ("end", "first", "landed")

    def __init__(self, first: int, end: int) -> None:
        self.first = first
        self.end = end
        self.landed: asyncio.Event | None = None


@record(slots=True)
class Plan:
    """What an allocating write does: `length` guest bytes from `offset` go to contiguous host clusters."""

    offset: int
    length: int
    host: int
    """Of the first guest cluster touched."""
    clusters: int
    fresh: bool
    """The host clusters were allocated for this."""
    virgin: bool
    """They lie past everything ever written: what is not written in them reads as zeros."""
    start: int
    """Guest offset from which on data have to be in place, copied ones included."""
    end: int


class Writer:
    """The write path of one node."""

    def __init__(self, node: Qcow2Node) -> None:
        self.node = node
        self.metadata = node.metadata
        self.size = node.metadata.geometry.cluster_size
        self.editor: EntryEditor = make_editor(node.metadata.geometry, node.metadata.header)
        self.flights: list[Flight] = []
        self.virgin_from = node.data_file.length

    async def write(self, offset: int, buffers: Buffers) -> None:
        """Write guest bytes. Raises BlockError."""
        self.metadata.check_writable()
        at, end = offset, offset + total(buffers)
        while at < end:
            host, length = self._in_place(at, end - at)
            if not length:
                length = await self._write_allocating(at, part(buffers, at - offset, end - at))
            else:
                if self.node.guarded:
                    await self._check_place(host, length)
                await self.node.write_host(host, at, part(buffers, at - offset, length))
            at += length

    async def _check_place(self, host: int, length: int) -> None:
        """Refuse to write where the image has metadata, or where it has nothing at all."""
        guard = self.metadata.guard
        if guard.overlaps(host, length):
            await guard.check(host, length)
        end = max(self.virgin_from, self.node.data_file.length)
        if host + length > -(-end // self.size) * self.size:
            await guard.mark()
            raise BlockError(
                ErrorKind.CORRUPT,
                f"guest data at {host:#x} lie past the end of the file: the image is marked corrupt",
                where=self.node.filename,
            )

    def _in_place(self, offset: int, length: int) -> tuple[int, int]:
        """(host offset, bytes) that may be written where they are; 0 bytes when that is not known."""
        table_offset, index = self.metadata.locate(offset)
        table = self.metadata.l2.peek(table_offset) if table_offset else None
        if table is None:
            return 0, 0
        return self.editor.in_place(table.entries, index, offset & (self.size - 1), length)

    @asynccontextmanager
    async def exclusive(self, first: int, end: int) -> AsyncIterator[None]:
        """The metadata lock, with no write in flight to guest clusters `first` to `end`."""
        while True:
            await self.metadata.lock.acquire()
            flight = next((flight for flight in self.flights if flight.first < end and first < flight.end), None)
            if flight is None:
                break
            self.metadata.lock.release()
            if flight.landed is None:
                flight.landed = asyncio.Event()
            await flight.landed.wait()
        try:
            yield
        finally:
            self.metadata.lock.release()

    async def _write_allocating(self, offset: int, buffers: Buffers) -> int:
        """Write some bytes from `offset` on; how many."""
        length = total(buffers)
        bits = self.metadata.geometry.cluster_bits
        first, end = offset >> bits, (offset + length - 1 >> bits) + 1
        async with self.exclusive(first, end):
            self.metadata.check_writable()
            plan = await self._plan(offset, length)
            if plan is None:
                return 0
            flight = Flight(first, first + plan.clusters)
            self.flights.append(flight)
        linked = False
        try:
            await self._write_planned(plan, part(buffers, 0, plan.length))
            async with self.metadata.lock:
                await self._link(plan)
                linked = True
                if self.metadata.crowded:
                    await self.metadata.commit_locked()
        except BaseException:
            if plan.fresh and not linked and not self.metadata.header.has_data_file:
                self.metadata.refcounts.release(plan.host >> bits, plan.clusters)
            raise
        finally:
            self.flights.remove(flight)
            if flight.landed is not None:
                flight.landed.set()
        return plan.length

    async def _plan(self, offset: int, length: int) -> Plan | None:
        """Find or allocate host clusters for the first bytes. None: they can be written in place by now."""
        metadata, size = self.metadata, self.size
        table, index = await metadata.slice_for_change(offset)
        skip = offset & (size - 1)
        if self.editor.in_place(table.entries, index, skip, length)[1]:
            return None
        wanted = min(-(-(skip + length) // size), metadata.slice_entries - index)
        host, count = self.editor.reusable(table.entries, index, wanted)
        fresh = host is None
        virgin = False
        if host is None:
            count = self.editor.to_allocate(table.entries, index, wanted)
            host, count = await self._allocate(offset - skip, count)
        if fresh:
            virgin = host >= max(self.virgin_from, self.node.data_file.length) and not metadata.header.has_data_file
            self.virgin_from = max(self.virgin_from, host + count * size)
        if self.node.guarded:
            await metadata.guard.check(host, count * size)
        length = min(length, count * size - skip)
        start, end = self.editor.needed(table.entries, index, (offset - skip, offset, offset + length), fresh=fresh)
        return Plan(offset, length, host, count, fresh, virgin, start, end)

    async def _allocate(self, guest: int, count: int) -> tuple[int, int]:
        if self.metadata.header.has_data_file:
            return guest, count
        if self.node.file.listens:
            await self.node.file.event("cluster_alloc")
        first, found = await self.metadata.refcounts.allocate_run(count)
        return first * self.size, found

    async def _write_planned(self, plan: Plan, buffers: Buffers) -> None:
        """Write the data, and before and behind them what the clusters held."""
        start, end = plan.offset, plan.offset + plan.length
        pieces: list[memoryview] = list(buffers)
        head = await self._old_bytes(plan, plan.start, start)
        if head:
            pieces[:0] = head
            start = plan.start
        tail = await self._old_bytes(plan, end, plan.end)
        pieces += tail
        base = plan.offset & ~(self.size - 1)
        await self.node.write_host(plan.host + start - base, start, pieces)

    async def _old_bytes(self, plan: Plan, start: int, end: int) -> list[memoryview]:
        """What the guest sees from `start` to `end`; nothing where it is zeros and the new place is zeros already."""
        if start >= end:
            return []
        if await self.node.reads_zero(start, end - start):
            return [] if plan.virgin and self.node.cipher is None else zeros(end - start)
        copy = memoryview(bytearray(end - start))
        if self.node.file.listens:
            await self.node.file.event("cow_read")
        await self.node.read(start, [copy])
        return [copy]

    async def _link(self, plan: Plan) -> None:
        """Make the L2 entries point to what was written. The lock is held."""
        table, index = await self.metadata.slice_for_change(plan.offset)
        base = plan.offset & ~(self.size - 1)
        covered = Covered(plan.clusters, plan.start - base, plan.end - base)
        old = self.editor.link(table.entries, index, plan.host, covered)
        words = self.metadata.geometry.words_per_entry
        self.metadata.l2.touch(table, index * words, (index + plan.clusters) * words)
        for entry in old:
            self.release_entry(entry)

    def release_entry(self, entry: int) -> None:
        """Give back what a former L2 entry referred to, once the change is durable."""
        metadata = self.metadata
        bits = metadata.geometry.cluster_bits
        if entry & q.COMPRESSED:
            offset, length = metadata.geometry.compressed_extent(entry)
            first = offset >> bits
            metadata.refcounts.release(first, (offset + length - 1 >> bits) - first + 1)
        elif entry & q.OFFSET_MASK and not metadata.header.has_data_file:
            metadata.refcounts.release((entry & q.OFFSET_MASK) >> bits, 1)
