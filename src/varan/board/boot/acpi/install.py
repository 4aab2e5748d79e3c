"""Where the tables go when no firmware runs: to the end of low memory, the root pointer where guests look for it."""

from __future__ import annotations

import struct
from collections.abc import Sequence

from varan.accel.state import CpuState, Segment
from varan.board.boot import e820
from varan.board.boot.acpi.table import Table, lay_out
from varan.board.boot.acpi.tables import FACS, RSDP, WAKING_VECTOR
from varan.board.boot.longmode import put
from varan.core.memory import PAGE_SIZE, MemorySpace

RSDP_ADDRESS = e820.EBDA
"""The first KiB of the EBDA is one of the places that are searched (ACPI 6.5, 5.2.5.1)."""
EBDA_SEGMENT = 0x40E
"""Where the BIOS data area has the segment of the EBDA."""


class Installation:
    """Tables with their addresses in a memory map."""

    def __init__(self, tables: Sequence[Table], addresses: dict[str, int], entries: list[e820.Entry]) -> None:
        """`addresses` of the tables by name; `entries` of the memory map that they take."""
        self._tables = tables
        self._addresses = addresses
        self._entries = entries

    @classmethod
    def plan(cls, tables: Sequence[Table], entries: Sequence[e820.Entry]) -> Installation | None:
        """Places for the tables in the map `entries`; None in a memory that is too small for them (2 MiB)."""
        _, *others, _ = tables
        size = -(-lay_out(others, 0)[1] // PAGE_SIZE) * PAGE_SIZE
        base = e820.ram_top(entries) - size - PAGE_SIZE
        if base < 2 * e820.MIB:
            return None
        addresses, _ = lay_out(others, base + PAGE_SIZE)
        addresses |= {FACS: base, RSDP: RSDP_ADDRESS}
        nvs = e820.Entry(base, PAGE_SIZE, e820.Kind.ACPI_NVS)
        return cls(tables, addresses, [nvs, e820.Entry(base + PAGE_SIZE, size, e820.Kind.ACPI_DATA)])

    def reserve(self, entries: Sequence[e820.Entry]) -> list[e820.Entry]:
        """The memory map with the tables in it."""
        first = self._entries[0].start
        kept = [
            entry._replace(size=first - entry.start) if entry.start < first < entry.end else entry for entry in entries
        ]
        return sorted([*kept, *self._entries])

    def install(self, memory: MemorySpace) -> None:
        """Put the tables into memory. Raises BootError."""
        for table in self._tables:
            put(memory, self._addresses[table.name], table.place(self._addresses))
        put(memory, EBDA_SEGMENT, struct.pack("<H", e820.EBDA >> 4))

    def wake(self, memory: MemorySpace) -> CpuState | None:
        """The state in which the first vCPU leaves S3: real mode, where the guest said; None when it did not."""
        vector = memory.read(self._addresses[FACS] + WAKING_VECTOR, 4)
        if not 0 < vector < e820.MIB:
            return None
        state = CpuState()
        state.cs = Segment(vector >> 4, vector & ~0xF, 0xFFFF, state.cs.access)
        state.rip = vector & 0xF
        return state
