"""Temporary overlays: what is written goes to a file that is gone with its user, and the image stays as it is."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from typing import Any

from varan.block import registry
from varan.block.base import BlockError, ErrorKind, Node, OpenOptions
from varan.block.graph import Graph
from varan.block.options import flatten

_SECTOR = 512
_ABOVE = ("read-only", "discard", "detect-zeroes")
"""Options of every node that concern the overlay rather than the image."""


async def open_below_overlay(graph: Graph, source: Mapping[str, Any], format: str | None, options: OpenOptions) -> Node:
    """Open `source` read-only, and over it an image in a file that has no name any more. Only held (`Graph.disown`).

    A `copy-on-read` filter in front of `source` stays in front. Raises BlockError.
    """
    flat = flatten(dict(source))
    if flat.get("driver") == "copy-on-read":
        inner = {name.removeprefix("file."): flat.pop(name) for name in list(flat) if name.startswith("file.")}
        below = await open_below_overlay(graph, inner, None, options)
        return await _over(graph, below, {**flat, "file": below.node_name})
    above = {name: flat.pop(name) for name in _ABOVE if name in flat}
    image = await graph.open({**flat, "read-only": True}, format=format, options=options, user=None)
    try:
        path = await _make_file(image.length)
    except BaseException:
        await graph.close(image)
        raise
    try:
        # Nobody asks for these data after a crash: to flush them would be a waste.
        file = {"driver": "file", "filename": path}
        overlay = {"driver": "qcow2", "file": file, "cache.no-flush": True, **above}
        return await _over(graph, image, {**overlay, "backing": image.node_name})
    finally:
        os.unlink(path)


async def _over(graph: Graph, below: Node, source: dict[str, Any]) -> Node:
    """Open `source`, which refers to `below`; that is closed when it cannot be."""
    try:
        node = await graph.open(source, user=None)
    except BaseException:
        await graph.close(below)
        raise
    graph.disown(below)
    return node


async def _make_file(length: int) -> str:
    """The path of a new qcow2 image of `length` bytes, in TMPDIR or /var/tmp. Raises BlockError."""
    folder = os.environ.get("TMPDIR") or "/var/tmp"
    try:
        handle, path = tempfile.mkstemp(prefix="varan-", dir=folder)
    except OSError as error:
        reason = f"no temporary file can be made there: {error.strerror}"
        raise BlockError(ErrorKind.IO, reason, where=folder) from None
    os.close(handle)
    try:
        await registry.driver("qcow2").create(path, -(-length // _SECTOR) * _SECTOR, {})
    except BaseException:
        os.unlink(path)
        raise
    return path
