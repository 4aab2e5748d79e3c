"""A schema file's text, and the way from an offset in it to the line and column that a person is told."""

from __future__ import annotations

import enum
import re
from bisect import bisect_right
from pathlib import Path

from varan.qapi.errors import Problem, QapiError


class Dialect(enum.Enum):
    """The two languages that go by the name of QAPI."""

    Y2012 = "2012"
    """As of protocol 1.1: `type`, nested anonymous members, unions without discriminator, loose comments."""
    TODAY = "today"
    """`struct`, `event`, `alternate`, flat unions, conditions, features, checked comments."""


class Source:
    """One file: `path` as messages show it, its text, and the include directive that brought it in."""

    __slots__ = ("_line_starts", "dialect", "included_from", "path", "text")

    def __init__(self, path: str, text: str, included_from: tuple[tuple[str, int], ...] = ()) -> None:
        self.path = path
        self.text = text
        self.included_from = included_from
        self.dialect = Dialect.TODAY
        """The parser finds it out."""
        self._line_starts: list[int] | None = None

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, both from 1."""
        if self._line_starts is None:
            self._line_starts = [0, *(found.end() for found in re.finditer("\n", self.text))]
        line = bisect_right(self._line_starts, offset)
        return line, offset - self._line_starts[line - 1] + 1

    def problem(self, offset: int, message: str, subject: str | None = None) -> Problem:
        line, column = self.position(offset)
        return Problem(self.path, line, column, message, subject, self.included_from)

    def error(self, offset: int, message: str, subject: str | None = None) -> QapiError:
        return QapiError(self.problem(offset, message, subject))


def read_source(path: str, included_from: tuple[tuple[str, int], ...] = ()) -> Source:
    """Read a file. QapiError: it is not UTF-8. OSError: it cannot be read."""
    data = Path(path).read_bytes()
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8")
        broken = Source(path, before, included_from)
        raise broken.error(len(before), f"byte {data[error.start]:#04x} is not UTF-8") from None
    return Source(path, text.replace("\r\n", "\n"), included_from)
