"""Streaming: what the images below hold is copied into the one above, which needs them no more then."""

from __future__ import annotations

from functools import partial

from varan.api.values import JobType
from varan.block import request, rewire
from varan.block.base import BlockError, Data, Node, Permission, Write
from varan.block.jobs.base import BlockJob
from varan.block.jobs.chain import chain, link, name_from
from varan.block.jobs.transfer import TransferError, transfer
from varan.block.jobs.watch import WatchNode
from varan.block.request import backing_of

_SKIP = 1 << 30
"""Most bytes looked at in one step."""


class StreamFilter(WatchNode):
    """Keeps a guest's write and the copying of what was there from getting in each other's way."""

    driver = "copy-on-read"


class StreamJob(BlockJob):
    """Streams the images from below `top` down to `bottom` (None: all) into `top`."""

    kind = JobType.STREAM

    def place(self, top: Node, bottom: Node | None, backing_file: str | None, filter_name: str | None) -> None:
        """Say what is streamed, before `begin`. `backing_file`: how `top` is to name what lies below `bottom`."""
        self._top = top
        self._bottom = bottom
        self._backing_file = backing_file
        self._filter_name = filter_name
        self._filter: WatchNode | None = None
        self._reopened = False
        self._failure: BlockError | None = None
        self.nodes = frozenset(chain(top, bottom))

    async def begin(self) -> None:
        graph, top = self.graph, self._top
        self._base = backing_of(self._bottom) if self._bottom is not None else None
        if backing_of(top) is not None and self._bottom is not top:
            self.total = top.length
        if self.total and top.read_only:
            await rewire.reopen(graph, top, read_only=False)
            self._reopened = True
        wanted = Permission.CONSISTENT_READ | (Permission.WRITE_UNCHANGED if self.total else Permission.NONE)
        self.grasp(top, wanted, Permission.ALL & ~Permission.RESIZE)
        filter = StreamFilter(top)
        filter.implicit = self._filter_name is None
        rewire.insert(graph, filter, self._filter_name, self.edges)
        self._filter = filter

    async def run(self) -> None:
        while self.done < self.total:
            step = await self.attempt(partial(self._step, self.done))
            if step is None:
                self._failure = self._failure or self.passed_over
                step = min(self.step_size, self.total - self.done)
            self.done += step
        if self._failure is not None:
            raise self._failure

    async def _step(self, at: int) -> int:
        try:
            extent = await request.chain_status(self._top, at, min(self.total - at, _SKIP), self._base)
            if not extent.flags & Data.ALLOCATED:
                return extent.length
            length = min(extent.length, self.step_size)
            own = await self._top.block_status(at, extent.length)
            if own.flags & Data.ALLOCATED:
                return own.length
        except BlockError as error:
            raise TransferError(error, writing=False) from error
        assert self._filter is not None
        length = min(own.length, length)
        async with self._filter.busy.hold(at, at + length):
            return await self._copy(at, length)

    async def _copy(self, at: int, length: int) -> int:
        """Copy what a guest has not written since it was looked at."""
        top = self._top
        try:
            own = await top.block_status(at, length)
        except BlockError as error:
            raise TransferError(error, writing=False) from error
        if not own.flags & Data.ALLOCATED:
            self.used(await transfer(top, top, at, own.length, self.buffer, Write.UNCHANGED, detect_zeroes=True))
        return own.length

    async def prepare(self) -> None:
        if not self.total:
            return
        async with rewire.quiet(self.graph, self._top):
            images = chain(self._top, self._bottom)
            base = backing_of(images[-1]) if self._bottom is not None else None
            name = None
            if base is not None:
                name = self._backing_file or name_from(self._top, images[-1], base)
            await link(self.graph, self._top, base, name)

    async def clean(self) -> None:
        async with rewire.quiet(self.graph, self._top):
            if self._filter is not None:
                rewire.remove(self.graph, self._filter)
            await self.let_go()
            if self._reopened:
                await self.back_to_read_only(self._top)
