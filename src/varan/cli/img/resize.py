"""`varan img resize`: another size."""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind
from varan.block.request import truncate
from varan.cli.img import common
from varan.cli.img.grammar import Command, Flag, Line
from varan.cli.img.images import Images
from varan.cli.option import UsageError

SHRINK = Flag("shrink", ("--shrink",), "the image may become smaller, which loses what is behind its end")
PREALLOCATION = Flag("preallocation", ("--preallocation",), "off, metadata, falloc or full", "MODE")
MODES = ("off", "metadata", "falloc", "full")
SECTOR = 512


def run(line: Line) -> int:
    """Resize the image; returns the exit status."""
    if len(line.operands) != 2:
        raise UsageError("expecting image file name and size")
    name, text = line.operands
    mode = line.last("preallocation") or "off"
    if mode not in MODES:
        raise UsageError(f"invalid preallocation mode '{mode}' (known are {', '.join(MODES)})")
    relative = text[0] if text[:1] in ("+", "-") else ""
    amount = common.size(text.removeprefix(relative), "image size")
    with Images(line) as images:
        node = images.open(name, line.last("format"), write=True)
        old = node.length
        new = {"+": old + amount, "-": old - amount}.get(relative, amount)
        if new < 0 or (relative and new == 0):
            raise BlockError(ErrorKind.INVALID, "New image size must be positive", where=name)
        new = -(-new // SECTOR) * SECTOR
        if new < old and mode != "off":
            raise BlockError(ErrorKind.INVALID, "Preallocation can only be used for growing images", where=name)
        if new < old and not line.has("shrink"):
            raise BlockError(
                ErrorKind.INVALID,
                "Use the --shrink option to perform a shrink operation: shrinking deletes all data beyond the new end",
                where=name,
            )
        images.drive(truncate(node, new, mode))
        images.close(node)
    if not line.has("quiet"):
        print("Image resized.")
    return 0


COMMAND = Command(
    "resize",
    "FILE [+|-]SIZE",
    "Change the size of an image, to SIZE or by it. Put `--` before a SIZE that begins with `-`.",
    (common.FORMAT, common.IMAGE_OPTS, common.OBJECT, SHRINK, PREALLOCATION, common.QUIET),
    run,
)
