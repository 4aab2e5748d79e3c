"""Line editing for a terminal at the far end of a byte pipe: bytes in, lines and bytes to show out.

The terminal is taken to understand carriage return, backspace and ESC [ K; a peer that is no terminal (a script that
sends whole lines) sees its line echoed and nothing more. Keys: the arrows, Home, End, Delete, Backspace, Tab, and
Control with A B D E F K L N P U W as in other shells. Input is UTF-8.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable
from typing import NamedTuple

MAX_LINE = 4096
"""Characters a line may have; more are not taken."""
MAX_HISTORY = 64

Complete = Callable[[str], list[str]]
"""Text left of the cursor -> what its last word may become."""

_ESCAPE = "\x1b"
_SEQUENCE_LIMIT = 16
_FINAL = re.compile(r"[\x40-\x7e]")
_KEYS = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end"}
_TILDE_KEYS = {"1": "home", "3": "delete", "4": "end", "7": "home", "8": "end"}
_CONTROLS = {
    "\x01": "home",
    "\x02": "left",
    "\x04": "delete",
    "\x05": "end",
    "\x06": "right",
    "\x08": "backspace",
    "\x09": "complete",
    "\x0b": "kill_to_end",
    "\x0c": "redraw",
    "\x0e": "down",
    "\x10": "up",
    "\x15": "kill_line",
    "\x17": "kill_word",
    "\x7f": "backspace",
}


class Fed(NamedTuple):
    """What became of input: bytes to show, the line that Enter ended (None: not yet), and input not looked at."""

    output: bytes
    line: str | None
    rest: str


class LineEditor:
    """The line being typed. `feed` takes `decode`d input; after a line give it the `rest`, once that was dealt with."""

    def __init__(self, prompt: str, complete: Complete) -> None:
        self._prompt = prompt
        self._complete = complete
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""
        self._cursor = 0
        self._history: list[str] = []
        self._browsed = 0
        self._typed = ""
        self._sequence = ""
        self._after_return = False
        self._output: list[str] = []

    @property
    def line(self) -> str:
        """The line so far."""
        return self._line

    @property
    def cursor(self) -> int:
        """How many characters are left of the cursor."""
        return self._cursor

    @property
    def history(self) -> tuple[str, ...]:
        """Lines entered, the oldest first."""
        return tuple(self._history)

    def decode(self, data: bytes) -> str:
        """Input as characters; a character cut in two waits for its end."""
        return self._decoder.decode(data)

    def prompt(self) -> bytes:
        """What to show before a line."""
        return self._prompt.encode()

    def redrawn(self) -> bytes:
        """What shows prompt, line and cursor anew."""
        self._do_redraw()
        return self._taken()

    def feed(self, text: str) -> Fed:
        """Take input up to the first Enter."""
        for at, character in enumerate(text):
            if self._key(character):
                return Fed(self._taken(), self._finish(), text[at + 1 :])
        return Fed(self._taken(), None, "")

    def _taken(self) -> bytes:
        output = "".join(self._output).encode()
        self._output.clear()
        return output

    def _key(self, character: str) -> bool:
        """Deal with one character; True for Enter."""
        after_return, self._after_return = self._after_return, False
        if self._sequence:
            self._escape(character)
        elif character == _ESCAPE:
            self._sequence = _ESCAPE
        elif character == "\r" or (character == "\n" and not after_return):
            self._after_return = character == "\r"
            self._output.append("\r\n")
            return True
        elif character in _CONTROLS:
            getattr(self, f"_do_{_CONTROLS[character]}")()
        elif character.isprintable():
            self._insert(character)
        return False

    def _escape(self, character: str) -> None:
        """Collect an escape sequence: ESC O letter, or ESC [ parameters letter (ECMA-48, 5.4)."""
        self._sequence += character
        if self._sequence in (_ESCAPE + "[", _ESCAPE + "O"):
            return
        if len(self._sequence) > 2 and not _FINAL.match(character) and len(self._sequence) < _SEQUENCE_LIMIT:
            return
        sequence, self._sequence = self._sequence, ""
        if sequence[1:2] not in ("[", "O"):
            return
        name = _TILDE_KEYS.get(sequence[2:-1]) if character == "~" else _KEYS.get(character)
        if name is not None:
            getattr(self, f"_do_{name}")()

    def _finish(self) -> str:
        line, self._line, self._cursor = self._line, "", 0
        if line.strip() and (not self._history or self._history[-1] != line):
            self._history = [*self._history, line][-MAX_HISTORY:]
        self._browsed, self._typed = len(self._history), ""
        return line

    def _insert(self, text: str) -> None:
        text = text[: MAX_LINE - len(self._line)]
        if not text:
            return
        self._line = self._line[: self._cursor] + text + self._line[self._cursor :]
        self._cursor += len(text)
        tail = self._line[self._cursor :]
        self._output.append(text + tail + "\b" * len(tail))

    def _move(self, cursor: int) -> None:
        cursor = min(max(cursor, 0), len(self._line))
        if cursor < self._cursor:
            self._output.append("\b" * (self._cursor - cursor))
        else:
            self._output.append(self._line[self._cursor : cursor])
        self._cursor = cursor

    def _delete(self, start: int, end: int) -> None:
        """Remove `start` to `end`, of which the cursor is one."""
        if start >= end:
            return
        self._move(start)
        self._line = self._line[:start] + self._line[end:]
        tail = self._line[start:]
        self._output.append(tail + "\x1b[K" + "\b" * len(tail))

    def _replace(self, line: str) -> None:
        self._move(0)
        self._line, self._cursor = line, len(line)
        self._output.append(line + "\x1b[K")

    def _do_home(self) -> None:
        self._move(0)

    def _do_end(self) -> None:
        self._move(len(self._line))

    def _do_left(self) -> None:
        self._move(self._cursor - 1)

    def _do_right(self) -> None:
        self._move(self._cursor + 1)

    def _do_backspace(self) -> None:
        self._delete(max(self._cursor - 1, 0), self._cursor)

    def _do_delete(self) -> None:
        self._delete(self._cursor, min(self._cursor + 1, len(self._line)))

    def _do_kill_to_end(self) -> None:
        self._delete(self._cursor, len(self._line))

    def _do_kill_line(self) -> None:
        self._delete(0, self._cursor)

    def _do_kill_word(self) -> None:
        left = self._line[: self._cursor].rstrip()
        self._delete(left.rfind(" ") + 1, self._cursor)

    def _do_redraw(self) -> None:
        tail = len(self._line) - self._cursor
        self._output.append("\r" + self._prompt + self._line + "\x1b[K" + "\b" * tail)

    def _do_up(self) -> None:
        self._browse(self._browsed - 1)

    def _do_down(self) -> None:
        self._browse(self._browsed + 1)

    def _browse(self, to: int) -> None:
        if not 0 <= to <= len(self._history):
            return
        if self._browsed == len(self._history):
            self._typed = self._line
        self._browsed = to
        self._replace(self._history[to] if to < len(self._history) else self._typed)

    def _do_complete(self) -> None:
        left = self._line[: self._cursor]
        word = left[left.rfind(" ") + 1 :]
        candidates = [candidate for candidate in self._complete(left) if candidate.startswith(word)]
        if not candidates:
            return
        common = _common_prefix(candidates)[len(word) :] + (" " if len(candidates) == 1 else "")
        if common:
            self._insert(common)
        else:
            self._output.append("\r\n" + "  ".join(sorted(candidates)) + "\r\n")
            self._do_redraw()


def _common_prefix(words: list[str]) -> str:
    first, last = min(words), max(words)
    for at, character in enumerate(first):
        if character != last[at]:
            return first[:at]
    return first
