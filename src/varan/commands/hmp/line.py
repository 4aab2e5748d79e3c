"""Lines of the human monitor: a command's name, then arguments by the command's own declaration.

A declaration is words: `val:integer size:integer filename:string` are three arguments in order, `index:integer?` may be
left out, `size:size` is a number of bytes, `-a:all` is a flag whose parameter is called `all`, `/format` is a display
format that sticks to the command's name, and `line:rest` takes what is left as it stands.
"""

from __future__ import annotations

import enum
import re
from dataclasses import dataclass

from varan.commands.hmp import expression
from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.expression import Expression
from varan.commands.hmp.format import Format
from varan.core.sizes import parse_size

MAX_LINE = 4096
"""Characters a line may have."""

_MIB = 1 << 20
_NAME = re.compile(r"[ \t]*([^ \t/]*)")
_BLANKS = re.compile(r"[ \t]*")
_ESCAPES = {"n": "\n", "r": "\r", "t": "\t"}


class Kind(enum.Enum):
    """What an argument's text is read as."""

    INTEGER = "integer"
    """An expression; the handler gets its value."""
    SIZE = "size"
    """Bytes; MiB where no suffix says otherwise."""
    STRING = "string"
    """A word, or anything in double quotes."""
    REST = "rest"
    """The rest of the line."""
    FLAG = "flag"
    FORMAT = "format"


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument: `name` is what help shows, `parameter` what the command's function calls it."""

    name: str
    parameter: str
    kind: Kind
    optional: bool

    def usage(self) -> str:
        """How help shows it."""
        shown = f"/{self.name}" if self.kind is Kind.FORMAT else self.name
        return f"[{shown}]" if self.optional else shown


Parsed = dict[str, Expression | str | int | Format]


def declare(declaration: str) -> tuple[Argument, ...]:
    """The arguments that `declaration` (see the module's text) lists."""
    return tuple(_argument(word) for word in declaration.split())


def _argument(word: str) -> Argument:
    if word.startswith("/"):
        return Argument(word[1:], word[1:], Kind.FORMAT, True)
    name, _, kind = word.partition(":")
    if name.startswith("-"):
        return Argument(name, kind, Kind.FLAG, True)
    return Argument(name, name.replace("-", "_"), Kind(kind.removesuffix("?")), kind.endswith("?"))


def split_name(line: str) -> tuple[str, int]:
    """The first word of `line` (a slash ends it too), and where it ends."""
    match = _NAME.match(line)
    assert match is not None
    return match[1], match.end()


def parse_arguments(arguments: tuple[Argument, ...], line: str, position: int) -> Parsed:
    """What `line` has for `arguments` from `position` on. Raises HmpError when it does not fit."""
    parsed: Parsed = {}
    for argument in arguments:
        position = _skip_blanks(line, position)
        if argument.kind is Kind.FORMAT:
            position = _take_format(argument, line, position, parsed)
        elif argument.kind is Kind.FLAG:
            position = _take_flag(argument, line, position, parsed)
        elif position < len(line):
            more = argument is not arguments[-1]
            position = _take_value(argument, line, position, parsed, more)
        elif not argument.optional:
            raise HmpError(f"missing argument: {argument.name}")
    rest = line[_skip_blanks(line, position) :]
    if rest:
        raise HmpError(f"extraneous characters at the end of line: '{rest[:40]}'")
    return parsed


def _skip_blanks(line: str, position: int) -> int:
    match = _BLANKS.match(line, position)
    return match.end() if match else position


def _take_format(argument: Argument, line: str, position: int, parsed: Parsed) -> int:
    if not line.startswith("/", position):
        return position
    end = position + 1
    while end < len(line) and line[end].isalnum():
        end += 1
    parsed[argument.parameter] = Format.parse(line[position + 1 : end])
    return end


def _take_flag(argument: Argument, line: str, position: int, parsed: Parsed) -> int:
    end = position + len(argument.name)
    if line[position:end] == argument.name and (end == len(line) or line[end] in " \t"):
        parsed[argument.parameter] = True
        return end
    return position


def _take_value(argument: Argument, line: str, position: int, parsed: Parsed, more: bool) -> int:
    if argument.kind is Kind.INTEGER:
        parsed[argument.parameter], position = expression.parse(line, position, more=more)
        return position
    if argument.kind is Kind.REST:
        parsed[argument.parameter] = line[position:].rstrip(" \t")
        return len(line)
    word, position = take_word(line, position)
    if argument.kind is Kind.SIZE:
        size = parse_size(word, _MIB)
        if size is None:
            raise HmpError(f"invalid size: '{word[:40]}'")
        parsed[argument.parameter] = size
    else:
        parsed[argument.parameter] = word
    return position


def take_word(line: str, position: int) -> tuple[str, int]:
    """The word at `position`, which may be in double quotes with `\\n \\r \\t \\" \\\\`, and where it ends."""
    if line[position] != '"':
        end = position
        while end < len(line) and line[end] not in " \t":
            end += 1
        return line[position:end], end
    characters: list[str] = []
    at = position + 1
    while at < len(line):
        character = line[at]
        if character == '"':
            return "".join(characters), at + 1
        if character == "\\" and at + 1 < len(line):
            at += 1
            character = _ESCAPES.get(line[at], line[at])
        characters.append(character)
        at += 1
    raise HmpError("unterminated string: a closing '\"' is missing")
