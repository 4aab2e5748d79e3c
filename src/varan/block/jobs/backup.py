"""Backup: a copy of a disk as it was when the job began, while the guest goes on writing.

A bitmap marks what has to be copied still. The job copies part after part; before a guest's write changes a marked
part, that part is copied first.
"""

from __future__ import annotations

import asyncio
from functools import partial

from varan.api.values import BitmapSyncMode, JobType, MirrorSyncMode
from varan.block import request, rewire
from varan.block.base import BlockError, Data, ErrorKind, Node, Permission, Write
from varan.block.dirty import DirtyBitmap
from varan.block.jobs.base import BUFFER, BlockJob
from varan.block.jobs.chain import chain
from varan.block.jobs.commit import RETRY_SECONDS
from varan.block.jobs.transfer import TransferError, own_zeros, transfer, transfer_units
from varan.block.jobs.watch import WatchNode
from varan.block.request import backing_of

_SKIP = 1 << 30


class BackupFilter(WatchNode):
    """Copies what is about to change."""

    driver = "copy-before-write"

    def __init__(self, job: BackupJob, below: Node, unit: int) -> None:
        super().__init__(below, unit)
        self._job = job

    async def before(self, offset: int, length: int) -> None:
        await self._job.copy_before(offset, length)


class BackupJob(BlockJob):
    """Backs `source` up to `target`."""

    kind = JobType.BACKUP

    def place(
        self,
        source: Node,
        target: Node,
        sync: MirrorSyncMode,
        *,
        granularity: int,
        bitmap: DirtyBitmap | None = None,
        bitmap_mode: BitmapSyncMode = BitmapSyncMode.NEVER,
        compress: bool = False,
        filter_name: str | None = None,
    ) -> None:
        """Say what is copied, before `begin`."""
        self._source, self._target = source, target
        self._sync = sync
        self._granularity = granularity
        self._bitmap, self._bitmap_mode = bitmap, bitmap_mode
        self._flags = Write.COMPRESSED if compress else Write.MAY_UNMAP
        self._filter_name = filter_name
        self._filter: BackupFilter | None = None
        self._frozen: DirtyBitmap | None = None
        """The dirty bitmap, once it is the job's."""
        self._broken: BlockError | None = None
        """What was there could not be copied before a guest's write."""
        self.nodes = frozenset((*chain(source)[:1], request.unfiltered(target)))

    async def begin(self) -> None:
        graph, source, target = self.graph, self._source, self._target
        if target.length != source.length:
            raise BlockError(ErrorKind.INVALID, "Source and target image have different sizes")
        self.total = source.length
        self.grasp(source, Permission.CONSISTENT_READ, Permission.ALL & ~Permission.RESIZE)
        self.grasp(target, Permission.CONSISTENT_READ | Permission.WRITE, Permission.ALL & ~Permission.RESIZE)
        self._todo = DirtyBitmap("backup", source.length, self._granularity)
        self._own = own_zeros(target, whole=self._sync is MirrorSyncMode.FULL)
        filter = BackupFilter(self, source, self._granularity)
        own = [edge for edge in graph.parents(source) if edge in self.edges or edge.owner is target]
        rewire.insert(graph, filter, self._filter_name, own)
        self._filter = filter
        if self._bitmap is not None and self._sync is MirrorSyncMode.BITMAP:
            self._todo.merge(self._bitmap)
        else:
            # What is not known to lie below is copied before it changes; `run` finds out what does.
            self._todo.set_all()
        if self._bitmap is not None:
            self._bitmap.freeze()
            self._frozen = self._bitmap

    async def copy_before(self, offset: int, length: int) -> None:
        """A guest is about to change these bytes, and holds them. A failure is the job's, not the guest's."""
        unit = self._granularity
        start = offset - offset % unit
        end = min(offset + length + -(offset + length) % unit, self._todo.size)
        for at, size in list(self._todo.areas(start, end)):
            if self._broken is None and not self.failed:
                try:
                    await self._copy(at, size, memoryview(bytearray(min(size, BUFFER))))
                except TransferError as failure:
                    self._broken = failure.error
                    self.wake()

    async def run(self) -> None:
        self._check()
        if self._sync is MirrorSyncMode.TOP:
            await self._leave_out_below()
        if self._sync is MirrorSyncMode.NONE:
            while True:
                await self.sleep(None)
                self._check()
        if self._sync is MirrorSyncMode.BITMAP:
            self.total = self._todo.count
        while self._todo.next_dirty(0) is not None:
            for start, length in self._todo.areas():
                await self._cover(start, start + length)
        self._check()
        if self._sync is not MirrorSyncMode.BITMAP:
            self.done = self.total

    async def _cover(self, at: int, end: int) -> None:
        while at < end:
            self._check()
            step = await self.attempt(partial(self._step, at, end - at))
            if step is None:
                await self.sleep(RETRY_SECONDS)
            at += step or self._granularity

    def _check(self) -> None:
        if self._broken is not None:
            raise self._broken

    async def _leave_out_below(self) -> None:
        """Take away the marks of what the topmost image does not hold, and has not been copied for a guest's write."""
        source, base, unit = self._source, backing_of(self._source), self._granularity
        at, kept_end = 0, 0
        while at < source.length:
            await self.pause_point()
            await asyncio.sleep(0)
            assert self._filter is not None
            length = min(source.length - at, _SKIP)
            extent = await request.chain_status(source, at, length, base)
            if extent.flags & Data.ALLOCATED:
                kept_end = at + extent.length + -(at + extent.length) % unit
            else:
                # Nobody writes here while the marks go: both happen without a wait in between.
                start = max(at, kept_end)
                self._todo.clear(start, at + extent.length - start)
            at += extent.length

    async def _step(self, at: int, length: int) -> int:
        unit = self._granularity
        length = min(length, max(self.step_size // unit * unit, unit))
        assert self._filter is not None
        async with self._filter.busy.hold(at, at + length + -(at + length) % unit):
            for start, size in list(self._todo.areas(at, at + length)):
                self.used(await self._copy(start, size, self.buffer))
        return length

    async def _copy(self, at: int, length: int, buffer: memoryview) -> int:
        source, target = self._source, self._target
        if self._flags & Write.COMPRESSED:
            copied = await transfer_units(source, target, at, length, buffer, self._granularity, self._flags, self._own)
        else:
            copied = await transfer(source, target, at, length, buffer, self._flags, self._own)
        self._todo.clear(at, length)
        self.done = min(self.done + length, self.total)
        return copied

    async def prepare(self) -> None:
        await self._target.flush()

    def commit(self) -> None:
        self._give_back(keep=self._bitmap_mode is BitmapSyncMode.NEVER)

    async def abort(self) -> None:
        always = self._bitmap_mode is BitmapSyncMode.ALWAYS
        began = self._frozen is not None
        self._give_back(keep=not always)
        if began and always and self._bitmap is not None:
            self._bitmap.merge(self._todo)

    def _give_back(self, *, keep: bool) -> None:
        """The dirty bitmap has what was written since and, with `keep`, what it had when the job began."""
        bitmap, self._frozen = self._frozen, None
        if bitmap is not None:
            bitmap.thaw(keep=keep)

    async def clean(self) -> None:
        async with rewire.quiet(self.graph, self._source, self._target):
            await self.withdraw()

    async def withdraw(self) -> None:
        if self._filter is not None:
            rewire.remove(self.graph, self._filter)
        await self.let_go()
