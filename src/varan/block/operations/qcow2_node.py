"""Operations that only qcow2 images have: finding the node for them."""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind, Node
from varan.block.formats.qcow2.node import Qcow2Node


def qcow2(node: Node, what: str) -> Qcow2Node:
    """`node` as a qcow2 node. Raises BlockError (UNSUPPORTED) that says the format cannot do `what`."""
    if not isinstance(node, Qcow2Node):
        message = f"Format driver '{node.driver}' does not support {what}"
        raise BlockError(ErrorKind.UNSUPPORTED, message, where=node.filename)
    return node
