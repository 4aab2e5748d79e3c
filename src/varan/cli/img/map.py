"""`varan img map`: where an image's content lies."""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind, Node
from varan.block.operations.map import MapEntry, image_map
from varan.cli.img import common
from varan.cli.img.grammar import Command, Flag, Line
from varan.cli.img.images import Images

START = Flag("start", ("-s", "--start-offset"), "first byte to describe", "OFFSET")
LENGTH = Flag("length", ("-l", "--max-length"), "how many bytes to describe", "LENGTH")


def run(line: Line) -> int:
    """Print the map; returns the exit status."""
    json = common.wants_json(line)
    name = common.one_image(line)
    start = common.size(line.last("start") or "0", "start offset")
    length = line.last("length")
    with Images(line) as images:
        node = images.open(name, line.last("format"))
        limit = common.size(length, "length") if length is not None else None
        images.drive(_print(node, start, limit, json))
    return 0


async def _print(node: Node, start: int, length: int | None, json: bool) -> None:
    first = True
    if not json:
        print(f"{'Offset':<16}{'Length':<16}{'Mapped to':<16}File")
    async for entry in image_map(node, start, length):
        if json:
            print(("[" if first else ",\n") + _json(entry), end="")
        else:
            _print_row(entry)
        first = False
    if json:
        print("]" if not first else "[]")


def _print_row(entry: MapEntry) -> None:
    if entry.data and entry.offset is None:
        raise BlockError(ErrorKind.UNSUPPORTED, "File contains external, encrypted or compressed clusters.")
    if entry.data and not entry.zero:
        name = entry.filename or ""
        print(f"{_hex(entry.start):<16}{_hex(entry.length):<16}{_hex(entry.offset or 0):<16}{name}")


def _hex(number: int) -> str:
    return f"{number:#x}" if number else "0"


def _json(entry: MapEntry) -> str:
    place = f', "offset": {entry.offset}' if entry.offset is not None else ""
    return (
        f'{{ "start": {entry.start}, "length": {entry.length}, "depth": {entry.depth}, '
        f'"present": {_word(entry.present)}, "zero": {_word(entry.zero)}, "data": {_word(entry.data)}{place}}}'
    )


def _word(value: bool) -> str:
    return "true" if value else "false"


COMMAND = Command(
    "map",
    "FILE",
    "List where the content of an image lies.",
    (common.FORMAT, common.IMAGE_OPTS, common.OBJECT, common.OUTPUT, START, LENGTH, common.SHARE),
    run,
)
