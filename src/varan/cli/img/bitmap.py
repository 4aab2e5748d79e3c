"""`varan img bitmap`: persistent dirty bitmaps of an image."""

from __future__ import annotations

from varan.block.base import BlockError, Node
from varan.block.operations.bitmap import Action, change
from varan.cli.img import common
from varan.cli.img.grammar import Command, Flag, Line
from varan.cli.img.images import Images
from varan.cli.option import UsageError

ADD = Flag("add", ("--add",), "add the bitmap")
REMOVE = Flag("remove", ("--remove",), "remove it")
CLEAR = Flag("clear", ("--clear",), "mark everything clean")
ENABLE = Flag("enable", ("--enable",), "record writes from now on")
DISABLE = Flag("disable", ("--disable",), "do not record writes")
MERGE = Flag("merge", ("--merge",), "mark dirty what is dirty in this bitmap", "SOURCE")
GRANULARITY = Flag("granularity", ("-g", "--granularity"), "with --add: bytes per bit", "BYTES")
SOURCE = Flag("source-file", ("-b", "--source-file"), "with --merge: the image that has SOURCE", "FILE")
SOURCE_FORMAT = Flag("source-format", ("-F", "--source-format"), "its format", "FMT")

_VERBS = ("add", "remove", "clear", "enable", "disable", "merge")


def run(line: Line) -> int:
    """Do all actions, in order; returns the exit status."""
    if len(line.operands) != 2:
        raise UsageError("expecting filename and bitmap name")
    name, bitmap = line.operands
    actions = [Action(key, value) for key, value in line.given if key in _VERBS]
    _check(line, actions)
    text = line.last("granularity")
    granularity = None if text is None else common.size(text, "granularity")
    with Images(line) as images:
        source: Node | None = None
        if line.has("source-file"):
            source = images.open(
                line.last("source-file") or "", line.last("source-format"), no_backing=True, by_options=False
            )
        node = images.open(name, line.last("format"), write=True)
        for action in actions:
            try:
                images.drive(change(node, bitmap, [action], granularity=granularity, source=source))
            except BlockError as error:
                message = f"Operation {action.verb} on bitmap {bitmap} failed: {error}"
                raise BlockError(error.kind, message) from error
        images.close(node)
    return 0


def _check(line: Line, actions: list[Action]) -> None:
    verbs = [action.verb for action in actions]
    if not verbs:
        raise UsageError("need at least one of --add, --remove, --clear, --enable, --disable, or --merge")
    if line.has("granularity") and "add" not in verbs:
        raise UsageError("granularity only supported with --add")
    if line.has("source-file") and "merge" not in verbs:
        raise UsageError("merge bitmap source file only supported with --merge")
    if line.has("source-format") and not line.has("source-file"):
        raise UsageError("-F only supported with -b")


COMMAND = Command(
    "bitmap",
    "FILE BITMAP",
    "Change a persistent dirty bitmap of an image; the actions are done in the order they are given.",
    (
        ADD,
        REMOVE,
        CLEAR,
        ENABLE,
        DISABLE,
        MERGE,
        GRANULARITY,
        SOURCE,
        SOURCE_FORMAT,
        common.FORMAT,
        common.IMAGE_OPTS,
        common.OBJECT,
    ),
    run,
)
