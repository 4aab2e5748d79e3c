"""Committing below the topmost image: what images hold is moved into one below them, and they are left out then."""

from __future__ import annotations

from functools import partial

from varan.api.values import JobType
from varan.block import request, rewire
from varan.block.base import BlockError, Data, Node, Permission, Write
from varan.block.graph import Graph
from varan.block.jobs.base import BlockJob
from varan.block.jobs.chain import chain, check_hidden, link, name_from, overlay_of
from varan.block.jobs.transfer import TransferError, transfer
from varan.block.operations.backing_file import make_empty

_SKIP = 1 << 30
"""Most bytes looked at in one step."""
RETRY_SECONDS = 0.1
"""How long what could not be copied rests before it is tried again."""


class CommitJob(BlockJob):
    """Moves what `top` and the images below it, down to above `base`, hold into `base`."""

    kind = JobType.COMMIT

    def place(self, top: Node, base: Node, backing_file: str | None) -> None:
        """Say what is moved, before `begin`. `backing_file`: how the image above `top` is to name `base`."""
        self._top = top
        self._base = base
        self._backing_file = backing_file
        self._target = CommitTarget(self, base)
        self._later: list[tuple[int, int]] = []
        self.nodes = frozenset(chain(top, base))

    async def begin(self) -> None:
        images = chain(self._top, self._base)
        check_hidden(self.graph, images)
        self.total = self._top.length
        self.grasp(self._top, Permission.CONSISTENT_READ, Permission.ALL & ~Permission.RESIZE)
        await self._target.open(self.total)

    async def run(self) -> None:
        await self._cover(0, self.total)
        while self._later:
            await self.sleep(RETRY_SECONDS)
            later, self._later = self._later, []
            for start, end in later:
                await self._cover(start, end)

    async def _cover(self, start: int, end: int) -> None:
        while start < end:
            step = await self.attempt(partial(self._step, start, end))
            if step is None:
                step = min(self.step_size, end - start)
                self._later.append((start, start + step))
            else:
                self.done += step
            start += step

    async def _step(self, at: int, end: int) -> int:
        try:
            extent = await request.chain_status(self._top, at, min(end - at, _SKIP), self._base)
        except BlockError as error:
            raise TransferError(error, writing=False) from error
        length = extent.length
        if extent.flags & Data.ALLOCATED:
            if not extent.flags & Data.ZERO:
                length = min(length, self.step_size)
            self.used(await transfer(self._top, self._base, at, length, self.buffer, Write.MAY_UNMAP))
        return length

    async def copy_all(self) -> None:
        """All of it, without pause. Raises BlockError."""
        at = 0
        try:
            while at < self.total:
                at += await self._step(at, self.total)
        except TransferError as failure:
            raise failure.error from failure

    async def prepare(self) -> None:
        await self._base.flush()
        async with rewire.quiet(self.graph, self._top):
            bottom = chain(self._top, self._base)[-2]
            for overlay in overlay_of(self.graph, self._top):
                name = self._backing_file or name_from(overlay, bottom, self._base)
                await self._relink(overlay, name)

    async def _relink(self, overlay: Node, name: str) -> None:
        closed = overlay.read_only
        if closed:
            await rewire.reopen(self.graph, overlay, read_only=False)
        await link(self.graph, overlay, self._base, name)
        if closed:
            await self.back_to_read_only(overlay)

    async def clean(self) -> None:
        async with rewire.quiet(self.graph, self._top, self._base):
            await self.let_go()
            await self._target.close()


async def commit_at_once(graph: Graph, top: Node, base: Node) -> None:
    """Move what `top` holds into `base`, the image below it, and empty it; requests wait. Raises BlockError."""
    job = CommitJob(graph, "commit")
    job.place(top, base, None)
    try:
        async with rewire.quiet(graph, top):
            await job.begin()
            await job.copy_all()
            await base.flush()
            await make_empty(top)
    finally:
        await job.clean()


class CommitTarget:
    """A backing file that a job writes to, unseen by those above it."""

    def __init__(self, job: BlockJob, node: Node) -> None:
        self._job = job
        self._graph: Graph = job.graph
        self._node = node
        self._reopened = self._hidden = False

    async def open(self, length: int) -> None:
        """Make it writable, and at least so long. In a quiet section. Raises BlockError."""
        node = self._node
        if node.read_only:
            await rewire.reopen(self._graph, node, read_only=False)
            self._reopened = True
        self._hide(True)
        self._hidden = True
        wanted = Permission.CONSISTENT_READ | Permission.WRITE
        if node.length < length:
            wanted |= Permission.RESIZE
        self._job.grasp(node, wanted, Permission.CONSISTENT_READ | Permission.WRITE_UNCHANGED)
        if node.length < length:
            await request.truncate(node, length)

    def _hide(self, hidden: bool) -> None:
        self._node.changes_hidden = hidden
        for edge in self._graph.parents(self._node):
            if isinstance(edge.owner, Node):
                self._graph.edges.settle(edge.owner)

    async def close(self) -> None:
        """Let it be what it was. In a quiet section. Does not raise."""
        if self._graph.nodes.get(self._node.node_name) is not self._node:
            return
        if self._hidden:
            self._hide(False)
        if self._reopened:
            await self._job.back_to_read_only(self._node)

    def stays_writable(self) -> None:
        """It has become a disk of its own."""
        self._reopened = False
