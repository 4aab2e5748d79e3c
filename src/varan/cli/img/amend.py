"""`varan img amend`: change options of an existing image."""

from __future__ import annotations

from varan.block.base import BlockError, CreateOption, ErrorKind
from varan.block.operations.amend import amend, options_of
from varan.cli.img import common
from varan.cli.img.create import option_row
from varan.cli.img.grammar import Command, Flag, Line
from varan.cli.img.images import Images, asks_for_help, format_options
from varan.cli.img.progress import Progress
from varan.cli.option import HelpRequested, UsageError

FORCE = Flag("force", ("--force",), "allow what may lose access to the data (erasing the last key)")


def run(line: Line) -> int:
    """Amend; returns the exit status."""
    texts = line.all("options")
    if not texts:
        raise UsageError("must specify options (-o)")
    if asks_for_help(texts):
        raise HelpRequested(_option_list(line.last("format") or _format_of(line)))
    name = common.one_image(line)
    with Images(line) as images:
        node = images.open(name, line.last("format"), write=True, cache=line.last("cache"))
        options = format_options(texts)
        _check(options_of(node.driver), options, node.driver, name)
        with Progress(line.has("progress") and not line.has("quiet")):
            images.drive(amend(node, options, secret=images.secret, force=line.has("force")))
        images.close(node)
    return 0


def _format_of(line: Line) -> str:
    """The format of the image that the line names."""
    with Images(line) as images:
        return images.open(common.one_image(line)).driver


def _check(known: tuple[CreateOption, ...], options: dict[str, str], format: str, name: str) -> None:
    names = {option.name for option in known}
    if not names:
        message = f"Format driver '{format}' does not support option amendment"
        raise BlockError(ErrorKind.UNSUPPORTED, message, where=name)
    for option in options:
        if option not in names:
            raise BlockError(ErrorKind.INVALID, f"Invalid parameter '{option}': it cannot be amended", where=name)


def _option_list(format: str) -> str:
    rows = sorted(options_of(format), key=lambda option: option.name)
    if not rows:
        raise BlockError(ErrorKind.UNSUPPORTED, f"Format driver '{format}' does not support option amendment")
    return "\n".join([f"Amend options for '{format}':", *(option_row(option) for option in rows)])


COMMAND = Command(
    "amend",
    "FILE",
    "Change options of an existing image.",
    (
        common.FORMAT,
        common.OPTIONS,
        FORCE,
        common.IMAGE_OPTS,
        common.OBJECT,
        common.CACHE,
        common.PROGRESS,
        common.QUIET,
    ),
    run,
)
