"""Internal snapshots, asked of formats that have them."""

from __future__ import annotations

import time

from varan.block.base import Node
from varan.block.operations.qcow2_node import qcow2
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

WHAT = "internal snapshots"


async def snapshots(node: Node) -> list[dict[str, Any]]:
    """SnapshotInfo of every snapshot, oldest first; none where the format has none. Raises BlockError."""
    if node.driver != "qcow2":
        return []
    from varan.block.formats.qcow2 import snapshots as subject

    return [subject.describe(snapshot) for snapshot in await subject.list_snapshots(qcow2(node, WHAT))]


async def create(node: Node, name: str) -> None:
    """Keep the disk as it is now under `name`. Raises BlockError."""
    image = qcow2(node, WHAT)
    from varan.block.formats.qcow2 import snapshots as subject

    await subject.create(image, name, date=time.time_ns(), icount=0)


async def delete(node: Node, wanted: str) -> None:
    """Forget the snapshot of that id or name. Raises BlockError."""
    image = qcow2(node, WHAT)
    from varan.block.formats.qcow2 import snapshots as subject

    await subject.delete(image, wanted)


async def apply(node: Node, wanted: str) -> None:
    """Make the disk what it was in the snapshot of that id or name. Raises BlockError."""
    image = qcow2(node, WHAT)
    from varan.block.formats.qcow2 import snapshots as subject

    await subject.apply(image, wanted)


async def load(node: Node, wanted: str | None, name: str | None = None) -> None:
    """Let a read-only node show a snapshot: the one whose id or, failing that, name is `wanted`; with `name` both have
    to fit (`wanted` None: any id). Raises BlockError."""
    image = qcow2(node, WHAT)
    from varan.block.formats.qcow2 import snapshots as subject

    if name is None and wanted is not None:
        found = subject.find(await subject.list_snapshots(image), wanted)
        wanted, name = found.id, found.name
    await subject.load(image, wanted, name)
