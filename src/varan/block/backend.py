"""Back ends: what stands between a device of a machine and the root of its block graph.

A back end has a name that people know (`drive0`), a medium or none, and at most one device that uses it. The device's
requests go through it, so that this is where they can be counted, held back, or waited for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Coroutine
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, TypeVar

from varan.api.values import BlockDeviceIoStatus, BlockErrorAction
from varan.block import request
from varan.block.base import BlockError, Buffers, Edge, ErrorKind, Node, Permission, Write
from varan.block.errorpolicy import ErrorPolicy, status
from varan.block.gate import Gate
from varan.block.graph import Graph
from varan.block.medium import Removable, Retained
from varan.block.request import size_of
from varan.block.rewire import hurried, nodes_below
from varan.block.statistics import FLUSH, READ, UNMAP, WRITE, BlockStatistics, Kind

if TYPE_CHECKING:
    from varan.block.throttle_group import ThrottleMember

T = TypeVar("T")

SLOW = 50_000_000
"""Nanoseconds: a write to the host's memory that takes longer had to wait."""
PATIENCE = 1_000_000_000
"""Nanoseconds for which writes are not tried at once after such a one."""


def _nothing() -> None:
    return


class BlockBackend:
    """See the module's text. All methods are called on the graph's loop, `read_now` and `write_now` on any thread."""

    def __init__(
        self, graph: Graph, name: str, node: Node | None = None, *, writeback: bool = True, serial: str = ""
    ) -> None:
        """`node`: the medium, which is held by somebody else as long as no device is attached.

        `writeback`: whether devices start with a write cache, whose content a flush makes safe.
        """
        self.name = name
        self.node = node
        self.writeback = writeback
        self.serial = serial
        """Serial number of a device that was given none."""
        self.statistics = BlockStatistics()
        self.user: str | None = None
        """The device that uses it, for messages ("device 'disk0'")."""
        self.device: Any = None
        """The same as an object (`varan.devices.pluggable.PluggableDevice`), for those who ask about it."""
        self.removable: Removable | None = None
        """The same, if its medium may come and go while it uses it."""
        self.anonymous = False
        """Whether `name` is not its own: a device names a node, or nothing."""
        self.last_medium = Retained()
        """How the medium that is gone was opened."""
        self.on_tray: Callable[[BlockBackend, bool], None] = _nobody
        """Told on the loop when the device's tray has moved, with whether it is open."""
        self.lock: AbstractContextManager[Any] = contextlib.nullcontext()
        """Held by whoever calls `read_now` and `write_now`."""
        self.limits: ThrottleMember | None = None
        """Membership in the group at whose rate requests go; see `limit`."""
        self.policy = ErrorPolicy()
        """What its device does about requests that fail."""
        self.io_status = BlockDeviceIoStatus.OK
        """Whether requests wait for somebody to mend what made them fail (the first such error counts)."""
        self.on_error: Callable[[BlockBackend, BlockError, bool, BlockErrorAction], None] = _tell_nobody
        """Told of each decision: the error, whether of a read, and what is done about it."""
        self.try_again: Callable[[], None] = _nothing
        """Set by the device: begin anew what has failed and waits."""
        self.on_resize: Callable[[], None] = _nothing
        """Set by the device: the medium has another size. Called on the loop, the machine lock is not held."""
        self._graph = graph
        self._edge: Edge | None = None
        self._quick: Node | None = None
        self._writes = self._shares = self._quick_writes = False
        self._patient_from = 0
        self._gate = Gate()
        self._keeps = False
        self._hurries = 0
        """For how many no request waits for its turn, whatever the limits."""

    @property
    def public_name(self) -> str:
        """The name if it has one of its own."""
        return "" if self.anonymous else self.name

    @property
    def may_stand_still(self) -> bool:
        """Whether an error can make the device wait: it knows how to try again, and the policy wants that."""
        return self.try_again is not _nothing and self.policy.may_stop

    @property
    def in_flight(self) -> int:
        """Requests that have begun and not ended."""
        return self._gate.inside

    def keep(self) -> None:
        """Hold the medium from now on, whether a device uses it or not, until `close`. Raises BlockError."""
        if self.node is not None:
            self._edge = self._graph.attach(
                self.node, f"drive '{self.name}'", Permission.NONE, Permission.ALL, owner=self
            )
        self._keeps = True

    async def close(self) -> None:
        """Let go of the medium. No device uses it any more. Raises BlockError when it cannot be flushed."""
        self._keeps = False
        self.node = None
        self.limit(None)
        edge, self._edge = self._edge, None
        if edge is not None:
            await self._graph.detach(edge)

    def attach(
        self,
        user: str,
        *,
        write: bool,
        share_write: bool = False,
        device: Any = None,
        removable: Removable | None = None,
    ) -> None:
        """Let a device use the medium, and those that come after it where it is `removable`.

        `write`: whether the device writes media that can be written. Raises BlockError when another device uses it, or
        the medium does not allow it.
        """
        if self.user is not None:
            raise BlockError(ErrorKind.IN_USE, f"Drive '{self.name}' is already in use by {self.user}")
        self._writes, self._shares = write, share_write
        if self.node is not None:
            wanted, shared = self._permissions(self.node)
            if self._edge is None:
                self._edge = self._graph.attach(self.node, user, wanted, shared, owner=self)
            else:
                self._graph.change(self._edge, wanted, shared)
                self._edge.parent = user
        self.user, self.device, self.removable = user, device, removable
        self.io_status = BlockDeviceIoStatus.OK
        self._resume_quick()

    def _permissions(self, node: Node) -> tuple[Permission, Permission]:
        """What the device that uses it wants of a medium, and shares."""
        write = Permission.WRITE if self._writes and not node.read_only else Permission.NONE
        shared = Permission.CONSISTENT_READ | Permission.WRITE_UNCHANGED | Permission.RESIZE
        shared |= Permission.WRITE if self._shares else Permission.NONE
        return Permission.CONSISTENT_READ | write, shared

    # Media (`varan.block.medium` has who may do this when).

    @property
    def retained(self) -> Retained:
        """How the next medium is opened: like this one, or the last."""
        return Retained.of(self.node) if self.node is not None else self.last_medium

    async def take_out(self, check: Callable[[], None] = _nothing) -> None:
        """Let go of the medium, when what has begun on it is over and nobody changes the graph.

        `check` raises, then, when it has to stay. Raises BlockError when it cannot be flushed.
        """
        async with self._graph.changing:
            self.hold()
            try:
                await self.idle()
                check()
                edge, self._edge = self._edge, None
                self.last_medium = self.retained
                self.node = None
            finally:
                self.release()
            if edge is not None:
                await self._graph.detach(edge)

    def put_in(self, node: Node) -> None:
        """Hold a medium, where there is none. Raises BlockError when it does not allow it."""
        if self.user is not None:
            self._edge = self._graph.attach(node, self.user, *self._permissions(node), owner=self)
        else:
            parent = f"drive '{self.name}'"
            self._edge = self._graph.attach(node, parent, Permission.NONE, Permission.ALL, owner=self)
        self.node = node
        self._resume_quick()

    def tray_moved(self, is_open: bool) -> None:
        """The device's tray has moved, whoever moved it."""
        self.on_tray(self, is_open)

    def _resume_quick(self) -> None:
        """Let threads reach the medium, where that is allowed now."""
        if self._gate.shut or self.user is None or self.node is None or self.limits is not None:
            return
        options = self.node.options
        self._quick_writes = (
            self._writes and not self.node.read_only and options.cache_writeback and options.detect_zeroes == "off"
        )
        self._quick = self.node

    async def detach(self) -> None:
        """The device is gone; what it has begun ends first. Raises BlockError when the medium cannot be flushed."""
        await self.drain()
        self.user = self.device = self.removable = None
        self.try_again = self.on_resize = _nothing
        self._quick = None
        if self._keeps and self._edge is not None:
            await self._medium().flush()
            self._graph.change(self._edge, Permission.NONE, Permission.ALL)
            self._edge.parent = f"drive '{self.name}'"
            return
        self.limit(None)
        edge, self._edge = self._edge, None
        if edge is not None:
            await self._graph.detach(edge)

    def limit(self, limits: ThrottleMember | None) -> None:
        """Let requests go at the rate of a group from now on; None: as fast as they can, those that wait, too."""
        before, self.limits = self.limits, limits
        for _ in range(self._hurries):
            if before is not None:
                before.relax()
            if limits is not None:
                limits.hurry()
        with self.lock:
            self._quick = None
        self._resume_quick()
        if before is not None:
            before.leave()

    def decide(self, error: BlockError, *, is_read: bool) -> BlockErrorAction:
        """What the device has to do about a request of the guest that failed.

        STOP: keep the request until `try_again`. Called on the graph's loop.
        """
        action = self.policy.action(error, is_read=is_read)
        if action is BlockErrorAction.STOP and self.io_status is BlockDeviceIoStatus.OK:
            self.io_status = status(error)
        self.on_error(self, error, is_read, action)
        return action

    def retry(self) -> None:
        """The guest goes on: whatever made requests fail may be mended now."""
        self.io_status = BlockDeviceIoStatus.OK
        self.try_again()

    # While the graph below changes (`varan.block.rewire`).

    def hold(self) -> None:
        """Let no request into the graph until `release`."""
        self._gate.close()
        with self.lock:
            self._quick = None
        self._hurry()

    def _hurry(self) -> None:
        """What waits for its turn goes at once: somebody waits for it to end."""
        self._hurries += 1
        if self.limits is not None:
            self.limits.hurry()

    def _relax(self) -> None:
        self._hurries -= 1
        if self.limits is not None:
            self.limits.relax()

    async def idle(self) -> None:
        """Wait until nothing is in flight."""
        await self._gate.emptied()

    def release(self) -> None:
        """Requests go on."""
        self._gate.open()
        self._relax()
        self._resume_quick()

    def moved(self, node: Node) -> None:
        """Another node is the medium."""
        self.node = node

    @property
    def present(self) -> bool:
        """Whether there is a medium."""
        return self.node is not None

    @property
    def read_only(self) -> bool:
        """Whether the medium cannot be written."""
        return self.node is not None and self.node.read_only

    @property
    def length(self) -> int:
        """Bytes of the medium, 0 without one."""
        return self.node.length if self.node is not None else 0

    def read_now(self, offset: int, buffers: Buffers) -> bool:
        """Fill `buffers` at once if that needs no waiting and nothing of the graph can be in the way.

        Any thread, with the machine lock held. False: nothing is known about the buffers now, use `read`.
        """
        node = self._quick
        length = sum(map(len, buffers))
        if node is None or offset + length > node.length:
            return False
        statistics = self.statistics
        begun = statistics.clock()
        done = node.read_now(offset, buffers)
        if done:
            statistics.done(READ, length, begun)
        return done

    def write_now(self, offset: int, buffers: Buffers) -> bool:
        """Write `buffers` at once if that goes no further than the host's memory, and nothing can be in the way.

        Any thread, with the machine lock held. False: use `write`. The host makes writers wait when too much of its
        memory is unwritten; once that has been felt, it is left to others for a while.
        """
        node = self._quick
        length = sum(map(len, buffers))
        if node is None or not self._quick_writes or offset + length > node.length:
            return False
        statistics = self.statistics
        begun = statistics.clock()
        if begun < self._patient_from:
            return False
        done = node.write_now(offset, buffers)
        if done:
            ended = statistics.done(WRITE, length, begun)
        else:
            ended = statistics.clock()
        if ended - begun > SLOW:
            self._patient_from = ended + PATIENCE
        return done

    async def read(self, offset: int, buffers: Buffers, *, requests: int = 1) -> None:
        """Fill `buffers` from `offset`; `requests`: how many of the device's are done as this one. Raises BlockError
        (several together are not counted then: they are to be tried one by one)."""
        await self._tracked(READ, offset, size_of(buffers), requests, request.read, offset, buffers)

    async def write(self, offset: int, buffers: Buffers, *, stable: bool = False, requests: int = 1) -> None:
        """Write `buffers` at `offset`; `stable`: on stable storage when it returns; `requests` as for `read`. Raises
        BlockError."""
        flags = Write.FUA if stable else Write.NONE
        await self._tracked(WRITE, offset, size_of(buffers), requests, request.write, offset, buffers, flags)

    async def write_zeroes(self, offset: int, length: int, *, unmap: bool, stable: bool = False) -> None:
        """Make the range read as zeros; `unmap`: its space may be given back. Raises BlockError."""
        flags = Write.MAY_UNMAP if unmap else Write.NONE
        flags |= Write.FUA if stable else Write.NONE
        await self._tracked(WRITE, offset, length, 1, request.zero, offset, length, flags)

    async def discard(self, offset: int, length: int) -> None:
        """The range's content matters no more. Raises BlockError."""
        await self._tracked(UNMAP, offset, length, 1, request.discard, offset, length)

    async def flush(self) -> None:
        """Put what was written on stable storage. Raises BlockError."""
        await self._tracked(FLUSH, 0, 0, 1, _flush)

    async def perform(self, work: Callable[[Node], Coroutine[Any, Any, T]]) -> T:
        """Do something else with the medium, as a request of its own. Raises BlockError."""
        async with self._gate:
            return await work(self._medium())

    async def drain(self) -> None:
        """Wait until nothing is in flight. Whoever sends requests does not send more meanwhile."""
        self._hurry()
        try:
            with hurried(nodes_below([self.node] if self.node is not None else [])):
                await self._gate.drained()
        finally:
            self._relax()

    def _medium(self) -> Node:
        if self.node is None:
            raise BlockError(ErrorKind.NOT_FOUND, "there is no medium", where=self.name)
        return self.node

    async def _tracked(
        self,
        kind: Kind,
        offset: int,
        length: int,
        requests: int,
        work: Callable[..., Coroutine[Any, Any, None]],
        *arguments: Any,
    ) -> None:
        """Every request that may have to wait: held back while the graph changes, and by limits; done; counted."""
        begun = self.statistics.clock()
        gate = self._gate
        if gate.shut:
            await gate.enter()
        else:
            gate.inside += 1
        try:
            if self.limits is not None and kind < FLUSH:
                await self.limits.admit(length, kind is not READ)
            await work(self._medium(), *arguments)
        except BlockError as error:
            if requests == 1:
                self._count_failure(error, kind, offset, length, begun)
            raise
        else:
            self.statistics.done(kind, length, begun, requests)
        finally:
            gate.leave()

    def _count_failure(self, error: BlockError, kind: Kind, offset: int, length: int, begun: int) -> None:
        """Count a request by what the guest is told: it is done for all that it knows, or not over yet."""
        if self.node is not None and offset + length > self.node.length:
            self.statistics.invalid(kind)
            return
        action = self.policy.action(error, is_read=kind is READ)
        if action is BlockErrorAction.IGNORE:
            self.statistics.done(kind, length, begun)
        elif action is BlockErrorAction.REPORT:
            self.statistics.failed(kind, begun)


def _nobody(backend: BlockBackend, is_open: bool) -> None:
    return


def _tell_nobody(backend: BlockBackend, error: BlockError, is_read: bool, action: BlockErrorAction) -> None:
    return


async def _flush(node: Node) -> None:
    await node.flush()
