"""`varan img rebase`: another backing file, the same content (or with -u: just another name in the image)."""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind, Node
from varan.block.naming import relative_to
from varan.block.operations.backing_file import change_backing_file
from varan.block.operations.rebase import Rebase
from varan.cli.img import common
from varan.cli.img.create import find_driver
from varan.cli.img.grammar import Command, Flag, Line
from varan.cli.img.images import Images
from varan.cli.img.progress import Progress
from varan.cli.option import UsageError

BACKING = Flag("backing", ("-b", "--backing"), "the new backing file; empty: none", "FILE")
BACKING_FORMAT = Flag("backing-format", ("-F", "--backing-format"), "format of the new backing file", "FMT")
UNSAFE = Flag("unsafe", ("-u", "--backing-unsafe"), "change only the name: the content of both files is the same")


def run(line: Line) -> int:
    """Rebase; returns the exit status."""
    name = common.one_image(line)
    backing, unsafe = line.last("backing"), line.has("unsafe")
    if backing is None and not unsafe:
        raise UsageError("must specify backing file (-b) or use unsafe mode (-u)")
    backing = backing or None
    format = line.last("backing-format") if backing else None
    with Images(line) as images:
        node = images.open(
            name, line.last("format"), write=True, cache=line.last("cache"), no_backing=unsafe, share=False
        )
        if backing and format is None:
            raise BlockError(
                ErrorKind.INVALID,
                f"Could not change the backing file to '{backing}': backing format must be specified (-F)",
                where=name,
            )
        if format is not None:
            find_driver(format, name)
        if not unsafe:
            new = None
            if backing:
                new = _open_new(images, node.filename, backing, format, line.last("source-cache"))
            with Progress(line.has("progress") and not line.has("quiet")) as progress:
                images.drive(Rebase(node, new, progress).run())
        images.drive(change_backing_file(node, backing, format))
    return 0


def _open_new(images: Images, filename: str, backing: str, format: str | None, cache: str | None) -> Node:
    path = relative_to(filename, backing)
    try:
        return images.open(path or backing, format, cache=cache, by_options=False)
    except BlockError as error:
        raise BlockError(error.kind, f"Could not open new backing file '{backing}': {error}") from error


COMMAND = Command(
    "rebase",
    "FILE",
    "Give an image another backing file. What the new one shows differently is written into the image first.",
    (
        common.FORMAT,
        common.IMAGE_OPTS,
        common.OBJECT,
        BACKING,
        BACKING_FORMAT,
        UNSAFE,
        common.CACHE,
        common.SOURCE_CACHE,
        common.PROGRESS,
        common.QUIET,
        common.SHARE,
    ),
    run,
)
