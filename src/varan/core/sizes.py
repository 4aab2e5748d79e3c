"""Sizes as people write them: 256, 256M, 1.5G, 0x1000."""

from __future__ import annotations

_HEX_DIGITS = frozenset("0123456789abcdefABCDEF")
_UNITS: dict[str, int] = {suffix: 1024**power for power, suffix in enumerate("bkmgtpe")}
_LONGEST = 40
_LIMIT = 1 << 64


def parse_size(text: str, unit: int = 1) -> int | None:
    """The bytes that `text` stands for, None when it is no size below 2^64.

    `unit` is the number of bytes a number without suffix counts. Suffixes b, k, M, G, T, P, E are powers of 1024.
    """
    if len(text) > _LONGEST or not text.isascii():
        return None
    if text[:2] in ("0x", "0X"):
        size = int(text, 16) * unit if len(text) > 2 and _HEX_DIGITS.issuperset(text[2:]) else None
    else:
        size = _parse_decimal(text, unit)
    return size if size is not None and size < _LIMIT else None


def _parse_decimal(text: str, unit: int) -> int | None:
    suffix = text[-1:].lower()
    if suffix in _UNITS:
        text, unit = text[:-1], _UNITS[suffix]
    whole, point, part = text.partition(".")
    if not whole.isdecimal() or (point and (not part.isdecimal() or unit == 1)):
        return None
    fraction: int = int(part or "0") * unit // 10 ** len(part)
    return int(whole) * unit + fraction
