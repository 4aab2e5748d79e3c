"""Where the tables go when no firmware runs: to the end of low memory, the root pointer where guests look for it."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from varan.accel.state import CpuState, Segment
from varan.board.boot import e820
from varan.board.boot.acpi.table import Table, lay_out
from varan.board.boot.acpi.tables import WAKING_VECTOR
from varan.board.boot.base import BootError
from varan.board.boot.longmode import put
from varan.core.memory import PAGE_SIZE, MemorySpace

RSDP_ADDRESS = e820.EBDA
"""The first KiB of the EBDA is one of the places that are searched (ACPI 6.5, 5.2.5.1)."""
EBDA_SEGMENT = 0x40E
"""Where the BIOS data area has the segment of the EBDA."""


AREA = 128 << 10
"""Bytes for the FACS, in a page of its own, and the tables after it."""


class AcpiArea:
    """The memory that is kept for tables."""

    def __init__(self, base: int) -> None:
        """`base` is its physical address."""
        self._base = base

    @classmethod
    def plan(cls, entries: Sequence[e820.Entry]) -> AcpiArea | None:
        """A place in the memory map `entries`; None in a memory that is too small (2 MiB)."""
        base = e820.ram_top(entries) - AREA
        return cls(base) if base >= 2 * e820.MIB else None

    def reserve(self, entries: Sequence[e820.Entry]) -> list[e820.Entry]:
        """The memory map with the area in it."""
        base = self._base
        kept = [
            entry._replace(size=base - entry.start) if entry.start < base < entry.end else entry for entry in entries
        ]
        nvs = e820.Entry(base, PAGE_SIZE, e820.Kind.ACPI_NVS)
        return sorted([*kept, nvs, e820.Entry(nvs.end, AREA - PAGE_SIZE, e820.Kind.ACPI_DATA)])

    def install(self, memory: MemorySpace, tables: Sequence[Table]) -> None:
        """Put the tables, the FACS first and the RSDP last, into memory. Raises BootError."""
        facs, *others, rsdp = tables
        addresses, end = lay_out(others, self._base + PAGE_SIZE)
        if end > self._base + AREA:
            raise BootError(f"the ACPI tables have more than {AREA - PAGE_SIZE} bytes")
        addresses |= {facs.name: self._base, rsdp.name: RSDP_ADDRESS}
        for table in tables:
            put(memory, addresses[table.name], table.place(addresses))
        put(memory, EBDA_SEGMENT, struct.pack("<H", e820.EBDA >> 4))

    def wake(self, memory: MemorySpace) -> CpuState | None:
        """The state in which the first vCPU leaves S3: real mode, where the guest said; None when it did not."""
        vector = memory.read(self._base + WAKING_VECTOR, 4)
        if not 0 < vector < e820.MIB:
            return None
        state = CpuState()
        state.cs = Segment(vector >> 4, vector & ~0xF, 0xFFFF, state.cs.access)
        state.rip = vector & 0xF
        return state
