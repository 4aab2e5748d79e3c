"""Giving open nodes other options, all of them or none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from varan.block import registry, rewire
from varan.block.base import BlockError, Edge, ErrorKind, Node, OpenOptions, Permission
from varan.block.graph import Graph
from varan.block.options import Flat, driver_options, flatten, invalid, take_child, take_common

Undo = Callable[[], Awaitable[None]]


class _Change:
    """What one node is to become."""

    def __init__(self, graph: Graph, options: object) -> None:
        if not isinstance(options, dict):
            raise invalid("each of the options is an object")
        flat = flatten(options)
        name = flat.get("node-name")
        if not isinstance(name, str):
            raise invalid("node-name not specified")
        if name not in graph.nodes:
            raise BlockError(ErrorKind.NOT_FOUND, f"Failed to find node with node-name='{name}'")
        self.node = graph.nodes[name]
        if flat.pop("driver", self.node.driver) != self.node.driver:
            raise _fixed("driver")
        self._graph = graph
        self.backing: tuple[Node | None] | None = None
        """The new backing file, where there is to be another one."""
        self._children(flat)
        self.common = take_common(flat, OpenOptions())
        self._compare(flat)

    def _children(self, flat: Flat) -> None:
        for role in registry.driver(self.node.driver).child_roles:
            given, value = take_child(flat, role.name)
            edge = self.node.children.get(role.name)
            if not given or (edge is not None and value == edge.node.node_name):
                continue
            if role.name != "backing" or not (value is None or isinstance(value, str)):
                raise _fixed(role.name)
            if value is not None or edge is not None:
                self.backing = (None if value is None else self._graph.node(value),)

    def _compare(self, flat: Flat) -> None:
        wanted = driver_options(flat, registry.driver(self.node.driver))
        there = self.node.options.driver_options
        for option in wanted.keys() | there.keys():
            if option in wanted and wanted.get(option) != there.get(option):
                raise _fixed(option)

    async def apply(self, undo: list[Undo]) -> None:
        """Make the change, and note how to take it back. In a quiet section. Raises BlockError."""
        node, common = self.node, self.common
        if self.backing is not None:
            await self._replace_backing(self.backing[0], undo)
        if common.read_only != node.read_only:
            before = node.read_only
            await rewire.reopen(self._graph, node, read_only=common.read_only)
            if node.read_only != common.read_only:
                raise BlockError(ErrorKind.IN_USE, f"Node '{node.node_name}' is written to: it cannot be read-only")
            undo.append(lambda: rewire.reopen(self._graph, node, read_only=before))
        kept = node.options.discard, node.options.detect_zeroes

        async def restore() -> None:
            node.options.discard, node.options.detect_zeroes = kept

        undo.append(restore)
        node.options.discard, node.options.detect_zeroes = common.discard, common.detect_zeroes

    async def _replace_backing(self, new: Node | None, undo: list[Undo]) -> None:
        edge = self.node.children.get("backing")
        old = edge.node if edge is not None else None
        await self._graph.replace(self.node, "backing", new)
        undo.append(lambda: self._graph.replace(self.node, "backing", old))

    @property
    def old_backing(self) -> Node | None:
        """The backing file that may not be needed any more."""
        edge = self.node.children.get("backing")
        return edge.node if edge is not None and self.backing is not None else None


def _fixed(option: str) -> BlockError:
    return invalid(f"Cannot change the option '{option}'")


async def reopen_nodes(graph: Graph, options: Sequence[Any]) -> None:
    """Give each node the options listed for it (`node-name` says which). Raises BlockError, nothing changed."""
    changes = [_Change(graph, each) for each in options]
    held: list[Edge] = []
    undo: list[Undo] = []
    async with rewire.quiet(graph, *(change.node for change in changes)):
        try:
            for change in changes:
                if change.old_backing is not None:
                    held.append(graph.attach(change.old_backing, "a change", Permission.NONE, Permission.ALL))
                await change.apply(undo)
        except BlockError:
            for step in reversed(undo):
                await step()
            raise
        finally:
            for edge in held:
                await graph.detach(edge)
