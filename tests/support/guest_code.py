"""What a tiny guest program is: what it does, its source, and the bytes that came out of the assembler."""

from __future__ import annotations

from typing import NamedTuple

CODE = 0x8000
"""Where the tests put a program that knows its own address."""


class Program(NamedTuple):
    """`source` is in GNU assembler's Intel syntax."""

    summary: str
    source: str
    code: bytes


def program(summary: str, source: str, *code: str) -> Program:
    """A program whose bytes are given in hexadecimal."""
    return Program(summary, source, bytes.fromhex("".join(code)))
