"""Sizes as people write them: 256, 256M, 1.5G, 0x1000."""

from __future__ import annotations

import re

_SIZE = re.compile(r"(?P<number>[0-9]+(\.[0-9]+)?)(?P<suffix>[bkmgtpe]?)", re.IGNORECASE)
_HEX = re.compile(r"0[xX][0-9a-fA-F]+")
_UNITS = {suffix: 1024**power for power, suffix in enumerate("bkmgtpe")}
_LONGEST = 40
_LIMIT = 1 << 64


def parse_size(text: str, unit: int = 1) -> int | None:
    """The bytes that `text` stands for, None when it is no size below 2^64.

    `unit` is the number of bytes a number without suffix counts. Suffixes b, k, M, G, T, P, E are powers of 1024.
    """
    if len(text) > _LONGEST:
        return None
    if _HEX.fullmatch(text):
        size = int(text, 16) * unit
    elif match := _SIZE.fullmatch(text):
        suffix = match["suffix"].lower()
        factor = _UNITS[suffix] if suffix else unit
        whole, point, part = match["number"].partition(".")
        if factor == 1 and point:
            return None
        size = int(whole) * factor + int(part or "0") * factor // 10 ** len(part)
    else:
        return None
    return size if size < _LIMIT else None
