"""The whole graph of disks as numbered points and lines, for those who look for a mistake in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from varan.api.values import (
    BlockPermission,
    XDbgBlockGraph,
    XDbgBlockGraphEdge,
    XDbgBlockGraphNode,
    XDbgBlockGraphNodeType,
)
from varan.block.backend import BlockBackend
from varan.block.base import Node
from varan.block.description import place_of
from varan.block.jobs.base import BlockJob
from varan.block.permissions import names

if TYPE_CHECKING:
    from collections.abc import Iterable

    from varan.block.graph import Graph


class _Numbers:
    """A number for each object, in the order in which they are seen."""

    def __init__(self) -> None:
        self.nodes: list[XDbgBlockGraphNode] = []
        self._seen: dict[int, int] = {}

    def of(self, subject: Any, otherwise: str = "") -> int:
        """The number of a back end, a job or a node; one that is none of these is called `otherwise`."""
        if id(subject) not in self._seen:
            number = self._seen[id(subject)] = len(self.nodes) + 1
            kind, name = XDbgBlockGraphNodeType.BLOCK_BACKEND, otherwise
            if isinstance(subject, Node):
                kind, name = XDbgBlockGraphNodeType.BLOCK_DRIVER, subject.node_name
            elif isinstance(subject, BlockJob):
                kind, name = XDbgBlockGraphNodeType.BLOCK_JOB, subject.id
            elif isinstance(subject, BlockBackend):
                name = subject.public_name or (place_of(subject) if subject.device is not None else "")
            self.nodes.append(XDbgBlockGraphNode(id=number, type=kind, name=name))
        return self._seen[id(subject)]


def picture(graph: Graph, backends: Iterable[BlockBackend]) -> XDbgBlockGraph:
    """Everybody there is: back ends, with or without medium, nodes, and whoever else holds one."""
    numbers = _Numbers()
    for backend in backends:
        numbers.of(backend)
    for node in graph.nodes.values():
        numbers.of(node)
    edges = []
    for node in graph.nodes.values():
        for edge in graph.parents(node):
            parent = edge if edge.owner is None else edge.owner
            edges.append(
                XDbgBlockGraphEdge(
                    parent=numbers.of(parent, edge.parent),
                    child=numbers.of(node),
                    name=edge.role,
                    perm=[BlockPermission(name) for name in names(edge.permissions)],
                    shared_perm=[BlockPermission(name) for name in names(edge.shared)],
                )
            )
    return XDbgBlockGraph(nodes=numbers.nodes, edges=edges)
