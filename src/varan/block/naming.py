"""Names: of nodes, and of images (plain paths, `protocol:...`, `json:{...}`)."""

from __future__ import annotations

import itertools
import os

LONGEST_NODE_NAME = 31
JSON_PREFIX = "json:"
_PUNCTUATION = {ord(char): "0" for char in "._-"}
"""What a node name may have besides letters and digits."""


def is_node_name(name: str) -> bool:
    """Whether a user may call a node so (automatic names begin with `#` and are nobody's to give)."""
    return (
        0 < len(name) <= LONGEST_NODE_NAME
        and name[0].isalpha()
        and name.isascii()
        and name.translate(_PUNCTUATION).isalnum()
    )


class AutomaticNames:
    """Names for nodes that were given none."""

    def __init__(self) -> None:
        self._numbers = itertools.count(100)

    def next(self) -> str:
        """A name that no user can give and no other node has."""
        return f"#block{next(self._numbers)}"


def protocol_of(filename: str) -> str | None:
    """The prefix of `nbd:...` or `file:...`; None for a plain path. A colon after a slash is part of a path."""
    colon = filename.find(":")
    slash = filename.find("/")
    if colon <= 0 or (0 <= slash < colon):
        return None
    return filename[:colon]


def plain_path(filename: str) -> str:
    """The path that a plain or `file:` name stands for."""
    return filename.removeprefix("file:")


def local_path(filename: str) -> str | None:
    """The path of the host that a name stands for; None for a name of another kind."""
    return plain_path(filename) if protocol_of(filename) in (None, "file") else None


def is_relative(filename: str) -> bool:
    """Whether a name counts from the directory of the image it is written in."""
    return protocol_of(filename) is None and not os.path.isabs(filename)


def relative_to(base: str, filename: str) -> str | None:
    """`filename` as seen from outside, where it is written in the image `base`. None: `base` has no directory."""
    if not is_relative(filename):
        return filename
    if base.startswith(JSON_PREFIX):
        return None
    prefix = protocol_of(base)
    if prefix is not None and prefix != "file":
        head, slash, _ = base.rpartition("/")
        return f"{head}{slash}{filename}" if slash else None
    return os.path.join(os.path.dirname(plain_path(base)), filename)
