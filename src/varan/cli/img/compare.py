"""`varan img compare`: whether two images show the same content."""

from __future__ import annotations

from varan.block.base import BlockError, Node
from varan.block.operations.compare import Comparison, Result, StatusError, Verdict
from varan.cli.img import common
from varan.cli.img.grammar import Command, Flag, Line
from varan.cli.img.images import Images
from varan.cli.img.progress import Progress
from varan.cli.message import complain
from varan.cli.option import UsageError

SECOND_FORMAT = Flag("second-format", ("-F",), "format of the second image", "FMT")
STRICT = Flag("strict", ("-s",), "sizes and allocation must be the same too")

DIFFERENT, CANNOT_OPEN, CANNOT_TELL_STATUS, CANNOT_READ = 1, 2, 3, 4


def run(line: Line) -> int:
    """Print the verdict; returns the exit status: 0 the same, 1 different, above on errors."""
    if len(line.operands) != 2:
        raise UsageError("expecting two image file names")
    formats = (line.last("format"), line.last("second-format"))
    with Images(line) as images:
        nodes: list[Node] = []
        try:
            for name, format in zip(line.operands, formats, strict=True):
                nodes.append(images.open(name, format, cache=line.last("source-cache")))
        except (BlockError, UsageError) as error:
            complain("varan-img", error)
            return CANNOT_OPEN
        try:
            with Progress(line.has("progress")) as progress:
                comparison = Comparison(*nodes, strict=line.has("strict"), progress=progress)
                result = images.drive(comparison.run())
        except StatusError as error:
            complain("varan-img", error)
            return CANNOT_TELL_STATUS
        except BlockError as error:
            complain("varan-img", error)
            return CANNOT_READ
    return _report(result, line.has("quiet"))


def _report(result: Result, quiet: bool) -> int:
    if result.sizes_differ and result.verdict is not Verdict.SIZE and not quiet:
        print("Warning: Image size mismatch!")
    texts = {
        Verdict.IDENTICAL: "Images are identical.",
        Verdict.CONTENT: f"Content mismatch at offset {result.offset}!",
        Verdict.SIZE: "Strict mode: Image size mismatch!",
        Verdict.STATUS: f"Strict mode: Offset {result.offset} block status mismatch!",
    }
    if not quiet:
        print(texts[result.verdict])
    return 0 if result.verdict is Verdict.IDENTICAL else DIFFERENT


COMMAND = Command(
    "compare",
    "FILE1 FILE2",
    "Compare the content of two images. Exit status: 0 the same, 1 different, 2 an image cannot be opened, 3 its "
    "allocation cannot be told, 4 it cannot be read.",
    (
        common.FORMAT,
        SECOND_FORMAT,
        common.IMAGE_OPTS,
        common.OBJECT,
        common.SOURCE_CACHE,
        common.PROGRESS,
        common.QUIET,
        STRICT,
        common.SHARE,
    ),
    run,
)
