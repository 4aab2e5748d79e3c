"""How the human monitor shows numbers and memory: `/FMT` after a command's name.

A format is a count, a letter for the notation (x hexadecimal, d signed, u unsigned, o octal, c character) and a letter
for the size of an item (b, h, w, g for 1, 2, 4, 8 bytes), in this order or with the letters swapped, each optional.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from varan.commands.hmp.errors import HmpError

MAX_COUNT = 1 << 20
"""Items that one command shows at most."""

_TEXT = re.compile(r"(\d*)([a-z]*)", re.ASCII)
_SIZES = {"b": 1, "h": 2, "w": 4, "g": 8}
_DIGITS = {
    "x": {1: 2, 2: 4, 4: 8, 8: 16},
    "o": {1: 3, 2: 6, 4: 11, 8: 22},
    "u": {1: 3, 2: 5, 4: 10, 8: 20},
    "d": {1: 4, 2: 6, 4: 11, 8: 20},
}


@dataclass(frozen=True, slots=True)
class Format:
    """What was asked for; None where the command's own default holds."""

    count: int = 1
    notation: str | None = None
    size: int | None = None

    @classmethod
    def parse(cls, text: str) -> Format:
        """The format behind the slash. Raises HmpError."""
        match = _TEXT.fullmatch(text)
        if match is None:
            raise HmpError(f"invalid format '/{text}'")
        count = int(match[1][:12]) if match[1] else 1
        if count > MAX_COUNT:
            raise HmpError(f"invalid count in '/{text}': at most {MAX_COUNT} items are shown")
        notation: str | None = None
        size: int | None = None
        for letter in match[2]:
            if letter == "i":
                raise HmpError("format 'i': disassembly is not built in; use x, d, u, o or c")
            if letter in "xduoc" and notation is None:
                notation = letter
            elif letter in _SIZES and size is None:
                size = _SIZES[letter]
            else:
                raise HmpError(f"invalid character in format: '{letter}'")
        return cls(count, notation, size)


def render(value: int, notation: str, size: int) -> str:
    """`size` bytes (1, 2, 4 or 8) given as an unsigned number, in a column of fixed width."""
    if notation == "c":
        return character(value & 0xFF)
    digits = _DIGITS[notation][size]
    if notation == "x":
        return f"0x{value:0{digits}x}"
    if notation == "o":
        return f"0{value:0{digits}o}"
    if notation == "d" and value >> (8 * size - 1):
        value -= 1 << (8 * size)
    return f"{value:>{digits}d}"


def character(value: int) -> str:
    """A byte as C writes a character constant."""
    special = {0x0A: "\\n", 0x0D: "\\r", 0x09: "\\t", 0x27: "\\'", 0x5C: "\\\\"}.get(value)
    if special is None:
        special = chr(value) if 0x20 <= value < 0x7F else f"\\x{value:02x}"
    return f"'{special}'"


def rows(data: bytes, address: int, notation: str, size: int, digits: int = 16) -> Iterator[str]:
    """Memory as lines of an address and the items that fit into 16 bytes (8 where items are bytes)."""
    row = 8 if size == 1 else 16
    mask = (1 << 64) - 1
    for at in range(0, len(data), row):
        items = [
            render(int.from_bytes(data[item : item + size], "little"), notation, size)
            for item in range(at, min(at + row, len(data)), size)
        ]
        yield f"{address + at & mask:0{digits}x}: {' '.join(items)}"
