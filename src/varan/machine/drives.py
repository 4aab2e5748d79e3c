"""The disks of one machine: its graph of block nodes, and the back ends that devices use."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from msgspec import UNSET

from varan.api.events import BlockIoError, DeviceTrayMoved, Event
from varan.api.values import BlockdevOnError, BlockErrorAction, IoOperationType
from varan.errors import DeviceEncrypted, VaranError

if TYPE_CHECKING:
    from varan.block.backend import BlockBackend
    from varan.block.base import BlockError, Node
    from varan.block.crypto.secret import Secrets
    from varan.block.graph import Graph
    from varan.block.jobs.starting import JobStarter
    from varan.block.throttle_group import ThrottleGroup
    from varan.jobs.manager import JobManager
    from varan.machine.spec import DriveSpec

log = logging.getLogger("varan.block")


class Drives:
    """Back ends by id. Called on the machine's loop. A machine without disks loads no block layer."""

    def __init__(
        self,
        secrets: Secrets,
        throttle_groups: dict[str, ThrottleGroup],
        lock: AbstractContextManager[Any] | None = None,
    ) -> None:
        """`lock`: the machine lock, which vCPU threads hold when they reach for a medium."""
        self._lock = lock or contextlib.nullcontext()
        self._secrets = secrets
        self.throttle_groups = throttle_groups
        self._graph: Graph | None = None
        self.backends: dict[str, BlockBackend] = {}
        self._nameless: list[BlockBackend] = []
        """Back ends of devices that name a node, or nothing."""
        self.emit: Callable[[Event], None] = lambda event: None
        """Sends events."""
        self.on_stop: Callable[[], None] = lambda: None
        """Told when the machine has to stop: requests of its guest have failed and wait."""

    @property
    def graph(self) -> Graph:
        """The block nodes, by name."""
        if self._graph is None:
            from varan.block.graph import Graph

            self._graph = Graph(secret=self._secrets.get)
            self._graph.throttle_groups = self.throttle_groups
            self._graph.drives = self.backends
        return self._graph

    async def open(self, spec: DriveSpec) -> None:
        """Open a drive's medium and make its back end. Raises VaranError."""
        from varan.block.backend import BlockBackend
        from varan.block.base import OpenOptions
        from varan.block.errorpolicy import ErrorPolicy
        from varan.block.limiting import set_limits
        from varan.block.medium import Retained
        from varan.block.statistics import BlockStatistics
        from varan.block.throttle import parse_limits

        if spec.id in self.backends:
            raise VaranError(f"there is a drive with ID '{spec.id}' already")
        if spec.id in self.graph.nodes:
            raise VaranError(f"Device name '{spec.id}' conflicts with an existing node name")
        parse_limits(spec.limits)
        node = None
        if spec.source is not None:
            opening = OpenOptions(key_later=True)
            if spec.snapshot:
                from varan.block.temporary import open_below_overlay

                node = await open_below_overlay(self.graph, spec.source, spec.format, opening)
            else:
                node = await self.graph.open(spec.source, format=spec.format, options=opening, user=None)
            node.implicit = spec.copy_on_read
        backend = BlockBackend(self.graph, spec.id, node, writeback=spec.writeback, serial=spec.serial)
        if node is None:
            backend.last_medium = Retained.parse(spec.retained)
        self._prepare(backend)
        backend.policy = ErrorPolicy(spec.rerror, spec.werror)
        backend.statistics = BlockStatistics(
            account_invalid=spec.account_invalid, account_failed=spec.account_failed, intervals=spec.intervals
        )
        backend.keep()
        if node is not None:
            self.graph.disown(node)
        set_limits(self.throttle_groups, backend, spec.limits, spec.throttle_group)
        self.backends[spec.id] = backend

    async def remove(self, name: str) -> None:
        """Close a drive. A device that uses it stays, and finds no medium. Raises BlockError when data may be lost."""
        from varan.block.errorpolicy import ErrorPolicy

        backend = self.backends.pop(name)
        if backend.user is None:
            await backend.close()
            return
        backend.anonymous = True
        self._nameless.append(backend)
        # There is nothing any more that could be mended.
        backend.policy = ErrorPolicy(BlockdevOnError.REPORT, BlockdevOnError.REPORT)
        if backend.node is not None:
            await backend.take_out()
        await backend.close()

    def _prepare(self, backend: BlockBackend) -> None:
        backend.lock = self._lock
        backend.on_tray = self._tray_moved
        backend.on_error = self._request_failed

    def check_keys(self) -> None:
        """Raise DeviceEncrypted for the first drive whose medium still lacks its key."""
        if self._graph is None:
            return
        from varan.block.keys import missing_key

        for backend in self:
            locked = missing_key(backend.node) if backend.node is not None else None
            if locked is not None:
                raise DeviceEncrypted(backend.name, locked.filename)

    def _tray_moved(self, backend: BlockBackend, is_open: bool) -> None:
        device = backend.device
        name = "" if backend.anonymous else backend.name
        self.emit(DeviceTrayMoved(device=name, id=device.id or device.path, tray_open=is_open))

    async def add_node(self, options: Mapping[str, Any]) -> None:
        """Open a block node that has a name, for devices and other nodes to use. Raises VaranError."""
        if "node-name" not in options:
            raise VaranError("'node-name' must be specified for the root node")
        node = await self.graph.open(options, user=None)
        from varan.block.keys import missing_key

        if missing_key(node) is not None:
            await self.graph.close(node)
            raise VaranError("Parameter 'encrypt.key-secret' is required for cipher")

    def find(self, name: str) -> BlockBackend:
        """The drive of that id, else a back end for the block node of that name. Raises VaranError."""
        if name in self.backends:
            return self.backends[name]
        if self._graph is None:
            raise VaranError(f"there is no drive '{name}'")
        return self._anonymous(name, self._graph.node(name))

    def empty(self) -> BlockBackend:
        """A back end for a device that was given none, for media to come: read-only ones unless somebody says so."""
        from varan.block.medium import Retained

        backend = self._anonymous("", None)
        backend.last_medium = Retained(read_only=True)
        return backend

    def _anonymous(self, name: str, node: Node | None) -> BlockBackend:
        from varan.block.backend import BlockBackend

        backend = BlockBackend(self.graph, name, node)
        backend.anonymous = True
        self._prepare(backend)
        self._nameless = [other for other in self._nameless if other.user is not None]
        self._nameless.append(backend)
        return backend

    def __iter__(self) -> Iterator[BlockBackend]:
        """Every back end, those without a name of their own last."""
        yield from self.backends.values()
        yield from (backend for backend in self._nameless if backend.user is not None)

    def _request_failed(
        self, backend: BlockBackend, error: BlockError, is_read: bool, action: BlockErrorAction
    ) -> None:
        from varan.block.base import ErrorKind

        operation = IoOperationType.READ if is_read else IoOperationType.WRITE
        log.info("a %s of disk '%s' failed: %s (%s)", operation.value, backend.name, error, action.value)
        self.emit(
            BlockIoError(
                device=backend.public_name,
                node_name=UNSET if backend.node is None else backend.node.node_name,
                operation=operation,
                action=action,
                nospace=error.kind is ErrorKind.NO_SPACE if backend.policy.may_stop else UNSET,
                reason=error.reason,
            )
        )
        if action is BlockErrorAction.STOP:
            self.on_stop()

    async def flush(self) -> None:
        """Flush every medium; what fails is only logged, as the guest's own flushes tell it."""
        from varan.block.base import BlockError

        for node in {backend.node: None for backend in self if backend.node is not None and not backend.read_only}:
            try:
                await node.flush()
            except BlockError as error:
                log.info("a disk of the stopped machine could not be flushed: %s", error)

    def retry(self) -> None:
        """Begin anew what has failed and waited."""
        for backend in (*self.backends.values(), *self._nameless):
            backend.retry()

    def jobs(self, manager: JobManager) -> JobStarter:
        """Starts jobs on the disks."""
        from varan.block.jobs.starting import JobStarter

        return JobStarter(self.graph, self.backends, manager)

    async def drain(self) -> None:
        """Wait until no request is under way. The guest does not run."""
        for backend in (*self.backends.values(), *self._nameless):
            await backend.drain()

    async def close(self) -> None:
        """Flush and close every medium. No device uses one any more. Raises BlockError when data may be lost."""
        backends, self.backends = self.backends, {}
        failure: VaranError | None = None
        for backend in backends.values():
            try:
                await backend.close()
            except VaranError as error:
                failure = failure or error
        if self._graph is not None:
            await self._graph.close_all()
        if failure is not None:
            raise failure
