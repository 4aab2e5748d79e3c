"""What jobs on block nodes share: a speed limit, what to do about errors, holds on nodes, and their events."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from msgspec import UNSET

from varan.api.events import BlockJobCancelled, BlockJobCompleted, BlockJobError, BlockJobPending, BlockJobReady
from varan.api.values import (
    BlockDeviceIoStatus,
    BlockdevOnError,
    BlockErrorAction,
    BlockJobInfo,
    IoOperationType,
    JobStatus,
    JobVerb,
)
from varan.block import errorpolicy, rewire
from varan.block.base import BlockError, Edge, Node, Permission
from varan.block.gate import Gate
from varan.block.graph import Graph
from varan.block.jobs.transfer import TransferError
from varan.block.memory import aligned
from varan.block.throttle import Bucket
from varan.errors import InvalidParameterValue
from varan.jobs.job import Job

log = logging.getLogger(__name__)

BUFFER = 4 << 20
"""Bytes of memory that a job copies through."""
CHUNK = 8 << 20
"""Most bytes that are copied in one step."""
_SMALLEST = 1 << 16
_READY = (JobStatus.READY, JobStatus.STANDBY)


class BlockJob(Job):
    """A job on nodes of `graph`. `begin` is called in a quiet section before the work, `clean` after it."""

    def __init__(
        self,
        graph: Graph,
        id: str,
        *,
        speed: int = 0,
        on_source_error: BlockdevOnError = BlockdevOnError.REPORT,
        on_target_error: BlockdevOnError = BlockdevOnError.REPORT,
        auto_finalize: bool = True,
        auto_dismiss: bool = True,
    ) -> None:
        """`speed` is in bytes per second, 0: as fast as it goes. Raises InvalidParameterValue."""
        super().__init__(id, auto_finalize=auto_finalize, auto_dismiss=auto_dismiss)
        self.graph = graph
        self.speed = _checked(speed)
        self.io_status = BlockDeviceIoStatus.OK
        self.nodes: frozenset[Node] = frozenset()
        """The nodes that no other job may work on meanwhile."""
        self.edges: list[Edge] = []
        self.passed_over: BlockError | None = None
        """The last error that was ignored."""
        self.buffer = memoryview(aligned(BUFFER))
        self._policies = {False: on_source_error, True: on_target_error}
        self._gate = Gate()
        self._bucket = Bucket(rate=float(speed))
        self._leaked = time.monotonic()

    async def begin(self) -> None:
        """Hold the nodes and put filters in place. In a quiet section. Raises BlockError, nothing changed."""

    async def withdraw(self) -> None:
        """Undo what `begin` has done, however far it came, or take away at the end what was there for the work.

        In a quiet section. Does not raise.
        """
        await self.let_go()

    # As a holder of nodes (`varan.block.rewire`).

    def hold(self) -> None:
        """Begin no further step until `release`."""
        self._gate.close()

    async def idle(self) -> None:
        """Wait until the step under way is over."""
        await self._gate.emptied()

    def release(self) -> None:
        """Go on."""
        self._gate.open()

    def moved(self, node: Node) -> None:
        """A job goes by the nodes that it was given."""

    def grasp(self, node: Node, wanted: Permission, shared: Permission) -> Edge:
        """Hold a node until the job is over. Raises BlockError."""
        edge = self.graph.attach(node, f"job '{self.id}'", wanted, shared, owner=self)
        self.edges.append(edge)
        return edge

    async def let_go(self) -> None:
        """Give up all holds."""
        edges, self.edges = self.edges, []
        for edge in edges:
            try:
                await self.graph.detach(edge)
            except BlockError:
                # What had to be safe was flushed before.
                continue

    async def back_to_read_only(self, node: Node) -> None:
        """Undo that a node was made writable for the job; does not raise. In a quiet section."""
        try:
            await rewire.reopen(self.graph, node, read_only=True)
        except BlockError as error:
            log.warning("job '%s': %s", self.id, error)

    # Steps.

    @property
    def step_size(self) -> int:
        """Bytes to copy at once: less where the limit is low, so that progress is steady."""
        if not self.speed:
            return CHUNK
        return min(max(self.speed // 10 // _SMALLEST * _SMALLEST, _SMALLEST), CHUNK)

    async def attempt(self, step: Callable[[], Awaitable[int]]) -> int | None:
        """The result of one step, which may be tried again when it fails. None: it failed and is to be passed over.

        Raises BlockError and JobCancelledError.
        """
        while True:
            await self.pause_point()
            try:
                async with self._gate:
                    result = await step()
            except TransferError as failure:
                if self._react(failure) is BlockErrorAction.IGNORE:
                    self.passed_over = failure.error
                    return None
                await self.pause_point()
                continue
            await self._keep_to_speed()
            return result

    def used(self, size: int) -> None:
        """So many bytes were copied."""
        self._bucket.use(size)

    async def _keep_to_speed(self) -> None:
        while True:
            now = time.monotonic()
            self._bucket.leak(now - self._leaked)
            self._leaked = now
            seconds = self._bucket.wait()
            if not seconds:
                break
            await self.sleep(seconds)
        await asyncio.sleep(0)

    def _react(self, failure: TransferError) -> BlockErrorAction:
        """Do what the policy says. Raises the error where that is to report it."""
        action = errorpolicy.action(self._policies[failure.writing], failure.error, is_read=not failure.writing)
        operation = IoOperationType.WRITE if failure.writing else IoOperationType.READ
        self._manager.emit(BlockJobError(device=self.id, operation=operation, action=action))
        if action is BlockErrorAction.REPORT:
            raise failure.error
        if action is BlockErrorAction.STOP:
            self.io_status = errorpolicy.status(failure.error)
            self.state.user_paused = True
        return action

    async def pause_point(self) -> None:
        await super().pause_point()
        self.io_status = BlockDeviceIoStatus.OK

    def guest_resumed(self) -> None:
        # A job that an error stopped waits for its own resumption; only the status is cleared with the disks'.
        self.io_status = BlockDeviceIoStatus.OK

    def set_speed(self, speed: int) -> None:
        """Another limit, at once. Raises GenericError."""
        self.check(JobVerb.SET_SPEED)
        self.speed = _checked(speed)
        self._bucket = Bucket(rate=float(speed))
        self.wake()

    # What others see.

    def block_info(self) -> BlockJobInfo:
        """As `query-block-jobs` shows it."""
        return BlockJobInfo(
            type=self.kind,
            device=self.id,
            len=self.total,
            offset=self.done,
            busy=self.busy,
            paused=self.state.user_paused,
            speed=self.speed,
            io_status=self.io_status,
            ready=self.state.status in _READY,
            status=self.state.status,
            auto_finalize=self.auto_finalize,
            auto_dismiss=self.auto_dismiss,
            error=UNSET if self.failure is None else self.failure,
        )

    def announce_ready(self) -> None:
        self._manager.emit(
            BlockJobReady(type=self.kind, device=self.id, len=self.total, offset=self.done, speed=self.speed)
        )

    def announce_pending(self) -> None:
        self._manager.emit(BlockJobPending(type=self.kind, id=self.id))

    def announce_end(self) -> None:
        emit = self._manager.emit
        if self.cancelled and self.error is None:
            emit(BlockJobCancelled(type=self.kind, device=self.id, len=self.total, offset=self.done, speed=self.speed))
            return
        error = UNSET if self.error is None else self.error
        emit(
            BlockJobCompleted(
                type=self.kind, device=self.id, len=self.total, offset=self.done, speed=self.speed, error=error
            )
        )


def _checked(speed: int) -> int:
    if speed < 0:
        raise InvalidParameterValue("speed", "a non-negative value")
    return speed
