"""What a PC's firmware leaves in the CMOS RAM for the software that comes after it."""

from __future__ import annotations

from collections.abc import Sequence

KIB = 1 << 10
MIB = 1 << 20

SHUTDOWN_STATUS = 0x0F
"""Tells firmware what a CPU's reset means."""
SHUTDOWN_S3 = 0xFE
"""The end of an ACPI S3 sleep, where firmware for virtual machines looks for it."""
FLOPPY_DRIVES = 0x10
"""Kinds of the two drives, the first one's in the upper half."""
EQUIPMENT = 0x14
EQUIPMENT_FLOPPY = 0x01
EQUIPMENT_SECOND_FLOPPY = 0x40
EQUIPMENT_FPU = 0x02
EQUIPMENT_MOUSE = 0x04
BASE_MEMORY = 0x15
EXTENDED_MEMORY = 0x17
EXTENDED_MEMORY_AGAIN = 0x30
MEMORY_ABOVE_16M = 0x34
MEMORY_ABOVE_4G = 0x5B
CPUS = 0x5F
"""Number of CPUs less one, where firmware for virtual machines looks for it."""
BASE_KIB = 640


def pc_cells(low: int, high: int, cpus: int) -> dict[int, int]:
    """CMOS cells for `low` bytes of memory from 0, `high` bytes from 4 GiB, and `cpus` CPUs."""
    cells = {EQUIPMENT: EQUIPMENT_FPU | EQUIPMENT_MOUSE, CPUS: (cpus - 1) & 0xFF}
    extended = min(max(low - MIB, 0) // KIB, 0xFFFF)
    above_16m = min(max(low - 16 * MIB, 0) // (64 * KIB), 0xFFFF)
    for index, value, size in (
        (BASE_MEMORY, min(low // KIB, BASE_KIB), 2),
        (EXTENDED_MEMORY, extended, 2),
        (EXTENDED_MEMORY_AGAIN, extended, 2),
        (MEMORY_ABOVE_16M, above_16m, 2),
        (MEMORY_ABOVE_4G, min(high // (64 * KIB), 0xFFFFFF), 3),
    ):
        for at in range(size):
            cells[index + at] = value >> (8 * at) & 0xFF
    return cells


def floppy_cells(kinds: Sequence[int]) -> dict[int, int]:
    """CMOS cells for two drives of these kinds, 0 where there is none."""
    equipment = EQUIPMENT_FPU | EQUIPMENT_MOUSE
    equipment |= EQUIPMENT_FLOPPY if any(kinds) else 0
    equipment |= EQUIPMENT_SECOND_FLOPPY if all(kinds) else 0
    return {FLOPPY_DRIVES: kinds[0] << 4 | kinds[1], EQUIPMENT: equipment}
