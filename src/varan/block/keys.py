"""Keys of images that were opened without: which lack theirs, and giving it to them later."""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind, Node
from varan.block.rewire import nodes_below


def missing_key(node: Node) -> Node | None:
    """The first image of `node` and those below it that cannot be read for want of its key."""
    return next((below for below in nodes_below([node]) if below.locked), None)


def encrypted(node: Node) -> bool:
    """Whether `node`, or an image below it, is encrypted."""
    return any(below.encrypted for below in nodes_below([node]))


async def unlock(node: Node, password: bytes) -> None:
    """Give `node` and all encrypted images below it their key, those farthest below first.

    Raises BlockError: UNSUPPORTED when none of them is encrypted, ENCRYPTED when the password opens one of them not.
    """
    concerned = [below for below in nodes_below([node]) if below.encrypted]
    if not concerned:
        raise BlockError(ErrorKind.UNSUPPORTED, "the image is not encrypted", where=node.filename)
    for below in reversed(concerned):
        await below.unlock(password)
