from __future__ import annotations

import struct

import pytest

from varan.board.boot.pagetables import SIZE, identity_map

BASE = 0x1000


def walk(tables: bytes, address: int) -> int | None:
    """A walk of four-level paging down to a 2 MiB page, as SDM volume 3, 4.5.4 has it."""
    table = BASE
    entry: int
    for shift in (39, 30, 21):
        at = table - BASE + (address >> shift & 0x1FF) * 8
        (entry,) = struct.unpack_from("<Q", tables, at)
        if not entry & 1:
            return None
        table = entry & 0x000FFFFFFFFFF000
        if shift == 21:
            assert entry & 0x80, "not a 2 MiB page"
            return table | address & 0x1FFFFF
    raise AssertionError


@pytest.mark.parametrize("address", [0, 0x1FFFFF, 0x200000, 0x3FFFFFFF, 0x40000000, 0xC0001234, 0xFFFFFFFF])
def test_addresses_below_4_gib_map_to_themselves(address: int) -> None:
    assert walk(identity_map(BASE), address) == address


@pytest.mark.parametrize("address", [1 << 32, 1 << 39, 0x7FFFFFFFFFFF])
def test_addresses_from_4_gib_on_are_not_mapped(address: int) -> None:
    assert walk(identity_map(BASE), address) is None


def test_size_is_what_it_says() -> None:
    assert len(identity_map(BASE)) == SIZE


def test_an_address_off_a_page_is_refused() -> None:
    with pytest.raises(ValueError, match="page-aligned"):
        identity_map(0x1001)
