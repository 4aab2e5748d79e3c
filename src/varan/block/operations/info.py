"""What there is to say about an image, with the names and types of the protocol's ImageInfo."""

from __future__ import annotations

import os

from varan.block.base import Node
from varan.block.naming import relative_to
from varan.block.options import json_name
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


async def image_info(node: Node) -> dict[str, Any]:
    """The ImageInfo of one image (not of those below it). Raises BlockError."""
    info: dict[str, Any] = {
        "filename": _reopening_name(node),
        "format": node.driver,
        "virtual-size": node.length,
        "dirty-flag": False,
    }
    size = allocated_size(node)
    if size is not None:
        info["actual-size"] = size
    for implied in node.implied_children():
        if implied.role == "backing":
            info["backing-filename"] = implied.filename
            if implied.format is not None:
                info["backing-filename-format"] = implied.format
            full = relative_to(node.filename, implied.filename)
            if full is not None:
                info["full-backing-filename"] = full
    if node.driver == "qcow2":
        from varan.block.operations.qcow2_info import describe

        info |= await describe(node)
    elif node.driver == "luks":
        from varan.block.formats.luks import LuksNode

        assert isinstance(node, LuksNode)
        info |= node.image_info()
    return info


def _reopening_name(node: Node) -> str:
    """A name that opens the image again, with the options that its file name does not imply."""
    needed = {key: value for key, value in node.options.driver_options.items() if key.endswith("key-secret")}
    if not needed or "file" not in node.children:
        return node.filename
    file = node.children["file"].node
    return json_name(needed | {"driver": node.driver, "file": {"driver": file.driver, "filename": file.filename}})


def allocated_size(node: Node) -> int | None:
    """Bytes that an image's file takes on the host's disk; None where that cannot be told."""
    file = node.children.get("file")
    if file is not None:
        return allocated_size(file.node)
    try:
        return os.stat(node.filename).st_blocks * 512
    except (OSError, ValueError):
        return None
