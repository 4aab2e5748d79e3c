"""What parents of one node may do at the same time: pure rules over edges.

Every parent says what it does with the node (`Edge.permissions`) and what it tolerates others to do (`Edge.shared`).
Two parents get along when each one's doing is tolerated by the other.
"""

from __future__ import annotations

from varan.block.base import Edge, Permission, backing_permissions
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_WORDS = {
    Permission.CONSISTENT_READ: "consistent read",
    Permission.WRITE: "write",
    Permission.WRITE_UNCHANGED: "write unchanged",
    Permission.RESIZE: "resize",
}


def words(permissions: Permission) -> str:
    """The permissions as error messages name them."""
    return ", ".join(word for bit, word in _WORDS.items() if permissions & bit) or "nothing"


def names(permissions: Permission) -> list[str]:
    """The permissions as the protocol names them ("consistent-read")."""
    return [word.replace(" ", "-") for bit, word in _WORDS.items() if permissions & bit]


def together(edges: Iterable[Edge]) -> tuple[Permission, Permission]:
    """What all parents want, and what all of them share."""
    wanted, shared = Permission.NONE, Permission.ALL
    for edge in edges:
        wanted |= edge.permissions
        shared &= edge.shared
    return wanted, shared


def conflict(first: Edge, second: Edge) -> Permission:
    """What `first` does that `second` does not tolerate."""
    return first.permissions & ~second.shared


def format_permissions(
    role: str, wanted: Permission, shared: Permission, *, read_only: bool
) -> tuple[Permission, Permission]:
    """What a format with metadata needs of its children: its file is its own, whatever its parents do."""
    if role == "backing":
        return backing_permissions(wanted, shared)
    need = Permission.CONSISTENT_READ
    if not read_only:
        need |= Permission.WRITE | Permission.RESIZE
    return wanted | need, shared & ~(Permission.WRITE | Permission.RESIZE)
