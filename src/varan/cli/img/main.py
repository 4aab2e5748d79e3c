"""`varan-img`: the first argument says what to do; only what that needs is imported."""

from __future__ import annotations

import sys

from varan.cli.img.process import run_process
from varan.cli.message import complain
from varan.cli.option import HelpRequested, UsageError
from varan.errors import VaranError
from varan.light import TYPE_CHECKING, load
from varan.version import VERSION

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from varan.cli.img.grammar import Command

PROGRAM = "varan-img"
SUBCOMMANDS = {
    "amend": "change options of an existing image",
    "bench": "time simple sequential requests",
    "bitmap": "add, remove, clear, enable, disable or merge dirty bitmaps",
    "check": "look for inconsistencies, and repair them",
    "commit": "move an image's content into its backing file",
    "compare": "whether two images show the same content",
    "convert": "copy images into a new one of another format",
    "create": "make a new image",
    "dd": "copy blocks of an image into a new one",
    "info": "describe an image",
    "map": "list where an image's content lies",
    "measure": "how large a converted image would be",
    "rebase": "change an image's backing file",
    "resize": "change an image's size",
    "snapshot": "list, make, apply or delete internal snapshots",
}
"""Names and what they do; `varan.cli.img.NAME` has the `COMMAND`."""

_HELP_WORDS = ("-h", "--help", "help")
_VERSION_WORDS = ("-V", "--version")
_INTERRUPTED = 130
_BROKEN_PIPE = 141


def main(argv: Sequence[str] | None = None, program: str = PROGRAM) -> int:
    """Do what `argv` (the process's arguments unless given) says; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        return _dispatch(words, program)
    except HelpRequested as request:
        print(request.text)
        return 0
    except UsageError as error:
        complain(program, f"{error} (try '{program} --help')" if not words[1:] else error)
        return 1
    except VaranError as error:
        complain(program, error)
        return 1
    except KeyboardInterrupt:
        complain(program, "interrupted")
        return _INTERRUPTED
    except BrokenPipeError:
        sys.stderr.close()
        return _BROKEN_PIPE


def program() -> NoReturn:
    """`varan-img`: `main` in a process of its own."""
    run_process(main)


def usage(program: str = PROGRAM) -> str:
    """What `varan-img --help` prints."""
    rows = [f"  {name:10}{text}" for name, text in SUBCOMMANDS.items()]
    return "\n".join(
        [
            f"usage: {program} COMMAND [options] ...",
            "",
            "Commands:",
            *rows,
            "",
            f"`{program} COMMAND --help` lists its options.",
        ]
    )


def _dispatch(words: list[str], program: str) -> int:
    if not words:
        raise UsageError("not enough arguments")
    name, *rest = words
    if name in _HELP_WORDS:
        if not rest:
            raise HelpRequested(usage(program))
        name, rest = rest[0], ["--help"]
    if name in _VERSION_WORDS:
        raise HelpRequested(f"{program} {VERSION}")
    if name not in SUBCOMMANDS:
        raise UsageError(f"command not found: {name}")
    from varan.cli.img.grammar import describe, parse

    command: Command = load(f"varan.cli.img.{name}").COMMAND
    try:
        line = parse(rest, command.flags)
    except HelpRequested:
        raise HelpRequested(describe(program, command)) from None
    return command.run(line)


if __name__ == "__main__":
    program()
