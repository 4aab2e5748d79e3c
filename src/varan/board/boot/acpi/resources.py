"""Resource descriptors: what `_CRS` and `_PRS` buffers hold (ACPI 6.5, 6.4).

Each function gives one descriptor's bytes; `template` makes a buffer of them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable

from varan.board.boot.acpi import aml

END_TAG = b"\x79\x00"
LEVEL_HIGH_SHARED = 0b1001
"""Flags of an extended interrupt: consumed by the device, level, active high, shared."""
MEMORY, IO, BUS = 0, 1, 2
"""Kinds of ranges."""
_FIXED_PRODUCER = 0x0C
"""General flags: both ends of the range are fixed; the device passes it on to those below it."""
_IO_ENTIRE = 0x03
_MEMORY_WRITABLE = 0x01
_PREFETCHABLE = 0x06


def template(*descriptors: bytes) -> bytes:
    """ResourceTemplate: a buffer with these descriptors and the end tag."""
    return aml.buffer(b"".join(descriptors) + END_TAG)


def io(base: int, length: int) -> bytes:
    """Ports at a fixed place; the device decodes all 16 address lines."""
    return struct.pack("<BBHHBB", 0x47, 1, base, base, 1, length)


def irq(number: int) -> bytes:
    """An ISA interrupt: edge-triggered, active high, not shared."""
    return struct.pack("<BH", 0x22, 1 << number)


def dma(channel: int) -> bytes:
    """An ISA DMA channel of eight bits that is no bus master (6.4.2.2)."""
    return struct.pack("<BBB", 0x2A, 1 << channel, 0)


def interrupts(numbers: Iterable[int], flags: int = LEVEL_HIGH_SHARED) -> bytes:
    """One of these global system interrupts."""
    lines = tuple(numbers)
    return struct.pack(f"<BHBB{len(lines)}I", 0x89, 2 + 4 * len(lines), flags, len(lines), *lines)


def memory32(base: int, length: int) -> bytes:
    """Memory at a fixed place below 4 GiB, writable."""
    return struct.pack("<BHBII", 0x86, 9, 1, base, length)


def bus_numbers(first: int, last: int) -> bytes:
    """The bus numbers below a bridge."""
    return _range("<HHHHH", 0x88, BUS, 0, first, last)


def io_window(first: int, last: int) -> bytes:
    """Ports that a bridge passes on."""
    return _range("<HHHHH", 0x88, IO, _IO_ENTIRE, first, last)


def memory_window(first: int, last: int, *, prefetchable: bool = False) -> bytes:
    """Memory that a bridge passes on; where it lies decides the descriptor's width."""
    flags = _MEMORY_WRITABLE | (_PREFETCHABLE if prefetchable else 0)
    if last >> 32:
        return _range("<QQQQQ", 0x8A, MEMORY, flags, first, last)
    return _range("<IIIII", 0x87, MEMORY, flags, first, last)


def _range(form: str, tag: int, kind: int, flags: int, first: int, last: int) -> bytes:
    addresses = struct.pack(form, 0, first, last, 0, last - first + 1)
    return struct.pack("<BHBBB", tag, 3 + len(addresses), kind, _FIXED_PRODUCER, flags) + addresses
