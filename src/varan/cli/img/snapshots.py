"""Reading an image as one of its internal snapshots (`-l`)."""

from __future__ import annotations

from varan.block.base import Node
from varan.block.operations.snapshot import load
from varan.cli.img.grammar import Flag
from varan.cli.img.images import Images

SNAPSHOT = Flag(
    "snapshot",
    ("-l", "--snapshot"),
    "read this internal snapshot: ID or name, or snapshot.id=,snapshot.name=",
    "SNAPSHOT",
)


def load_snapshot(images: Images, node: Node, wanted: str | None) -> None:
    """Make `node` show the snapshot that `-l` names (None: nothing to do). Raises BlockError."""
    if wanted is None:
        return
    id: str | None = wanted
    name = None
    if wanted.startswith("snapshot."):
        from varan.core.keyval import Arguments

        arguments = Arguments(wanted)
        id, name = arguments.take("snapshot.id"), arguments.take("snapshot.name")
        arguments.finish()
    images.drive(load(node, id, name))
