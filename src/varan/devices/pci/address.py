"""Where a function sits on its bus, as users write it: `slot` or `slot.function`, hexadecimal."""

from __future__ import annotations

import re

SLOTS = 32
FUNCTIONS = 8

_ADDRESS = re.compile(r"(?:0[xX])?([0-9a-fA-F]{1,2})(?:\.(?:0[xX])?([0-7]))?")


def parse(text: str) -> int | None:
    """The devfn (slot * 8 + function) that `text` names, None when it names none."""
    match = _ADDRESS.fullmatch(text)
    if match is None:
        return None
    slot = int(match[1], 16)
    return slot * FUNCTIONS + int(match[2] or "0") if slot < SLOTS else None


def show(devfn: int) -> str:
    """`slot.function`, the slot with two digits."""
    return f"{devfn // FUNCTIONS:02x}.{devfn % FUNCTIONS}"
