"""`varan img snapshot`: list, make, apply or delete internal snapshots."""

from __future__ import annotations

from varan.block.base import BlockError
from varan.block.operations import snapshot as subject
from varan.block.operations import text
from varan.cli.img import common
from varan.cli.img.grammar import Command, Flag, Line
from varan.cli.img.images import Images
from varan.cli.option import UsageError

LIST = Flag("list", ("-l",), "list the snapshots (what is done without an option, too)")
CREATE = Flag("create", ("-c",), "make a snapshot", "NAME")
APPLY = Flag("apply", ("-a",), "make the disk what it was in this snapshot", "SNAPSHOT")
DELETE = Flag("delete", ("-d",), "delete this snapshot", "SNAPSHOT")

_ACTIONS = {"create": subject.create, "apply": subject.apply, "delete": subject.delete}


def run(line: Line) -> int:
    """Do it; returns the exit status."""
    wanted = [(key, value) for key, value in line.given if key in ("list", *_ACTIONS)]
    if len(wanted) > 1:
        raise UsageError("cannot mix '-l', '-a', '-c', '-d'")
    name = common.one_image(line)
    key, value = wanted[0] if wanted else ("list", "")
    with Images(line) as images:
        if key == "list":
            _list(images, name, line.last("format"))
        else:
            node = images.open(name, line.last("format"), write=True)
            try:
                images.drive(_ACTIONS[key](node, value))
            except BlockError as error:
                message = f"Could not {key} snapshot '{value}': {_reason(error)}"
                raise BlockError(error.kind, message, where=name) from error
    return 0


def _reason(error: BlockError) -> str:
    return "snapshot not found" if error.kind is error.kind.NOT_FOUND else str(error)


def _list(images: Images, name: str, format: str | None) -> None:
    node = images.open(name, format)
    found = images.drive(subject.snapshots(node))
    if found:
        print("\n".join(["Snapshot list:", *text.snapshot_table(found)]))


COMMAND = Command(
    "snapshot",
    "FILE",
    "List, make, apply or delete internal snapshots. A snapshot is named by its ID or its name.",
    (
        Flag("format", ("-f",), "format of the image; probed when not given", "FMT"),
        common.IMAGE_OPTS,
        common.OBJECT,
        common.QUIET,
        LIST,
        CREATE,
        APPLY,
        DELETE,
        common.SHARE,
    ),
    run,
)
