"""Lists of memoryviews: lengths, parts, zeros; and reads that may pass the end of a file."""

from __future__ import annotations

from varan.block.base import Buffers, Node

ZEROS = memoryview(bytes(1 << 20))


def total(buffers: Buffers) -> int:
    """Bytes in all."""
    return len(buffers[0]) if len(buffers) == 1 else sum(map(len, buffers))


def part(buffers: Buffers, start: int, length: int) -> list[memoryview]:
    """Views of `length` bytes from `start` on."""
    if len(buffers) == 1:
        view = buffers[0]
        return [view] if length == len(view) else [view[start : start + length]]
    found = []
    for view in buffers:
        if start >= len(view):
            start -= len(view)
            continue
        piece = view[start : start + length]
        found.append(piece)
        length -= len(piece)
        start = 0
        if not length:
            break
    return found


def clear(buffers: Buffers) -> None:
    """Fill with zeros."""
    for view in buffers:
        for at in range(0, len(view), len(ZEROS)):
            piece = view[at : at + len(ZEROS)]
            piece[:] = ZEROS[: len(piece)]


def zeros(length: int) -> list[memoryview]:
    """Read-only views of `length` zero bytes in all."""
    whole, rest = divmod(length, len(ZEROS))
    return [ZEROS] * whole + ([ZEROS[:rest]] if rest else [])


def gather(buffers: Buffers) -> bytearray:
    """One copy of everything."""
    joined = bytearray()
    for view in buffers:
        joined += view
    return joined


def scatter(data: bytes | bytearray | memoryview, buffers: Buffers) -> None:
    """Copy `data` (as long as `buffers`) out."""
    at, source = 0, memoryview(data)
    for view in buffers:
        view[:] = source[at : at + len(view)]
        at += len(view)


async def read_padded(node: Node, offset: int, buffers: Buffers) -> None:
    """Read; what lies past the end of `node` is zeros. Raises BlockError."""
    length = total(buffers)
    there = min(length, max(0, node.length - offset))
    if there == length:
        await node.read(offset, buffers)
        return
    if there:
        await node.read(offset, part(buffers, 0, there))
    clear(part(buffers, there, length - there))
