"""The escape key of a shared chardev and the stamps before its lines, as pure text in and out."""

from __future__ import annotations

import enum
from collections.abc import Iterator

ESCAPE = 0x01
"""Ctrl-A"""


class Key(enum.Enum):
    """What may follow the escape key."""

    HELP = "h"
    EXIT = "x"
    SAVE = "s"
    TIMESTAMPS = "t"
    BREAK = "b"
    NEXT = "c"


_KEYS = {ord(key.value): key for key in Key} | {ord("?"): Key.HELP}

_HELP = {
    Key.HELP: "show this help (also ?)",
    Key.EXIT: "end the machine",
    Key.SAVE: "write disk changes kept aside back to their images",
    Key.TIMESTAMPS: "switch the time stamps before lines on or off",
    Key.BREAK: "send a break",
    Key.NEXT: "go to the next user of this console (the serial port, the monitor...)",
}


def help_text(keys: frozenset[Key]) -> bytes:
    """The help that the escape key gives, for the keys that do something."""
    lines = ["", *(f"Ctrl-A {key.value}    {_HELP[key]}" for key in Key if key in keys)]
    return ("\r\n".join([*lines, "Ctrl-A Ctrl-A sends Ctrl-A"]) + "\r\n").encode()


class EscapeParser:
    """Tells escape sequences from input, in whatever pieces it comes."""

    def __init__(self) -> None:
        self._escaped = False

    def feed(self, data: bytes) -> Iterator[bytes | Key]:
        """Runs of input, and keys that followed the escape key. Other keys after it are swallowed."""
        start = 0
        while start < len(data):
            if self._escaped:
                self._escaped = False
                if data[start] == ESCAPE:
                    yield data[start : start + 1]
                elif (key := _KEYS.get(data[start])) is not None:
                    yield key
                start += 1
                continue
            end = data.find(ESCAPE, start)
            if end < 0:
                yield data[start:]
                return
            if end > start:
                yield data[start:end]
            self._escaped = True
            start = end + 1


class LineStamper:
    """Puts the time before each line of output."""

    def __init__(self) -> None:
        self._line_start = True

    def stamp(self, data: bytes, milliseconds: int) -> bytes:
        """`data` with the time (`milliseconds` since whatever counts as the start) before each line that begins."""
        seconds, fraction = divmod(milliseconds, 1000)
        minutes, seconds = divmod(seconds, 60)
        prefix = f"[{minutes // 60:02}:{minutes % 60:02}:{seconds:02}.{fraction:03}] ".encode()
        stamped = bytearray()
        for line in _split_lines(data):
            if self._line_start:
                stamped += prefix
            stamped += line
            self._line_start = line.endswith(b"\n")
        return bytes(stamped)


def _split_lines(data: bytes) -> list[bytes]:
    *whole, last = data.split(b"\n")
    lines = [line + b"\n" for line in whole]
    return [*lines, last] if last else lines
