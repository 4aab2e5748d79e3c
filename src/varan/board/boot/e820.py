"""The memory map that firmware would report (ACPI 6.5, 15.1: INT 15h, E820h), made from what the board maps."""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable
from typing import NamedTuple

from varan.core.memory import Region

EBDA = 0x9FC00
"""Where firmware keeps its extended data area; memory from here to 1 MiB belongs to firmware and adapters."""
MIB = 1 << 20
FIRST_4GIB = 1 << 32


class Kind(enum.IntEnum):
    USABLE = 1
    RESERVED = 2
    ACPI_DATA = 3
    """Tables: free once the guest has read them."""
    ACPI_NVS = 4


class Entry(NamedTuple):
    """`size` bytes from physical address `start`."""

    start: int
    size: int
    kind: Kind

    @property
    def end(self) -> int:
        return self.start + self.size


def memory_map(regions: Iterable[Region]) -> list[Entry]:
    """Entries in ascending order: writable RAM is usable except between the EBDA and 1 MiB, ROM is reserved."""
    entries = [Entry(EBDA, 0xA0000 - EBDA, Kind.RESERVED), Entry(0xF0000, 0x10000, Kind.RESERVED)]
    for region in regions:
        if region.ram is None:
            continue
        if region.readonly:
            pieces, kind = _outside(region.start, region.end, 0xF0000, MIB), Kind.RESERVED
        else:
            pieces, kind = _outside(region.start, region.end, EBDA, MIB), Kind.USABLE
        entries += [Entry(start, end - start, kind) for start, end in pieces]
    return _merged(sorted(entries))


def ram_top(entries: Iterable[Entry]) -> int:
    """The end of the usable memory that starts at 1 MiB, 0 when there is none."""
    return next((entry.end for entry in entries if entry.kind is Kind.USABLE and entry.start == MIB), 0)


def usable(entries: Iterable[Entry]) -> int:
    """Usable bytes in all."""
    return sum(entry.size for entry in entries if entry.kind is Kind.USABLE)


def encode(entries: Iterable[Entry]) -> bytes:
    """The entries as firmware stores them, 20 bytes each."""
    return b"".join(struct.pack("<QQI", *entry) for entry in entries)


def _outside(start: int, end: int, hole: int, hole_end: int) -> list[tuple[int, int]]:
    pieces = [(start, min(end, hole)), (max(start, hole_end), end)]
    return [(first, last) for first, last in pieces if first < last]


def _merged(entries: list[Entry]) -> list[Entry]:
    out: list[Entry] = []
    for entry in entries:
        if out and out[-1].kind is entry.kind and out[-1].end == entry.start:
            out[-1] = out[-1]._replace(size=out[-1].size + entry.size)
        else:
            out.append(entry)
    return out
