"""What there is to say about an image, with the names and types of the protocol's ImageInfo."""

from __future__ import annotations

from varan.block.base import Node
from varan.block.naming import relative_to
from varan.block.operations.names import reopening_name
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


async def image_info(node: Node) -> dict[str, Any]:
    """The ImageInfo of one image (not of those below it). Raises BlockError."""
    info: dict[str, Any] = {
        "filename": reopening_name(node, backing=False),
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


def allocated_size(node: Node) -> int | None:
    """Bytes that a node's files take on the host's disk, without backing files; None where that cannot be told."""
    if not node.children:
        return node.stored()
    if node.driver == "blkdebug":
        return None
    sizes = [allocated_size(edge.node) for role, edge in node.children.items() if role != "backing"]
    return None if None in sizes else sum(size for size in sizes if size is not None)
