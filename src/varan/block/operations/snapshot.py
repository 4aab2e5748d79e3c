"""Internal snapshots and other changes to an image as a whole, asked of formats that have them."""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind, Node


async def load(node: Node, id: str, name: str | None) -> None:
    raise BlockError(ErrorKind.UNSUPPORTED, "no snapshots")


async def make_empty(node: Node) -> None:
    raise BlockError(ErrorKind.UNSUPPORTED, "cannot be emptied")


async def change_backing_file(node: Node, backing: str | None, format: str | None) -> None:
    raise BlockError(ErrorKind.UNSUPPORTED, "no backing files")
