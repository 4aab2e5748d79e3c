"""Snapshots into new images: a disk's image becomes the backing file of another one, which takes its place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from varan.block import registry, rewire
from varan.block.base import BlockError, Node, OpenOptions
from varan.block.graph import Graph
from varan.block.jobs.starting import JobStarter
from varan.block.jobs.targets import create_target, open_target
from varan.block.transactions.change import Change
from varan.errors import DeviceInUse, GenericError, InvalidBlockFormat, IOError


async def overlay(starter: JobStarter, change: Change, below: Node, above: Node) -> None:
    """Let `above` take the place of `below`, which stays as it is from now on. Raises VaranError."""
    graph = starter.graph
    if not any(role.name == "backing" for role in registry.driver(above.driver).child_roles):
        raise GenericError("The overlay does not support backing images")
    if "backing" in above.children:
        raise GenericError("The overlay already has a backing image")
    rewire.put_above(graph, above, below)
    change.if_undone(lambda: rewire.take_off(graph, above))
    change.if_done(lambda: rewire.reopen(graph, below, read_only=True))


async def _settle(starter: JobStarter, node: Node) -> None:
    """What was written to a disk is safe before it is written no more; nobody else is at work there."""
    name = starter.called(node)
    starter.check_free(name, node)
    for edge in starter.graph.parents(node):
        if edge.role == "backing" and isinstance(edge.owner, Node):
            reason = f"node is used as backing hd of '{edge.owner.node_name}'"
            raise DeviceInUse(name, f"Node '{name}' is busy: {reason}")
    if not node.read_only:
        try:
            await node.flush()
        except BlockError as error:
            raise IOError(str(error)) from error


@dataclass(frozen=True, slots=True)
class NewOverlay:
    """A snapshot into a file. `device` or `node` says of what; `existing`: the file holds an image already."""

    kind: ClassVar[str] = "blockdev-snapshot-sync"
    ends_together: ClassVar[bool] = False
    file: str
    device: str | None = None
    node: str | None = None
    name: str | None = None
    """What the new node is called."""
    format: str = "qcow2"
    existing: bool = False

    def nodes(self, starter: JobStarter) -> list[Node]:
        return starter.there(self.device, self.node)

    async def prepare(self, starter: JobStarter, change: Change) -> None:
        below = starter.either(self.device, self.node)
        await _settle(starter, below)
        if self.name is None and self.node is not None:
            raise GenericError("New overlay node-name missing")
        if self.name is not None and starter.is_taken(self.name):
            raise GenericError("New overlay node-name already in use")
        if self.format not in registry.names():
            raise InvalidBlockFormat(self.format, "driver" if self.existing else "file format")
        if not self.existing:
            await self._create(change, below)
        above = await open_target(
            starter.graph, self.file, self.format, self.name, None, _like(below), show_nothing_below=True
        )
        change.if_undone(lambda: _close(starter.graph, above))
        await overlay(starter, change, below, above)
        # Where nobody uses the disk nobody could take it away later.
        change.if_done(lambda: _close(starter.graph, above))

    async def _create(self, change: Change, below: Node) -> None:
        if not any(role.name == "backing" for role in registry.driver(self.format).child_roles):
            raise GenericError(f"Backing file not supported for file format '{self.format}'")
        if self.file == below.filename:
            raise GenericError("Error: Trying to create an image with the same filename as the backing file")
        change.remove_if_undone(self.file)
        await create_target(self.file, self.format, below.length, below)


def _like(below: Node) -> OpenOptions:
    """What an overlay has from the image below it."""
    options = below.options
    return OpenOptions(
        read_only=below.read_only,
        cache_direct=options.cache_direct,
        cache_no_flush=options.cache_no_flush,
        cache_writeback=options.cache_writeback,
        discard=options.discard,
        inline=options.inline,
    )


async def _close(graph: Graph, node: Node) -> None:
    await graph.close(node)


@dataclass(frozen=True, slots=True)
class OpenOverlay:
    """A snapshot into a node that is open."""

    kind: ClassVar[str] = "blockdev-snapshot"
    ends_together: ClassVar[bool] = False
    node: str
    overlay: str

    def nodes(self, starter: JobStarter) -> list[Node]:
        return [*starter.there(self.node, self.node), *starter.there(self.overlay, self.overlay)]

    async def prepare(self, starter: JobStarter, change: Change) -> None:
        below = starter.either(self.node, self.node)
        await _settle(starter, below)
        above = starter.either(self.overlay, self.overlay)
        if starter.graph.parents(above):
            raise GenericError("The overlay is already in use")
        await overlay(starter, change, below, above)
