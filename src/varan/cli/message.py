"""What the programs say to their user: one line each, whatever the text holds."""

from __future__ import annotations

import sys


def one_line(text: str) -> str:
    """`text` with control characters (line ends first of all) shown as escapes."""
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def complain(program: str, text: object) -> None:
    """Print one line about what went wrong on the standard error output."""
    print(f"{program}: {one_line(str(text))}", file=sys.stderr)
