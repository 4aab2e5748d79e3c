"""Paths in the object tree: absolute ones, and ones that fit somewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from varan.core.qom import Object
from varan.errors import DeviceNotFound, GenericError


def find(root: Object, path: str) -> Object:
    """The object that `path` names below `root`.

    With a slash in front it counts from `root`; without one it is the tail of a path anywhere in the tree. Raises
    DeviceNotFound when nothing fits, GenericError when several objects do.
    """
    parts = [part for part in path.split("/") if part]
    if path.startswith("/"):
        found = _follow(root, root, parts)
    else:
        fitting = _fitting(root, parts)
        found = next(fitting, None)
        if found is not None and any(other is not found for other in fitting):
            raise GenericError(f"Path '{path}' is ambiguous")
    if found is None:
        raise DeviceNotFound(path)
    return found


def _fitting(root: Object, parts: Sequence[str]) -> Iterator[Object]:
    for start in root.walk():
        found = _follow(root, start, parts)
        if found is not None:
            yield found


def _follow(root: Object, start: Object, parts: Sequence[str]) -> Object | None:
    at: Object | None = start
    for part in parts:
        if at is None:
            return None
        at = at.children.get(part) or _linked(root, at, part)
    return at


def _linked(root: Object, object: Object, name: str) -> Object | None:
    """Where the link called `name` leads; a declared one has an absolute path as its value."""
    linked = object.links.get(name)
    if linked is not None:
        return linked
    declared = object.find_property(name)
    if declared is None or not declared.type.startswith("link<"):
        return None
    path = declared.get(object)
    at: Object | None = root
    for part in path.split("/")[1:] if path else ():
        at = at.children.get(part) if at is not None else None
    return at if path else None
