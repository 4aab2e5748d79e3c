from __future__ import annotations

import pytest

from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.format import Format, character, render, rows


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Format()),
        ("8", Format(8)),
        ("x", Format(1, "x")),
        ("16xb", Format(16, "x", 1)),
        ("4gx", Format(4, "x", 8)),
        ("2hd", Format(2, "d", 2)),
        ("c", Format(1, "c")),
    ],
)
def test_parse(text: str, expected: Format) -> None:
    assert Format.parse(text) == expected


@pytest.mark.parametrize("text", ["q", "x4", "xd", "bw", "i", "10i", "1048577x", "9" * 5000])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(HmpError):
        Format.parse(text)


@pytest.mark.parametrize(
    ("value", "notation", "size", "expected"),
    [
        (0x2A, "x", 1, "0x2a"),
        (0x2A, "x", 8, "0x000000000000002a"),
        (0xFF, "d", 1, "  -1"),
        (0x7F, "d", 1, " 127"),
        (0xFFFF, "u", 2, "65535"),
        (8, "o", 1, "0010"),
        (0x41, "c", 1, "'A'"),
        (0xFFFFFFFFFFFFFFFF, "d", 8, "                  -1"),
    ],
)
def test_render(value: int, notation: str, size: int, expected: str) -> None:
    assert render(value, notation, size) == expected


@pytest.mark.parametrize(("value", "expected"), [(10, r"'\n'"), (0, r"'\x00'"), (0x27, r"'\''"), (0xFF, r"'\xff'")])
def test_character(value: int, expected: str) -> None:
    assert character(value) == expected


def test_rows_hold_sixteen_bytes_and_the_address() -> None:
    assert list(rows(bytes(range(20)), 0xFFC, "x", 4)) == [
        "0000000000000ffc: 0x03020100 0x07060504 0x0b0a0908 0x0f0e0d0c",
        "000000000000100c: 0x13121110",
    ]


def test_rows_of_bytes_hold_eight() -> None:
    assert list(rows(b"ab cd\nefg", 0, "c", 1)) == [
        r"0000000000000000: 'a' 'b' ' ' 'c' 'd' '\n' 'e' 'f'",
        "0000000000000008: 'g'",
    ]
