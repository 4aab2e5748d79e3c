from __future__ import annotations

import struct

from tests.support.boot_images import GIB, MIB, ram

from varan.board.boot.e820 import Kind, encode, memory_map, ram_top, usable
from varan.core.memory import GuestRam


def test_one_block_of_ram_leaves_out_what_firmware_and_adapters_use() -> None:
    assert memory_map(ram((0, 128 * MIB))) == [
        (0, 0x9FC00, Kind.USABLE),
        (0x9FC00, 0x400, Kind.RESERVED),
        (0xF0000, 0x10000, Kind.RESERVED),
        (MIB, 127 * MIB, Kind.USABLE),
    ]


def test_separate_blocks_that_touch_become_one_entry() -> None:
    split = memory_map(ram((0, 0xA0000), (0xC0000, 0x40000), (MIB, MIB), (2 * MIB, 6 * MIB)))
    assert split == memory_map(ram((0, 8 * MIB)))


def test_ram_above_4_gib_is_an_entry_of_its_own() -> None:
    entries = memory_map(ram((0, 16 * MIB), (4 * GIB, 16 * MIB)))
    assert entries[-1] == (4 * GIB, 16 * MIB, Kind.USABLE)
    assert ram_top(entries) == 16 * MIB
    assert usable(entries) == 31 * MIB + 0x9FC00


def test_rom_is_reserved_and_devices_are_not_listed() -> None:
    space = ram((0, 2 * MIB))
    space.map_ram(4 * GIB - 0x10000, GuestRam(0x10000), readonly=True)
    space.map_mmio(0xFEC00000, 0x1000, lambda offset, size: 0, lambda offset, size, value: None, name="device")
    assert memory_map(space)[-1] == (4 * GIB - 0x10000, 0x10000, Kind.RESERVED)
    assert not any(entry.start <= 0xFEC00000 < entry.end for entry in memory_map(space))


def test_ram_top_is_zero_without_ram_at_1_mib() -> None:
    assert ram_top(memory_map(ram((0, 0xA0000)))) == 0


def test_encode_gives_20_bytes_per_entry() -> None:
    entries = memory_map(ram((0, 2 * MIB)))
    assert list(struct.iter_unpack("<QQI", encode(entries))) == [tuple(entry) for entry in entries]
