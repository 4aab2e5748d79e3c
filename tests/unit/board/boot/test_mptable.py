"""The MultiProcessor table, read as Intel MP Specification 1.4 (chapter 4) says."""

from __future__ import annotations

import struct
from collections import defaultdict

from varan.board.boot import mptable, pci
from varan.core.memory import GuestRam, MemorySpace

ADDRESS = 0xF1000
SIZES = {0: 20, 1: 8, 2: 8, 3: 8, 4: 8}
ISA, PCI = 0xFF, 0


def parsed(apic_ids: list[int]) -> dict[int, list[bytes]]:
    """The entries by type; checks the structures around them."""
    data = mptable.table(ADDRESS, apic_ids, pci.interrupts())
    pointer, table = data[:16], data[16:]
    assert pointer[:4] == b"_MP_"
    assert struct.unpack_from("<I", pointer, 4) == (ADDRESS + 16,)
    assert table[:4] == b"PCMP"
    assert struct.unpack_from("<H", table, 4) == (len(table),)
    assert sum(pointer) % 256 == sum(table) % 256 == 0
    entries = defaultdict(list)
    at = 44
    while at < len(table):
        size = SIZES[table[at]]
        entries[table[at]].append(table[at : at + size])
        at += size
    assert struct.unpack_from("<H", table, 34) == (sum(map(len, entries.values())),)
    return entries


def test_cpus_come_with_the_first_one_marked() -> None:
    assert [(cpu[1], cpu[3]) for cpu in parsed([0, 1, 4])[0]] == [(0, 3), (1, 1), (4, 1)]


def test_buses_are_pci_0_and_isa() -> None:
    assert [(bus[1], bus[2:]) for bus in parsed([0])[1]] == [(PCI, b"PCI   "), (ISA, b"ISA   ")]


def test_pci_pins_are_level_triggered_at_10_and_11() -> None:
    found = {source[5]: source for source in parsed([0])[3] if source[4] == PCI}
    assert len(found) == 32 * 4
    assert all(source[2] == 0xD for source in found.values())
    assert [found[slot << 2 | pin][7] for slot, pin in ((2, 0), (3, 0), (4, 1), (5, 3))] == [10, 11, 10, 11]


def test_isa_interrupts_are_those_that_pci_does_not_use_and_the_timer_is_at_pin_2() -> None:
    pins = {source[5]: source[7] for source in parsed([0])[3] if source[4] == ISA}
    assert pins == {0: 2, **{irq: irq for irq in (1, 3, 4, 5, 6, 7, 8, 9, 12, 13, 14, 15)}}


def test_8259_pair_comes_in_at_lint0_of_the_first_cpu_and_nmi_at_lint1_of_all() -> None:
    assert [(entry[1], entry[6], entry[7]) for entry in parsed([3, 1])[4]] == [(3, 3, 0), (1, 0xFF, 1)]


def test_board_without_memory_there_gets_none() -> None:
    memory, ram = MemorySpace(), GuestRam(0x10000)
    memory.map_ram(0, ram)
    mptable.install(memory, [0], ())
    assert bytes(ram.view) == bytes(0x10000)
    ram.close()
