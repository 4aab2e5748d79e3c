"""Mirroring: a second node is kept equal to a disk, and can take its place. Committing the topmost image is the same
with a backing file as the second node.

What is to be copied is marked in a bitmap: at first what the disk holds, then what is written. A step takes its marks
away before it reads, and a write sets its marks when it is done: so whatever is not marked is equal.
"""

from __future__ import annotations

import asyncio
from functools import partial

from varan.api.values import JobStatus, JobType, MirrorSyncMode
from varan.block import request, rewire
from varan.block.base import BlockError, Data, ErrorKind, Node, Permission, Write
from varan.block.dirty import DirtyBitmap
from varan.block.jobs.base import BUFFER, CHUNK, BlockJob
from varan.block.jobs.chain import chain, check_hidden, contains
from varan.block.jobs.commit import RETRY_SECONDS, CommitTarget
from varan.block.jobs.transfer import TransferError, own_zeros, transfer
from varan.block.jobs.watch import WatchNode
from varan.block.request import backing_of

_SKIP = 1 << 30
_SOFT = (JobStatus.READY, JobStatus.STANDBY)
_NEARLY = 8 << 20
"""Bytes that may be copied while the guest waits at the end."""


class MirrorFilter(WatchNode):
    """Marks what is written; copies it at once where writes are to wait for that."""

    driver = "mirror_top"

    def __init__(self, job: MirrorJob, below: Node, unit: int) -> None:
        super().__init__(below, unit)
        self._job = job

    def after(self, offset: int, length: int) -> None:
        self._job.written(offset, length)

    async def follow(self, offset: int, length: int) -> None:
        await self._job.follow(offset, length)


class MirrorJob(BlockJob):
    """Mirrors `source` to `target`."""

    kind = JobType.MIRROR

    def place(
        self,
        source: Node,
        target: Node,
        sync: MirrorSyncMode,
        *,
        granularity: int,
        write_blocking: bool = False,
        unmap: bool = True,
        replaces: Node | None = None,
        filter_name: str | None = None,
    ) -> None:
        """Say what is mirrored, before `begin`. The target has the backing chain already that it is to have."""
        commit = self.kind is JobType.COMMIT
        self._source, self._target = source, target
        self._sync = sync
        self._write_blocking = write_blocking
        self._flags = Write.MAY_UNMAP if unmap else Write.NONE
        self._replaces = replaces
        self._filter_name = filter_name
        self._filter: MirrorFilter | None = None
        self._commit = CommitTarget(self, target) if commit else None
        self._granularity = granularity
        self._softly = False
        self._waiting = False
        self.nodes = frozenset(chain(source, target) if commit else (*chain(source)[:1], request.unfiltered(target)))

    async def begin(self) -> None:
        graph, source, target = self.graph, self._source, self._target
        self.grasp(source, Permission.CONSISTENT_READ, Permission.ALL & ~Permission.RESIZE)
        if self._commit is not None:
            check_hidden(graph, chain(source, target))
            await self._commit.open(source.length)
        else:
            if target.length != source.length:
                raise BlockError(ErrorKind.INVALID, "Source and target image have different sizes")
            self.grasp(target, Permission.CONSISTENT_READ | Permission.WRITE, Permission.ALL & ~Permission.RESIZE)
        self._dirty = DirtyBitmap("mirror", source.length, self._granularity)
        self._own = own_zeros(target, whole=self._sync is MirrorSyncMode.FULL)
        filter = MirrorFilter(self, source, self._granularity)
        own = [edge for edge in graph.parents(source) if edge in self.edges or edge.owner is target]
        filter.implicit = self._filter_name is None
        rewire.insert(graph, filter, self._filter_name, own)
        self._filter = filter

    # What the filter calls.

    def written(self, offset: int, length: int) -> None:
        """The disk has other bytes there now."""
        self._dirty.set(offset, length)
        if self._waiting and not self._write_blocking:
            self.wake()

    async def follow(self, offset: int, length: int) -> None:
        """Copy what was written, where writes wait for that. What cannot be copied stays marked."""
        if not self._write_blocking:
            return
        unit = self._granularity
        start = offset - offset % unit
        end = min(offset + length + -(offset + length) % unit, self._dirty.size)
        buffer = memoryview(bytearray(min(end - start, BUFFER)))
        try:
            await transfer(self._source, self._target, start, end - start, buffer, self._flags, self._own)
        except TransferError:
            self.wake()
        else:
            self._dirty.clear(start, end - start)

    # The work.

    async def run(self) -> None:
        await self._mark_first()
        await self._copy_marked()
        self.become_ready()
        while not self.completing and not self._softly:
            if self._dirty.next_dirty(0) is not None:
                await self._copy_marked()
            else:
                self._waiting = True
                await self.sleep(None)
                self._waiting = False
        await self._catch_up()

    async def _catch_up(self) -> None:
        """Copy until little is left, or it does not get less: the rest is copied while the guest waits."""
        left = self._dirty.count
        while left > _NEARLY:
            await self._copy_marked()
            before, left = left, self._dirty.count
            if left >= before:
                break

    async def _mark_first(self) -> None:
        """Mark what is to be copied besides what is written. Writes of the guest are marked already."""
        if self._sync is MirrorSyncMode.NONE:
            return
        if self._sync is MirrorSyncMode.FULL:
            self._dirty.set_all()
            return
        base = self._target if self._commit is not None else backing_of(self._source)
        at, end = 0, self._source.length
        while at < end:
            await self.pause_point()
            await asyncio.sleep(0)
            extent = await request.chain_status(self._source, at, min(end - at, _SKIP), base)
            if extent.flags & Data.ALLOCATED:
                self._dirty.set(at, extent.length)
            at += extent.length

    async def _copy_marked(self) -> None:
        """One pass over the marks."""
        self.total = self.done + self._dirty.count
        for start, length in self._dirty.areas():
            at, end = start, start + length
            while at < end:
                step = await self.attempt(partial(self._step, at, end))
                if step is None:
                    await self.sleep(RETRY_SECONDS)
                at += step or self._granularity
        self.total = self.done + self._dirty.count

    async def _step(self, at: int, end: int) -> int:
        unit = self._granularity
        length = min(end - at, max(self.step_size // unit * unit, unit))
        if not self._write_blocking:
            await self._copy(at, length)
            return length
        assert self._filter is not None
        async with self._filter.busy.hold(at, at + length):
            await self._copy(at, length)
        return length

    async def _copy(self, at: int, length: int) -> None:
        self._dirty.clear(at, length)
        try:
            self.used(await transfer(self._source, self._target, at, length, self.buffer, self._flags, self._own))
        except BaseException:
            self._dirty.set(at, length)
            raise
        self.done += length
        self.total = max(self.total, self.done)

    # The end.

    def complete(self) -> None:
        self.completing = True

    def cancel_softly(self) -> bool:
        if self.state.status not in _SOFT:
            return False
        self._softly = True
        return True

    async def prepare(self) -> None:
        graph, source, target = self.graph, self._source, self._target
        async with rewire.quiet(graph, source, target):
            try:
                while (area := self._dirty.next_dirty(0)) is not None:
                    await self._copy(area[0], min(area[1], 64 * CHUNK))
            except TransferError as failure:
                raise failure.error from failure
            await target.flush()
            if self.completing and contains(chain(target)[1:], source):
                # The target may show what only the source has, and later flushes do not reach images below.
                await source.flush()
            self.total = self.done
            if self.completing:
                self._pivot()
                if self._commit is None and source.read_only and not target.read_only:
                    await self.back_to_read_only(target)

    def _pivot(self) -> None:
        """The target takes the source's place."""
        graph, target = self.graph, self._target
        assert self._filter is not None
        mine = [edge for edge in self.edges if edge.node is target]
        if self._replaces is None or self._replaces is self._source:
            own = [edge for edge in graph.parents(self._filter) if edge.owner is target]
            rewire.move_parents(graph, self._filter, target, spare=own, dropped=mine)
        else:
            rewire.move_parents(graph, self._replaces, target, spare=self.edges, dropped=mine)
        for edge in mine:
            self.edges.remove(edge)
        if self._commit is not None:
            self._commit.stays_writable()

    async def clean(self) -> None:
        async with rewire.quiet(self.graph, self._source, self._target):
            if self._filter is not None:
                rewire.remove(self.graph, self._filter)
            await self.let_go()
            if self._commit is not None:
                await self._commit.close()


class ActiveCommitJob(MirrorJob):
    """Commits the topmost image `source` into the backing file `target`."""

    kind = JobType.COMMIT
