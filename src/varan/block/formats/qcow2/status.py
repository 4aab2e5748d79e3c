"""What an image's file says of its clusters: whether metadata was preallocated over holes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varan.block.base import Data

if TYPE_CHECKING:
    from varan.block.formats.qcow2.node import Qcow2Node

MAX_EXTENTS = 64


async def detect_preallocation(node: Qcow2Node) -> bool:
    """Whether much of the file is holes, so that asking it about allocated clusters pays.

    Looks at a bounded number of the file's extents.
    """
    file, offset = node.data_file, 0
    holes = 0
    for _ in range(MAX_EXTENTS):
        if offset >= file.length:
            break
        extent = await file.block_status(offset, file.length - offset)
        if extent.flags & Data.ZERO:
            holes += extent.length
        offset += extent.length
    return holes > max(2 * node.metadata.geometry.cluster_size, offset // 10)
