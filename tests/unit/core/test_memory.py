from __future__ import annotations

import ctypes
from collections.abc import Iterator

import pytest

from varan.core.memory import PAGE_SIZE, GuestRam, MemorySpace

SIZE = 4 * PAGE_SIZE
HIGH = 0x10000000


@pytest.fixture
def ram() -> Iterator[GuestRam]:
    ram = GuestRam(SIZE)
    yield ram
    ram.close()


@pytest.fixture
def space(ram: GuestRam) -> MemorySpace:
    """Two pages of RAM at 0, one page of ROM after them, a device, and the last page high up."""
    space = MemorySpace()
    space.map_ram(0, ram, 0, 2 * PAGE_SIZE)
    space.map_ram(2 * PAGE_SIZE, ram, 2 * PAGE_SIZE, PAGE_SIZE, readonly=True)
    space.map_mmio(0x8000, 0x100, lambda offset, size: offset << 8 | size, lambda offset, size, value: None, name="dev")
    space.map_ram(HIGH, ram, 3 * PAGE_SIZE)
    return space


@pytest.mark.parametrize("size", [0, -PAGE_SIZE, 100])
def test_size_that_is_not_a_positive_multiple_of_the_page_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="multiple of 4096"):
        GuestRam(size)


def test_ram_is_zero_and_its_address_is_where_its_bytes_are(ram: GuestRam) -> None:
    assert bytes(ram.view[:16]) == bytes(16)
    ram.view[5] = 0x42
    assert ctypes.string_at(ram.address + 5, 1) == b"\x42"


def test_accesses_are_little_endian_and_reach_the_right_part_of_ram(space: MemorySpace, ram: GuestRam) -> None:
    space.write(HIGH + 8, 4, 0x04030201)
    assert bytes(ram.view[3 * PAGE_SIZE + 8 : 3 * PAGE_SIZE + 12]) == b"\x01\x02\x03\x04"
    assert space.read(HIGH + 8, 2) == 0x0201


def test_device_gets_offset_and_size(space: MemorySpace) -> None:
    assert space.read(0x8010, 4) == 0x1004


def test_unassigned_addresses_read_all_ones_and_swallow_writes(space: MemorySpace) -> None:
    assert space.read(0x5000, 8) == (1 << 64) - 1
    space.write(0x5000, 8, 0)


def test_access_across_the_end_of_a_region_finds_nobody(space: MemorySpace) -> None:
    assert space.read(HIGH + PAGE_SIZE - 2, 4) == 0xFFFFFFFF


def test_rom_drops_writes_of_guests_and_of_devices(space: MemorySpace) -> None:
    space.write(2 * PAGE_SIZE, 4, 0xFFFFFFFF)
    assert space.write_ram(2 * PAGE_SIZE, b"abc") == 0
    assert space.read(2 * PAGE_SIZE, 4) == 0


def test_dma_skips_what_is_not_ram_and_tells_how_much_found_some(space: MemorySpace) -> None:
    assert space.write_ram(2 * PAGE_SIZE - 2, b"abcd") == 2
    assert space.read_bytes(2 * PAGE_SIZE - 3, 5) == b"\x00ab\x00\x00"


def test_bytes_of_holes_and_devices_read_as_zero(space: MemorySpace) -> None:
    space.write_ram(HIGH, b"x")
    assert space.read_bytes(HIGH - 2, 4) == b"\x00\x00x\x00"
    assert space.read_bytes(0x8000, 4) == bytes(4)


def test_listeners_hear_of_writes_to_ram_only(space: MemorySpace) -> None:
    heard: list[tuple[int, int]] = []
    space.on_ram_written(lambda address, length: heard.append((address, length)))
    space.write_ram(2 * PAGE_SIZE - 2, b"abcd")
    space.write(4, 2, 1)
    space.write(2 * PAGE_SIZE, 2, 1)
    assert heard == [(2 * PAGE_SIZE - 2, 2), (4, 2)]


def test_slice_is_the_ram_itself_within_one_region_only(space: MemorySpace) -> None:
    piece = space.ram_slice(HIGH, 4)
    assert piece is not None
    piece[:] = b"wxyz"
    assert space.read_bytes(HIGH, 4) == b"wxyz"
    assert space.ram_slice(2 * PAGE_SIZE - 1, 2) is None
    assert space.ram_slice(0x8000, 1) is None


def test_overlaps_are_refused(space: MemorySpace, ram: GuestRam) -> None:
    with pytest.raises(ValueError, match="overlaps"):
        space.map_ram(PAGE_SIZE, ram, 0, PAGE_SIZE)
    with pytest.raises(ValueError, match="overlaps"):
        space.map_mmio(0x7FFF, 2, lambda offset, size: 0, lambda offset, size, value: None, name="x")


@pytest.mark.parametrize(("base", "offset", "size"), [(1, 0, PAGE_SIZE), (HIGH, 0, 2 * SIZE), (HIGH, 100, PAGE_SIZE)])
def test_ram_that_does_not_fit_or_is_not_aligned_is_refused(ram: GuestRam, base: int, offset: int, size: int) -> None:
    with pytest.raises(ValueError, match="does not fit"):
        MemorySpace().map_ram(base, ram, offset, size)


def test_unmapped_region_is_gone(space: MemorySpace) -> None:
    space.unmap(HIGH)
    assert space.find(HIGH) is None
    with pytest.raises(KeyError):
        space.unmap(HIGH)
