"""What there is to say about an image, with the names and types of the protocol's ImageInfo."""

from __future__ import annotations

from varan.block.base import Node
from varan.block.naming import relative_to
from varan.block.operations.names import reopening_name
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any


async def image_info(node: Node, *, in_use: bool = False) -> dict[str, Any]:
    """The ImageInfo of one image, not of those below it; `in_use`: with all the files it has. Raises BlockError."""
    info: dict[str, Any] = {
        "filename": reopening_name(node, backing=in_use),
        "format": node.driver,
        "virtual-size": node.length,
    }
    if not (node.driver.startswith("null-") or (in_use and _bottom(node).startswith("null-"))):
        info["dirty-flag"] = False
    size = allocated_size(node, all_files=in_use)
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
    elif in_use and (inner := _inner(node)) is not None:
        below = await image_info(inner, in_use=True)
        info |= {key: below[key] for key in ("cluster-size", "snapshots") if key in below}
    elif node.driver == "luks":
        from varan.block.formats.luks import LuksNode

        assert isinstance(node, LuksNode)
        info |= node.image_info()
    return info


def _inner(node: Node) -> Node | None:
    """What the node passes everything on to."""
    return node.children["file"].node if node.driver == "raw" else node.filtered


def _bottom(node: Node) -> str:
    """The driver at the end of that."""
    while (inner := _inner(node)) is not None:
        node = inner
    return node.driver


def allocated_size(node: Node, *, all_files: bool = False) -> int | None:
    """Bytes that an image's file, or all its files, take on the host's disk; None where that cannot be told."""
    if not node.children:
        return node.stored()
    sizes = [
        allocated_size(edge.node, all_files=all_files)
        for role, edge in node.children.items()
        if role == "file" or (all_files and role not in ("backing", "image"))
    ]
    return None if None in sizes or not sizes else sum(size for size in sizes if size is not None)
