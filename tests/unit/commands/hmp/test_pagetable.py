from __future__ import annotations

import struct
from collections.abc import Iterator

import pytest

from varan.accel.state import CpuState
from varan.commands.hmp.pagetable import MAX_TABLES, NO_EXECUTE, USER, WRITABLE, Range, Walk, ranges
from varan.core.memory import GuestRam, MemorySpace

P, W, U, PS = 1, 2, 4, 0x80
NX = 1 << 63
LONG = {"cr0": 1 << 31 | 1, "cr4": 1 << 5, "efer": 1 << 10 | 1 << 8}


@pytest.fixture
def ram() -> Iterator[GuestRam]:
    ram = GuestRam(64 << 12)
    yield ram
    ram.close()


@pytest.fixture
def memory(ram: GuestRam) -> MemorySpace:
    memory = MemorySpace()
    memory.map_ram(0, ram)
    return memory


def put(ram: GuestRam, table: int, index: int, entry: int, size: int = 8) -> None:
    struct.pack_into("<Q" if size == 8 else "<I", ram.view, table + index * size, entry)


def test_without_paging_nothing_is_mapped(memory: MemorySpace) -> None:
    walk = Walk(memory, CpuState())
    assert not walk.paging
    assert list(walk) == []


def test_four_levels_with_pages_of_every_size(memory: MemorySpace, ram: GuestRam) -> None:
    put(ram, 0x1000, 0, 0x2000 | P | W | U)
    put(ram, 0x2000, 0, 0x3000 | P | W | U)
    put(ram, 0x2000, 1, 0x40000000 | P | W | PS)
    put(ram, 0x3000, 0, 0x4000 | P | W)
    put(ram, 0x3000, 1, 0x600000 | P | W | U | PS)
    put(ram, 0x4000, 5, 0x7000 | P | W | NX)
    pages = [(page.virtual, page.physical, page.size) for page in Walk(memory, CpuState(cr3=0x1000, **LONG))]
    assert pages == [(0x5000, 0x7000, 1 << 12), (0x200000, 0x600000, 1 << 21), (1 << 30, 1 << 30, 1 << 30)]


def test_rights_are_those_of_every_level(memory: MemorySpace, ram: GuestRam) -> None:
    put(ram, 0x1000, 0, 0x2000 | P | W | U)
    put(ram, 0x2000, 0, 0x3000 | P | U | NX)
    put(ram, 0x3000, 0, 0x200000 | P | W | U | PS)
    (page,) = Walk(memory, CpuState(cr3=0x1000, **LONG))
    assert page.rights == USER | NO_EXECUTE


def test_upper_half_addresses_begin_with_ones(memory: MemorySpace, ram: GuestRam) -> None:
    put(ram, 0x1000, 511, 0x2000 | P)
    put(ram, 0x2000, 510, P | PS)
    (page,) = Walk(memory, CpuState(cr3=0x1000, **LONG))
    assert page.virtual == 0xFFFFFFFF80000000


def test_five_levels(memory: MemorySpace, ram: GuestRam) -> None:
    put(ram, 0x1000, 256, 0x2000 | P)
    put(ram, 0x2000, 300, 0x3000 | P)
    put(ram, 0x3000, 0, P | PS)
    state = CpuState(cr3=0x1000, cr0=LONG["cr0"], efer=LONG["efer"], cr4=1 << 5 | 1 << 12)
    (page,) = Walk(memory, state)
    assert page.virtual == 0xFF00000000000000 + (300 << 39)


def test_pae(memory: MemorySpace, ram: GuestRam) -> None:
    put(ram, 0x1020, 3, 0x2000 | P)
    put(ram, 0x2000, 0, 0x3000 | P | W)
    put(ram, 0x2000, 1, 0x200000 | P | W | U | PS)
    put(ram, 0x3000, 1, 0x5000 | P | W)
    walk = Walk(memory, CpuState(cr3=0x1020, cr0=1 << 31 | 1, cr4=1 << 5))
    assert [(page.virtual, page.physical, page.size, page.rights) for page in walk] == [
        (0xC0001000, 0x5000, 4096, WRITABLE),
        (0xC0200000, 0x200000, 1 << 21, WRITABLE | USER),
    ]


def test_two_levels_of_32_bit_paging(memory: MemorySpace, ram: GuestRam) -> None:
    put(ram, 0x1000, 1, 0x2000 | P | W | U, 4)
    put(ram, 0x2000, 3, 0x6000 | P | U, 4)
    put(ram, 0x1000, 768, 0x400000 | P | W | PS, 4)
    walk = Walk(memory, CpuState(cr3=0x1000, cr0=1 << 31 | 1, cr4=1 << 4))
    assert [(page.virtual, page.physical, page.size, page.rights) for page in walk] == [
        (0x403000, 0x6000, 4096, USER),
        (0xC0000000, 0x400000, 1 << 22, WRITABLE),
    ]


def test_large_bit_means_nothing_where_large_pages_are_off(memory: MemorySpace, ram: GuestRam) -> None:
    put(ram, 0x1000, 0, 0x2000 | P | PS, 4)
    put(ram, 0x2000, 0, 0x6000 | P, 4)
    (page,) = Walk(memory, CpuState(cr3=0x1000, cr0=1 << 31 | 1))
    assert page.size == 4096


def test_tables_that_point_at_themselves_do_not_hang(memory: MemorySpace, ram: GuestRam) -> None:
    for index in range(512):
        put(ram, 0x1000, index, 0x1000 | P | W)
    walk = Walk(memory, CpuState(cr3=0x1000, **LONG))
    for _, _page in zip(range(1000), walk, strict=False):
        pass
    walk.tables = MAX_TABLES
    assert sum(1 for _ in walk) == 0
    assert walk.truncated


def test_tables_outside_memory_map_nothing(memory: MemorySpace) -> None:
    assert list(Walk(memory, CpuState(cr3=0x7FFFFFFFF000, **LONG))) == []


def test_ranges_join_neighbours_with_equal_rights(memory: MemorySpace, ram: GuestRam) -> None:
    put(ram, 0x1000, 0, 0x2000 | P | W)
    put(ram, 0x2000, 0, 0x3000 | P | W)
    put(ram, 0x3000, 0, 0x4000 | P | W)
    for index, bits in enumerate([P | W, P | W, P, 0, P]):
        put(ram, 0x4000, index, index << 12 | bits)
    assert list(ranges(Walk(memory, CpuState(cr3=0x1000, **LONG)))) == [
        Range(0, 0x2000, WRITABLE),
        Range(0x2000, 0x3000, 0),
        Range(0x4000, 0x5000, 0),
    ]
