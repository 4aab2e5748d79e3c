"""Starting a vCPU in 64-bit mode: the tables it needs in low memory, and its state.

The layout is what the Linux 64-bit boot protocol asks for (Documentation/arch/x86/boot.rst, "64-bit Boot Protocol"):
flat segments with selectors 0x10 and 0x18, an identity map, interrupts off.
"""

from __future__ import annotations

import struct

from varan.accel.state import CpuState, Segment, Table
from varan.board.boot.base import BootError
from varan.board.boot.pagetables import identity_map
from varan.core.memory import MemorySpace

PAGE_TABLES = 0x1000
GDT = 0x7000
STACK_TOP = 0x8000
"""Initial stack, downwards to the end of the GDT."""

BOOT_CS = 0x10
BOOT_DS = 0x18

CODE_DESCRIPTOR = 0x00AF9B000000FFFF
DATA_DESCRIPTOR = 0x00CF93000000FFFF
LONG_CODE_ACCESS = 0xA09B
FLAT_DATA_ACCESS = 0xC093
FLAT_LIMIT = 0xFFFFFFFF

CR0_PE_ET_PG = 0x80000011
CR4_PAE = 0x20
EFER_LME_LMA = 0x500


def put(memory: MemorySpace, address: int, data: bytes) -> None:
    """Write `data` to RAM at `address`. Raises BootError where the board has no RAM for it."""
    if memory.write_ram(address, data) != len(data):
        raise BootError(f"the board has no memory at {address:#x} for {len(data)} bytes that booting needs")


def enter(memory: MemorySpace, entry: int) -> CpuState:
    """Write page tables and GDT to low memory; the state that starts at `entry` in 64-bit mode. Raises BootError."""
    put(memory, PAGE_TABLES, identity_map(PAGE_TABLES))
    gdt = struct.pack("<4Q", 0, 0, CODE_DESCRIPTOR, DATA_DESCRIPTOR)
    put(memory, GDT, gdt)
    state = CpuState(
        rip=entry,
        cs=Segment(BOOT_CS, 0, FLAT_LIMIT, LONG_CODE_ACCESS),
        ds=_data(),
        es=_data(),
        fs=_data(),
        gs=_data(),
        ss=_data(),
        ldt=Segment(0, 0, 0xFFFF, 0x82),
        tr=Segment(0, 0, 0xFFFF, 0x8B),
        gdt=Table(GDT, len(gdt) - 1),
        idt=Table(0, 0),
        cr0=CR0_PE_ET_PG,
        cr3=PAGE_TABLES,
        cr4=CR4_PAE,
        efer=EFER_LME_LMA,
    )
    state.gprs[4] = STACK_TOP
    return state


def _data() -> Segment:
    return Segment(BOOT_DS, 0, FLAT_LIMIT, FLAT_DATA_ACCESS)
