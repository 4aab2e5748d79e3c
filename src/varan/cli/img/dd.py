"""`varan img dd`: copy blocks of an image into a new one."""

from __future__ import annotations

import os.path

from varan.block.base import BlockError, ErrorKind
from varan.block.operations.convert import ConvertOptions, convert
from varan.cli.img import common
from varan.cli.img.create import create_image, find_driver
from varan.cli.img.grammar import Command, Flag, Line
from varan.cli.img.images import Images
from varan.cli.img.target import Target
from varan.cli.message import complain
from varan.cli.option import UsageError
from varan.core.sizes import parse_size

OPERANDS = ("if", "of", "bs", "count", "skip")
MAX_BLOCK = (1 << 31) - 1
SECTOR = 512


def run(line: Line) -> int:
    """Copy; returns the exit status."""
    given = _operands(line.operands)
    if "if" not in given or "of" not in given:
        raise UsageError("must specify both input and output files (if=, of=)")
    block = _number(given, "bs", SECTOR)
    if not 1 <= block <= MAX_BLOCK:
        raise UsageError(f"invalid bs specified: must be between 1 and {MAX_BLOCK}")
    skip = _number(given, "skip", 0) * block
    limit = _number(given, "count", 0) * block if "count" in given else None
    driver = find_driver(line.last("target-format") or "raw", given["of"])
    with Images(line) as images, Target(given["of"]) as target:
        source = images.open(given["if"], line.last("format"))
        end = source.length if limit is None else min(source.length, limit)
        if skip > end:
            complain("varan-img", f"{given['if']}: cannot skip to specified offset")
        size = max(end - skip, 0)
        fresh = not os.path.exists(given["of"])
        try:
            create_image(images, driver, given["of"], -(-size // SECTOR) * SECTOR, {}, quiet=True)
        except BlockError as error:
            raise BlockError(error.kind, f"error while creating output image: {error}", where=given["of"]) from error
        target.begin(created=fresh)
        node = images.open(given["of"], driver.name, write=True, by_options=False, share=False)
        if size:
            convert([source], node, ConvertOptions(skip=skip, limit=size, target_is_zero=True))
        images.close(node)
    return 0


def _operands(words: list[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not equals or name not in OPERANDS:
            raise UsageError(f"unrecognized operand {name}")
        given[name] = value
    return given


def _number(given: dict[str, str], name: str, default: int) -> int:
    if name not in given:
        return default
    value = parse_size(given[name])
    if value is None:
        raise BlockError(ErrorKind.INVALID, f"invalid number: '{given[name]}'")
    return value


COMMAND = Command(
    "dd",
    "[bs=BYTES] [count=BLOCKS] [skip=BLOCKS] if=FILE of=FILE",
    "Copy blocks of an image into a new one. COUNT is counted from the image's beginning, SKIP included.",
    (
        common.FORMAT,
        Flag("target-format", ("-O",), "format of the new image (raw)", "FMT"),
        common.IMAGE_OPTS,
        common.OBJECT,
        common.SHARE,
    ),
    run,
)
