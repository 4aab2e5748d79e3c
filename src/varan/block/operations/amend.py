"""Changing the options of existing images, asked of formats that can."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from varan.block.base import CreateOption, Node, no_secrets
from varan.block.operations.qcow2_node import qcow2


def options_of(format: str) -> tuple[CreateOption, ...]:
    """What can be changed in images of `format`; nothing where it cannot be done."""
    if format == "qcow2":
        from varan.block.formats.qcow2.amend import AMEND_OPTIONS

        return AMEND_OPTIONS
    if format == "luks":
        from varan.block.crypto.keyslots import LUKS_AMEND_OPTIONS

        return LUKS_AMEND_OPTIONS
    return ()


async def amend(
    node: Node, options: Mapping[str, str], *, secret: Callable[[str], bytes] = no_secrets, force: bool = False
) -> None:
    """Change `options` of an image that is open for writing. Raises BlockError."""
    if node.driver == "luks":
        from varan.block.formats.luks import LuksNode

        assert isinstance(node, LuksNode)
        await node.amend(options, force=force)
        return
    image = qcow2(node, "option amendment")
    from varan.block.formats.qcow2.amend import amend as amend_qcow2

    await amend_qcow2(image, options, secret=secret, force=force)
