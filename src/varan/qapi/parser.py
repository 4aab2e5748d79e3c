"""Tokens to expressions: the JSON-like values of one file, each with the comment that documents it.

Values are plain dicts, lists, strings and booleans. Where a value stands is not recorded on the way, it is
looked up again (`Expression.offset_of`) in the rare case that somebody asks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from varan.qapi.errors import Problem, QapiError
from varan.qapi.lexer import COMMENT, END, STRING, WORD, Tokens, tokenize
from varan.qapi.source import Dialect, Source

MAX_DEPTH = 32
"""Nesting that no schema has; it bounds recursion on hostile files."""

Path = tuple[str | int, ...]
"""The way from an expression to a value in it: keys of objects and indices of lists."""


@dataclass(slots=True)
class Comment:
    """Adjoining comment lines between definitions, as they stand in the file."""

    source: Source
    offset: int
    text: str


@dataclass(slots=True)
class Expression:
    """A top-level object."""

    source: Source
    tokens: Tokens
    index: int
    """Of its opening brace in `tokens`."""
    value: dict[str, Any]

    def offset_of(self, path: Path = ()) -> int:
        """Where the value at `path` stands (its key, if it has one), or the nearest thing around it that there is."""
        kinds, values = self.tokens.kinds, self.tokens.values
        at = nearest = self.index
        for step in path:
            in_object = kinds[at] == "{"
            for index, entry in enumerate(_entries(kinds, at)):
                if (values[entry] if in_object else index) == step:
                    nearest = entry
                    at = entry + 2 if in_object else entry
                    break
            else:
                break
        return self.tokens.starts[nearest]


@dataclass(slots=True)
class ParsedFile:
    items: list[Comment | Expression]
    problems: list[Problem]
    """What was wrong but did not stop the parser."""
    warnings: list[Problem]


def parse(source: Source, lenient: bool = False) -> ParsedFile:
    """QapiError: the text is no schema. A forgotten comma is a problem, or with `lenient` a warning."""
    return _Parser(source, lenient).parse()


class _Parser:
    def __init__(self, source: Source, lenient: bool) -> None:
        self.source = source
        self.lenient = lenient
        self.tokens: Tokens = tokenize(source)
        self.kinds = self.tokens.kinds
        self.values = self.tokens.values
        self.at = 0
        self.top: dict[str, Any] = {}
        """The top-level object that is being read, as far as it is."""
        self.items: list[Comment | Expression] = []
        self.forgotten: list[Problem] = []
        self.trailing: list[Problem] = []

    def parse(self) -> ParsedFile:
        try:
            self._items()
        except QapiError as error:
            located = [replace(problem, subject=_subject(self.top)) for problem in error.problems]
            raise QapiError(self.forgotten + located) from None
        self.source.dialect = dialect = _dialect(self.items)
        problems = [] if dialect is Dialect.Y2012 else self.trailing
        if self.lenient:
            return ParsedFile(self.items, problems, self.forgotten)
        return ParsedFile(self.items, sorted(self.forgotten + problems, key=lambda p: (p.line, p.column)), [])

    def _items(self) -> None:
        while (kind := self.kinds[self.at]) != END:
            start = self.tokens.starts[self.at]
            if kind == COMMENT:
                self.items.append(Comment(self.source, start, self.values[self.at]))
                self.at += 1
            elif kind == "{":
                index = self.at
                self.items.append(Expression(self.source, self.tokens, index, self._object(1)))
                self.top = {}
            else:
                raise self._unexpected("an object")

    def _unexpected(self, expected: str) -> QapiError:
        kind, value = self.kinds[self.at], self.values[self.at]
        shown = "the end of the file" if kind == END else f"'{value}'"
        return self.source.error(self.tokens.starts[self.at], f"expected {expected}, not {shown}")

    def _value(self, depth: int) -> Any:
        kind = self.kinds[self.at]
        if kind == STRING:
            self.at += 1
            return self.values[self.at - 1]
        if kind == "{" or kind == "[":
            if depth >= MAX_DEPTH:
                raise self.source.error(self.tokens.starts[self.at], "nested too deeply")
            return self._object(depth + 1) if kind == "{" else self._list(depth + 1)
        if kind == WORD and self.values[self.at] in ("true", "false"):
            self.at += 1
            return self.values[self.at - 1] == "true"
        raise self._unexpected("a value (string, object, list, true or false)")

    def _object(self, depth: int) -> dict[str, Any]:
        kinds, values = self.kinds, self.values
        result: dict[str, Any] = {}
        if depth == 1:
            self.top = result
        self.at += 1
        if kinds[self.at] == "}":
            self.at += 1
            return result
        while True:
            at = self.at
            if kinds[at] != STRING:
                raise self._unexpected("a string as key")
            key = values[at]
            if kinds[at + 1] != ":":
                self.at = at + 1
                raise self._unexpected("':'")
            self.at = at + 2
            if key in result:
                raise self.source.error(self.tokens.starts[at], f"key '{key}' occurs twice")
            if kinds[self.at] == STRING:
                result[key] = values[self.at]
                self.at += 1
            else:
                result[key] = self._value(depth)
            if not self._goes_on("}"):
                return result

    def _list(self, depth: int) -> list[Any]:
        result: list[Any] = []
        self.at += 1
        if self.kinds[self.at] == "]":
            self.at += 1
            return result
        while True:
            result.append(self._value(depth))
            if not self._goes_on("]"):
                return result

    def _goes_on(self, closing: str) -> bool:
        """Past the comma, or past the closing bracket: is there another entry?"""
        kind = self.kinds[self.at]
        if kind == ",":
            self.at += 1
            if self.kinds[self.at] == closing:
                self.trailing.append(self._problem(self.at - 1, f"superfluous comma before '{closing}'"))
                self.at += 1
                return False
            return True
        if kind == closing:
            self.at += 1
            return False
        if kind == STRING or (closing == "]" and kind in "{["):
            self._forgotten_comma()
            return True
        raise self._unexpected(f"',' or '{closing}'")

    def _forgotten_comma(self) -> None:
        message = f"a comma is missing before '{self.values[self.at]}'"
        self.forgotten.append(self.source.problem(self.tokens.ends[self.at - 1], message, _subject(self.top)))

    def _problem(self, at: int, message: str) -> Problem:
        return self.source.problem(self.tokens.starts[at], message, _subject(self.top))


def _subject(top: dict[str, Any]) -> str | None:
    """What a definition is called in messages, as far as it has been read."""
    for key in ("command", "struct", "type", "enum", "union", "event", "alternate"):
        if isinstance(name := top.get(key), str):
            return f"{key} '{name}'"
    return None


def _dialect(items: list[Comment | Expression]) -> Dialect:
    """By what only one of the two languages has; without any of that, today's."""
    old = False
    for item in items:
        if isinstance(item, Comment):
            continue
        top = item.value
        if "struct" in top or "event" in top or "alternate" in top:
            return Dialect.TODAY
        if next(iter(top), None) == "type" or ("command" in top and _is_command_of_2012(top)):
            old = True
    return Dialect.Y2012 if old else Dialect.TODAY


def _is_command_of_2012(top: dict[str, Any]) -> bool:
    data = top.get("data")
    types = [top.get("returns"), *(data.values() if isinstance(data, dict) else ())]
    return "visitor" in types or "no" in (top.get("gen"), top.get("success-response"))


def _entries(kinds: list[str], opening: int) -> Iterator[int]:
    """The indices at which the entries of the object or list at `opening` begin; none for other values."""
    if kinds[opening] not in ("{", "["):
        return
    depth = 0
    for at in range(opening, len(kinds)):
        kind = kinds[at]
        if kind in ("}", "]"):
            depth -= 1
            if depth == 0:
                return
            continue
        if depth == 1 and kind not in (":", ",") and kinds[at - 1] != ":":
            yield at
        if kind in ("{", "["):
            depth += 1
