"""Who holds which node, and whether they get along: every change of an edge is checked through the graph below it."""

from __future__ import annotations

from varan.block.base import BlockError, Edge, ErrorKind, Node, Permission
from varan.block.permissions import conflict, together, words
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence


class Edges:
    """The edges of one graph. A change that does not get along with what is there raises and changes nothing."""

    def __init__(self) -> None:
        self._parents: dict[Node, list[Edge]] = {}

    def parents(self, node: Node) -> list[Edge]:
        """Who holds `node`."""
        return list(self._parents.get(node, ()))

    def attach(self, edge: Edge) -> None:
        """Add an edge. Raises BlockError (IN_USE, READ_ONLY, LOCKED)."""
        parents = self._parents.setdefault(edge.node, [])
        parents.append(edge)
        try:
            self.settle(edge.node)
        except BlockError:
            parents.remove(edge)
            raise

    def detach(self, edge: Edge) -> None:
        """Take an edge away. What it kept others from is free again."""
        parents = self._parents[edge.node]
        parents.remove(edge)
        self.settle(edge.node)
        if not parents:
            del self._parents[edge.node]

    def change(self, edge: Edge, permissions: Permission, shared: Permission) -> None:
        """Want and share something else through an edge. Raises BlockError."""
        before = edge.permissions, edge.shared
        edge.permissions, edge.shared = permissions, shared
        try:
            self.settle(edge.node)
        except BlockError:
            edge.permissions, edge.shared = before
            raise

    def move(self, moved: Sequence[Edge], node: Node, dropped: Sequence[Edge] = ()) -> None:
        """Let edges lead to `node`, and take `dropped` away, all at once. Raises BlockError, nothing changed."""
        before = [(edge, edge.node) for edge in moved]
        parents = self._parents
        touched = {edge.node: list(parents.get(edge.node, ())) for edge in (*moved, *dropped)}
        touched.setdefault(node, list(parents.get(node, ())))
        for edge in (*moved, *dropped):
            parents[edge.node].remove(edge)
        for edge in moved:
            edge.node = node
        parents.setdefault(node, []).extend(moved)
        settled: list[Node] = []
        try:
            for each in _in_order(node, touched):
                self.settle(each)
                settled.append(each)
        except BlockError:
            for edge, old in before:
                edge.node = old
            parents.update(touched)
            for each in settled:
                self.settle(each)
            raise
        for each in touched:
            if not parents[each]:
                del parents[each]

    def settle(self, node: Node) -> None:
        """Work out anew what `node` and all below it need. Raises BlockError with everything as it was."""
        undo: list[Callable[[], None]] = []
        try:
            self._settle(node, undo)
        except BlockError:
            for step in reversed(undo):
                step()
            raise

    def _settle(self, node: Node, undo: list[Callable[[], None]]) -> None:
        edges = self._parents.get(node, [])
        _check(node, edges)
        wanted, shared = together(edges)
        before = node.granted
        if (wanted, shared) != before:
            node.permissions_changed(wanted, shared)
            node.granted = (wanted, shared)
            undo.append(lambda: _restore(node, before))
        for role, edge in node.children.items():
            new = child_needs(node, role, edge.node, wanted, shared)
            if new != (edge.permissions, edge.shared):
                undo.append(_edge_restorer(edge))
                edge.permissions, edge.shared = new
                self._settle(edge.node, undo)


def _in_order(gains: Node, touched: Iterable[Node]) -> list[Node]:
    """Nodes to settle after a move. Who no longer wants something first, lest it keeps `gains` from what is below both;
    but what is below `gains` goes on being held."""
    below = _below(gains)
    others = [node for node in touched if node is not gains]
    return [
        *(node for node in others if node not in below),
        gains,
        *(node for node in others if node in below),
    ]


def _below(node: Node) -> set[Node]:
    found: set[Node] = set()
    todo = [node]
    while todo:
        for edge in todo.pop().children.values():
            if edge.node not in found:
                found.add(edge.node)
                todo.append(edge.node)
    return found


def child_needs(
    node: Node, role: str, child: Node, wanted: Permission, shared: Permission
) -> tuple[Permission, Permission]:
    """What `node` wants of its child and shares, when its own parents want and share this much."""
    need, tolerated = node.child_permissions(role, wanted, shared)
    if child.options.force_share:
        tolerated = Permission.ALL
    elif role == "backing" and child.changes_hidden:
        tolerated |= Permission.WRITE | Permission.RESIZE
    return need, tolerated


def _restore(node: Node, granted: tuple[Permission, Permission]) -> None:
    node.permissions_changed(*granted)
    node.granted = granted


def _edge_restorer(edge: Edge) -> Callable[[], None]:
    before = edge.permissions, edge.shared

    def restore() -> None:
        edge.permissions, edge.shared = before

    return restore


def _check(node: Node, edges: list[Edge]) -> None:
    for edge in edges:
        if node.read_only and edge.permissions & (Permission.WRITE | Permission.RESIZE):
            raise BlockError(
                ErrorKind.READ_ONLY, f"{edge.parent} wants to write, but the node is read-only", where=node.filename
            )
        for other in edges:
            clash = conflict(edge, other) if edge is not other else Permission.NONE
            if clash:
                raise BlockError(
                    ErrorKind.IN_USE,
                    f"{edge.parent} wants '{words(clash)}' on node '{node.node_name}', "
                    f"which {other.parent} does not share",
                    where=node.filename,
                )
