"""What an image says about its backing file, and forgetting what it holds itself."""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind, Node
from varan.block.operations.qcow2_node import qcow2


async def change_backing_file(node: Node, backing: str | None, format: str | None) -> None:
    """Make the image name another backing file (None: none), whatever that makes it show. Raises BlockError."""
    image = qcow2(node, "backing files")
    if backing and image.metadata.header.data_file_raw:
        message = "no backing file, for the external data file must stay valid as a raw image"
        raise BlockError(ErrorKind.UNSUPPORTED, message, where=node.filename)
    await image.flush()
    async with image.metadata.lock:
        header = image.metadata.header
        header.backing_file, header.backing_format = backing, format if backing else None
        await image.metadata.write_header()


async def make_empty(node: Node) -> None:
    """Forget everything that the image itself holds, so that it shows its backing file. Raises BlockError."""
    image = qcow2(node, "emptying")
    from varan.block.formats.qcow2 import zeroing

    size = image.metadata.geometry.cluster_size
    await zeroing.drop(image, 0, -(-image.length // size) * size, hide_backing=False)
    await image.flush()
