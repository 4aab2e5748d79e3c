"""Another size for a disk that is in use."""

from __future__ import annotations

from varan.block import request, rewire
from varan.block.backend import BlockBackend
from varan.block.base import BlockError, ErrorKind, Node, Permission
from varan.block.graph import Graph


async def resize(graph: Graph, node: Node, size: int) -> None:
    """Make `node` `size` bytes long; devices that see another size from now on tell their guests.

    Raises BlockError: IN_USE where somebody relies on the size, READ_ONLY, UNSUPPORTED, or why it failed.
    """
    async with rewire.quiet(graph, node):
        if any(edge.role == "backing" for edge in graph.parents(node)):
            raise BlockError(ErrorKind.IN_USE, "it is below another image", where=node.filename)
        request.check_writable(node)
        edge = graph.attach(node, "the resizing", Permission.RESIZE, Permission.ALL)
        above = [holder for holder in rewire.holders_above(graph, [node]) if isinstance(holder, BlockBackend)]
        before = [backend.length for backend in above]
        try:
            await request.truncate(node, size)
        finally:
            await graph.detach(edge)
        for backend, length in zip(above, before, strict=True):
            if backend.length != length:
                backend.on_resize()
