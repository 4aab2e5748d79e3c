"""Zeros in buffers, looked for by memory comparisons in C."""

from __future__ import annotations

from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
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
    if not length:
        return
    if not grain:
        yield 0, length, False
        return
    at = 0
    for start, end in _zero_runs(buffer, length, grain, -origin % grain):
        if start > at:
            yield at, start - at, False
        yield start, end - start, True
        at = end
    if at < length:
        yield at, length - at, False


def _zero_runs(buffer: bytearray | bytes, length: int, grain: int, first: int) -> Iterator[tuple[int, int]]:
    """Start and end of the runs of blocks that are zero; `first` is the first boundary between blocks.

    Only blocks that begin with a zero are compared: one slice in C picks the first byte of all of them.
    """
    start = end = 0
    if first and is_zero(buffer, 0, min(first, length)):
        end = min(first, length)
    heads = bytes(buffer[first:length:grain])
    zeros = _ZEROS[:grain] if grain <= len(_ZEROS) else bytes(grain)
    index = heads.find(0)
    while index >= 0:
        at = first + index * grain
        stop = min(at + grain, length)
        if buffer.startswith(zeros if stop - at == grain else zeros[: stop - at], at):
            if at > end:
                if end > start:
                    yield start, end
                start = at
            end = stop
        index = heads.find(0, index + 1)
    if end > start:
        yield start, end


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
