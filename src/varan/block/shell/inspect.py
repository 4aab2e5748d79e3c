"""Commands that look: at the length, what is allocated, and the image as a whole."""

from __future__ import annotations

from varan.block.base import Data, Node
from varan.block.formats.qcow2.node import Qcow2Node
from varan.block.operations.info import image_info
from varan.block.operations.text import nested
from varan.block.shell import words as w
from varan.block.shell.session import Command, Session
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

SECTOR = 512


def _length(session: Session, words: list[str]) -> None:
    session.say(w.amount(session.image.length))


async def _areas(node: Node, offset: int, length: int) -> AsyncIterator[tuple[int, int, bool]]:
    """Start, length, and whether the top layer decides it, neighbours of a kind merged."""
    start, end, kind = offset, offset + length, None
    at = offset
    while at < end:
        extent = await node.block_status(at, end - at)
        allocated = bool(extent.flags & Data.ALLOCATED)
        if kind is not None and allocated is not kind:
            yield start, at - start, kind
            start = at
        kind = allocated
        at += extent.length
    if kind is not None:
        yield start, end - start, kind


def _alloc(session: Session, words: list[str]) -> None:
    node = session.image
    offset = w.number(words[0])
    count = w.number(words[1]) if len(words) > 1 else SECTOR
    count = max(min(count, node.length - offset), 0)

    async def total() -> int:
        return sum([length async for _, length, allocated in _areas(node, offset, count) if allocated])

    session.say(f"{session.drive(total())}/{count} bytes allocated at offset {w.amount(offset)}")


def _map(session: Session, words: list[str]) -> None:
    async def show() -> None:
        async for start, length, allocated in _areas(session.image, 0, session.image.length):
            word = "    allocated" if allocated else "not allocated"
            session.say(f"{w.amount(length)} ({length:#x}) bytes {word} at offset {w.amount(start)} ({start:#x})")

    session.drive(show())


def _info(session: Session, words: list[str]) -> None:
    node = session.image
    info = session.drive(image_info(node))
    session.say(f"format name: {node.driver}")
    specific = info.get("format-specific")
    session.say(f"cluster size: {w.amount(info.get('cluster-size', 0))}")
    session.say(f"vm state offset: {w.amount(node.vmstate_offset if isinstance(node, Qcow2Node) else 0)}")
    if specific:
        session.say("\n".join(["Format specific information:", *nested(specific["data"], 1)]))


COMMANDS = (
    Command("length", "", "gets the length of the current file", _length, aliases=("l",)),
    Command("alloc", "offset [count]", "checks if offset is allocated in the file", _alloc, 1, 2, aliases=("a",)),
    Command("map", "", "prints the allocated areas of a file", _map),
    Command("info", "", "prints information about the current file", _info, aliases=("i",)),
)
