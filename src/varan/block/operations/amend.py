"""Changing the options of existing images, asked of formats that can."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from varan.block.base import CreateOption, Node, no_secrets
from varan.block.operations.qcow2_node import qcow2


def options_of(format: str) -> tuple[CreateOption, ...]:
    """What can be changed in images of `format`; nothing where it cannot be done."""
    if format != "qcow2":
        return ()
    from varan.block.formats.qcow2.amend import AMEND_OPTIONS

    return AMEND_OPTIONS


async def amend(
    node: Node, options: Mapping[str, str], *, secret: Callable[[str], bytes] = no_secrets, force: bool = False
) -> None:
    """Change `options` of an image that is open for writing. Raises BlockError."""
    image = qcow2(node, "option amendment")
    from varan.block.formats.qcow2.amend import amend as amend_qcow2

    await amend_qcow2(image, options, secret=secret, force=force)
