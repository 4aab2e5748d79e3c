"""Copying from file to file inside the kernel, where file systems may share the blocks instead."""

from __future__ import annotations

from varan.block.base import Node
from varan.block.transports.file import FileNode


async def copy_range(source: Node, source_offset: int, target: Node, offset: int, length: int) -> int:
    """Copy `length` bytes of the file node `source` into `target`. Returns how many were copied: fewer, or none, where
    the kernel cannot. Raises BlockError."""
    file = _plain_file(target)
    if file is None or not isinstance(source, FileNode):
        return 0
    done = 0
    while done < length:
        count = await file.copy_range(source, source_offset + done, offset + done, length - done)
        if count == 0:
            break
        done += count
    return done


def _plain_file(node: Node) -> FileNode | None:
    """The file whose bytes are the node's bytes at the same offsets."""
    if node.driver == "raw" and not node.options.driver_options and "file" in node.children:
        node = node.children["file"].node
    return node if isinstance(node, FileNode) else None
