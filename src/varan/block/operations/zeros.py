"""Zeros in buffers, looked for by memory comparisons in C."""

from __future__ import annotations

from collections.abc import Iterator

_ZEROS = bytes(1 << 16)


def is_zero(buffer: bytearray | bytes, start: int = 0, end: int | None = None) -> bool:
    """Whether all bytes from `start` to `end` are zero."""
    end = len(buffer) if end is None else end
    step = len(_ZEROS)
    while end - start >= step:
        if not buffer.startswith(_ZEROS, start):
            return False
        start += step
    return buffer.startswith(_ZEROS[: end - start], start)


def first_nonzero(buffer: bytearray | bytes, length: int) -> int:
    """Index of the first byte below `length` that is not zero; `length` when there is none."""
    start, step = 0, min(len(_ZEROS), max(length, 1))
    while start < length:
        step = min(step, length - start)
        if buffer.startswith(_ZEROS[:step], start):
            start += step
        elif step == 1:
            return start
        else:
            step = max(step // 16, 1)
    return length


def runs(buffer: bytearray | bytes, length: int, grain: int, origin: int = 0) -> Iterator[tuple[int, int, bool]]:
    """Start, length and whether it is zero, of the alternating runs in the first `length` bytes.

    Zeros count by whole blocks of `grain` bytes, whose boundaries are multiples of `grain` counted from `-origin`;
    partial blocks at the ends count as blocks. `grain` 0: everything is data.
    """
    if not grain:
        yield 0, length, False
        return
    zeros = _ZEROS[:grain] if grain <= len(_ZEROS) else bytes(grain)
    begin, kind = 0, False
    at = 0
    while at < length:
        end = min(at + grain - (origin + at) % grain, length)
        block = zeros if end - at == grain else zeros[: end - at]
        zero = buffer.startswith(block, at)
        if at == 0:
            kind = zero
        elif zero != kind:
            yield begin, at - begin, kind
            begin, kind = at, zero
        at = end
    if length:
        yield begin, length - begin, kind


def first_difference(one: bytearray | bytes, two: bytearray | bytes, length: int) -> int:
    """Index of the first byte below `length` in which the buffers differ; `length` when they are equal."""
    start, step = 0, length
    while start < length:
        step = min(step, length - start)
        if one[start : start + step] == two[start : start + step]:
            start += step
        elif step == 1:
            return start
        else:
            step = max(step // 16, 1)
    return length
