"""The disks of one machine: its graph of block nodes, and the back ends that devices use."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from varan.errors import VaranError

if TYPE_CHECKING:
    from varan.block.backend import BlockBackend
    from varan.block.crypto.secret import Secrets
    from varan.block.graph import Graph
    from varan.block.jobs.starting import JobStarter
    from varan.block.throttle_group import ThrottleGroup
    from varan.jobs.manager import JobManager
    from varan.machine.spec import DriveSpec


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
        self._throttle_groups = throttle_groups
        self._graph: Graph | None = None
        self.backends: dict[str, BlockBackend] = {}
        self._nameless: list[BlockBackend] = []
        """Back ends of devices that name a node."""

    @property
    def graph(self) -> Graph:
        """The block nodes, by name."""
        if self._graph is None:
            from varan.block.graph import Graph

            self._graph = Graph(secret=self._secrets.get)
            self._graph.throttle_groups = self._throttle_groups
        return self._graph

    async def open(self, spec: DriveSpec) -> None:
        """Open a drive's medium and make its back end. Raises VaranError."""
        from varan.block.backend import BlockBackend

        if spec.id in self.backends:
            raise VaranError(f"there is a drive with ID '{spec.id}' already")
        node = None
        if spec.source is not None:
            node = await self.graph.open(spec.source, format=spec.format, user=None)
        backend = BlockBackend(self.graph, spec.id, node, writeback=spec.writeback, serial=spec.serial)
        backend.lock = self._lock
        backend.keep()
        if node is not None:
            self.graph.disown(node)
        self.backends[spec.id] = backend

    async def add_node(self, options: Mapping[str, Any]) -> None:
        """Open a block node that has a name, for devices and other nodes to use. Raises VaranError."""
        if "node-name" not in options:
            raise VaranError("'node-name' must be specified for the root node")
        await self.graph.open(options, user=None)

    def find(self, name: str) -> BlockBackend:
        """The drive of that id, else a back end for the block node of that name. Raises VaranError."""
        if name in self.backends:
            return self.backends[name]
        if self._graph is None:
            raise VaranError(f"there is no drive '{name}'")
        from varan.block.backend import BlockBackend

        backend = BlockBackend(self._graph, name, self._graph.node(name))
        backend.lock = self._lock
        self._nameless = [other for other in self._nameless if other.user is not None]
        self._nameless.append(backend)
        return backend

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
