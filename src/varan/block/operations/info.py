"""What there is to say about an image, with the names and types of the protocol's ImageInfo."""

from __future__ import annotations

import os
from typing import Any

from varan.block.base import Node
from varan.block.naming import relative_to


async def image_info(node: Node) -> dict[str, Any]:
    """The ImageInfo of one image (not of those below it). Raises BlockError."""
    info: dict[str, Any] = {
        "filename": node.filename,
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
    return info


def allocated_size(node: Node) -> int | None:
    """Bytes that an image's file takes on the host's disk; None where that cannot be told."""
    file = node.children.get("file")
    if file is not None:
        return allocated_size(file.node)
    try:
        return os.stat(node.filename).st_blocks * 512
    except (OSError, ValueError):
        return None
