"""What the programs say to their user: one line each, whatever the text holds."""

from __future__ import annotations

import os
import sys

from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec

    P = ParamSpec("P")


OUTPUT_CLOSED = 141
"""Exit status when nobody reads the output any more: what a shell shows for SIGPIPE."""


def one_line(text: str) -> str:
    """`text` with control characters (line ends first of all) shown as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def complain(program: str, text: object) -> None:
    """Print one line about what went wrong on the standard error output."""
    print(f"{program}: {one_line(str(text))}", file=sys.stderr)


def until_output_closes(main: Callable[P, int]) -> Callable[P, int]:
    """Let `main` end quietly when whoever read its standard output has gone (`... -help | head`)."""

    def wrapper(*args: P.args, **kwargs: P.kwargs) -> int:
        try:
            status = main(*args, **kwargs)
            sys.stdout.flush()
        except BrokenPipeError:
            # What is still buffered must not be tried again when the interpreter ends.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return OUTPUT_CLOSED
        return status

    wrapper.__doc__ = main.__doc__
    return wrapper
