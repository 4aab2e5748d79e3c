"""Changing a graph that is in use: filters come and go, nodes take each other's places, files become writable.

Whoever sends requests into the graph from outside (back ends of devices, jobs) is a `Holder`. In a `quiet` section none
of them has a request under way above the nodes concerned, so that a change is one moment to all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager

from varan.block.base import BlockError, Edge, ErrorKind, Holder, Node, Permission
from varan.block.graph import Graph


def quiet(graph: Graph, *nodes: Node) -> AbstractAsyncContextManager[None]:
    """While the body runs no request comes from above `nodes`, and none is under way.

    Sections take turns: the body must not open another one, nor may its caller be inside a gate of its own.
    """
    return quiet_above(graph, lambda: nodes)


@asynccontextmanager
async def quiet_above(graph: Graph, find: Callable[[], Collection[Node]]) -> AsyncIterator[None]:
    """`quiet` for the nodes that `find` names when this section's turn has come."""
    async with graph.changing:
        nodes = find()
        holders = list(holders_above(graph, nodes))
        for holder in holders:
            holder.hold()
        with hurried(nodes_below(nodes_above(graph, nodes))):
            try:
                for holder in holders:
                    await holder.idle()
                yield
            finally:
                for holder in holders:
                    holder.release()


@contextmanager
def hurried(nodes: Collection[Node]) -> Iterator[None]:
    """While the body runs, requests wait for no turn at `nodes`."""
    for node in nodes:
        node.hurry()
    try:
        yield
    finally:
        for node in nodes:
            node.relax()


def nodes_above(graph: Graph, nodes: Collection[Node]) -> list[Node]:
    """`nodes` and all that lead to them."""
    return _closure(nodes, lambda node: [edge.owner for edge in graph.parents(node) if isinstance(edge.owner, Node)])


def nodes_below(nodes: Collection[Node]) -> list[Node]:
    """`nodes` and all that they lead to."""
    return _closure(nodes, lambda node: [edge.node for edge in node.children.values()])


def _closure(nodes: Collection[Node], neighbours: Callable[[Node], list[Node]]) -> list[Node]:
    found: dict[Node, None] = {}
    todo = list(nodes)
    while todo:
        node = todo.pop()
        if node not in found:
            found[node] = None
            todo += neighbours(node)
    return list(found)


def holders_above(graph: Graph, nodes: Collection[Node]) -> dict[Holder, None]:
    """Who can send requests that reach `nodes`."""
    found: dict[Holder, None] = {}
    for node in nodes_above(graph, nodes):
        for edge in graph.parents(node):
            if edge.owner is not None and not isinstance(edge.owner, Node):
                found[edge.owner] = None
    return found


def adopt(graph: Graph, node: Node, name: str | None) -> None:
    """Give a node that was made outside of `Graph.open` its name. Raises BlockError."""
    node.node_name = graph.free_name(name)
    graph.nodes[node.node_name] = node
    for edge in node.children.values():
        edge.owner = node
        edge.parent = f"node '{node.node_name}' (as its {edge.role})"
        graph.edges.attach(edge)


def insert(graph: Graph, filter: Node, name: str | None, spare: Collection[Edge] = ()) -> None:
    """Put `filter`, whose only child edge leads to a node of the graph, between that node and its parents.

    `spare`: parents that keep their hold on the node itself. In a quiet section. Raises BlockError, nothing changed.
    """
    (edge,) = filter.children.values()
    below = edge.node
    moved = [parent for parent in graph.parents(below) if parent not in spare]
    _check_movable(moved)
    filter.implicit = name is None
    adopt(graph, filter, name)
    try:
        graph.edges.move(moved, filter)
    except BlockError:
        graph.edges.detach(edge)
        del graph.nodes[filter.node_name]
        raise
    _tell(moved)


def remove(graph: Graph, filter: Node) -> None:
    """Take a filter out: its parents hold its child again. In a quiet section."""
    (edge,) = filter.children.values()
    move_parents(graph, filter, edge.node, dropped=(edge,))
    del graph.nodes[filter.node_name]


def move_parents(
    graph: Graph, old: Node, new: Node, *, spare: Collection[Edge] = (), dropped: Sequence[Edge] = ()
) -> None:
    """Let the parents of `old`, but `spare`, hold `new` instead; `dropped` edges go at the same time.

    In a quiet section. Raises BlockError, nothing changed.
    """
    moved = [parent for parent in graph.parents(old) if parent not in spare and parent not in dropped]
    _check_movable(moved)
    graph.edges.move(moved, new, dropped)
    _tell(moved)


def put_above(graph: Graph, overlay: Node, below: Node) -> None:
    """Let `below` be the backing file of `overlay`, whose place it had. In a quiet section. Raises BlockError, nothing
    changed."""
    edge = graph.adopt(overlay, "backing", below)
    try:
        move_parents(graph, below, overlay, spare=(edge,))
    except BlockError:
        del overlay.children["backing"]
        graph.edges.detach(edge)
        raise


def take_off(graph: Graph, overlay: Node) -> None:
    """Undo `put_above`: whoever holds `overlay`, but its opener, holds its backing file again. In a quiet section."""
    edge = overlay.children["backing"]
    move_parents(graph, overlay, edge.node, dropped=(edge,))
    del overlay.children["backing"]


def _check_movable(edges: Sequence[Edge]) -> None:
    for edge in edges:
        if isinstance(edge.owner, Node) and edge.role != "backing" and edge.owner.filtered is not edge.node:
            raise BlockError(ErrorKind.IN_USE, f"it is the {edge.role} of node '{edge.owner.node_name}'")


def _tell(edges: Sequence[Edge]) -> None:
    for edge in edges:
        if edge.owner is not None and not isinstance(edge.owner, Node):
            edge.owner.moved(edge.node)


async def reopen(graph: Graph, node: Node, *, read_only: bool) -> None:
    """Make a node, and the files it lies in, writable or read-only. In a quiet section. Raises BlockError.

    A file that somebody else writes stays writable.
    """
    if node.read_only == read_only or (read_only and node.granted[0] & (Permission.WRITE | Permission.RESIZE)):
        return
    files = [edge.node for edge in node.children.values() if edge.role != "backing"]
    if read_only:
        await node.finish_writing()
    else:
        for file in files:
            await reopen(graph, file, read_only=False)
    _set_mode(graph, node, read_only)
    try:
        await node.reopened()
    except BlockError:
        _set_mode(graph, node, not read_only)
        raise
    if read_only:
        for file in files:
            await reopen(graph, file, read_only=True)


def _set_mode(graph: Graph, node: Node, read_only: bool) -> None:
    before = node.read_only
    node.read_only = node.options.read_only = read_only
    try:
        graph.edges.settle(node)
    except BlockError:
        node.read_only = node.options.read_only = before
        raise
