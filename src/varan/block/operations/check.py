"""Looking for inconsistencies in an image, and repairing them."""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind, Node
from varan.light import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import Any

REPAIRS = ("leaks", "all")


class Report(Protocol):
    """What a check found."""

    corruptions: int
    leaks: int
    check_errors: int
    corruptions_fixed: int
    leaks_fixed: int
    messages: list[str]

    def as_dict(self) -> dict[str, Any]:
        """The counts by the names of the protocol's ImageCheck."""


async def check(node: Node, repair: str | None = None) -> Report:
    """Check an image, and repair what `repair` (one of REPAIRS) says. Raises BlockError: UNSUPPORTED when its format
    has no checks."""
    if node.driver != "qcow2":
        raise BlockError(ErrorKind.UNSUPPORTED, "This image format does not support checks", where=node.filename)
    from varan.block.formats.qcow2.check_sound import prove_sound
    from varan.block.formats.qcow2.node import Qcow2Node

    assert isinstance(node, Qcow2Node)
    if repair is None and node.read_only:
        sound = await prove_sound(node.file, node.metadata.header)
        if sound is not None:
            return sound
    from varan.block.formats.qcow2.check import Fix, check_image

    fix = {None: Fix.NONE, "leaks": Fix.LEAKS, "all": Fix.ALL}[repair]
    if not node.read_only:
        await node.flush()
    report = await check_image(node.file, node.metadata.header, fix)
    if fix:
        async with node.metadata.lock:
            await node.metadata.reload()
    return report
