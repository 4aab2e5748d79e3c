"""A name that opens a node again, as it is: the file's own where that is enough, `json:{...}` where options, filters or
another backing file than the image names go with it.
"""

from __future__ import annotations

import os

from varan.block import registry
from varan.block.base import Node
from varan.block.graph import base_name
from varan.block.naming import JSON_PREFIX, local_path, relative_to
from varan.block.options import json_name
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

_MATTERS = frozenset(("align", "bottom", "config", "key-secret", "max-transfer", "offset", "size", "throttle-group"))
_MATTERS_WITHIN = ("encrypt.", "inject-error.", "set-state.")
"""Driver options without which the node would show other bytes, or not open."""


def reopening_name(node: Node, *, backing: bool = True) -> str:
    """The name; `backing` False: without asking which backing file the node has."""
    node = _asked_for(node)
    # Protocols, and filters with a syntax of their own, name themselves.
    if not node.children or (node.driver == "blkdebug" and set(_options(node)) <= {"config"}):
        return node.filename
    if node.filtered is not None or _options(node) or (backing and _backing(node)):
        return json_name(_described(node, backing=backing))
    file = _asked_for(node.children["file"].node)
    name = reopening_name(file)
    # What opens a file's name takes the file itself, not what a format makes of it.
    enough = registry.driver(file.driver).is_protocol and not name.startswith(JSON_PREFIX)
    return name if enough else json_name(_described(node, backing=backing))


def _asked_for(node: Node) -> Node:
    """What is below filters that were put there by nobody who could open them again."""
    while (below := node.filtered) is not None and (node.implicit or node.driver not in registry.names()):
        node = below
    return node


def _options(node: Node) -> dict[str, Any]:
    given = node.options.driver_options
    return {key: value for key, value in given.items() if key in _MATTERS or key.startswith(_MATTERS_WITHIN)}


def _backing(node: Node) -> dict[str, Any]:
    """The backing file where it is not the one that the image names."""
    named = next((implied for implied in node.implied_children() if implied.role == "backing"), None)
    edge = node.children.get("backing")
    if edge is None:
        return {} if named is None else {"backing": None}
    if named is not None and _same(relative_to(base_name(node), named.filename), reopening_name(edge.node)):
        return {}
    return {"backing": _described(edge.node)}


def _same(named: str | None, used: str) -> bool:
    """Whether two names are of one file; one counts from an image's directory, the other from the process's."""
    if named is None:
        return False
    paths = local_path(named), local_path(used)
    return named == used or (None not in paths and len({os.path.abspath(path) for path in paths if path}) == 1)


def _described(node: Node, *, backing: bool = True) -> dict[str, Any]:
    """The options that open the node."""
    node = _asked_for(node)
    described = _options(node) | {"driver": node.driver}
    if not node.children:
        filename = node.options.driver_options.get("filename")
        described |= node.options.driver_options if filename is None else {"filename": filename}
    for role, edge in node.children.items():
        if role != "backing":
            described[role] = _described(edge.node)
    return described | _backing(node) if backing and node.children else described
