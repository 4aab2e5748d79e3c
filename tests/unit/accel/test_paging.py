"""The page walker, over tables in a dictionary."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from varan.accel import paging
from varan.accel.paging import CR0_PE, CR0_PG, CR4_LA57, CR4_PAE, CR4_PSE, EFER_LMA, EFER_NXE, Controls, translate, walk

LONG = Controls(CR0_PE | CR0_PG, 0x1000, CR4_PAE, EFER_LMA | EFER_NXE)
P, W, U, PS, NX = paging.PRESENT, paging.WRITABLE, paging.USER, paging.LARGE, paging.NO_EXECUTE


def memory(**entries: int) -> paging.PhysicalRead:
    """Physical memory that is zero but for entries named by their address: `x1000=...`."""
    words = {int(name[1:], 16): value for name, value in entries.items()}
    return lambda address, _size: words.get(address, 0)


def test_rights_are_what_all_levels_grant() -> None:
    read = memory(x1000=0x2000 | P | W | U, x2000=0x3000 | P | W, x3000=0x4000 | P | W | U, x4008=0x5000 | P | U | NX)
    found = walk(read, LONG, 0x1234)
    assert found is not None
    assert (found.physical, found.writable, found.user, found.executable) == (0x5234, False, False, False)
    assert found.entries == ((0x1000, 8), (0x2000, 8), (0x3000, 8), (0x4008, 8))


def test_no_execute_means_nothing_unless_it_is_enabled() -> None:
    read = memory(x1000=0x2000 | P | NX, x2000=P | PS)
    found = walk(read, LONG._replace(efer=EFER_LMA), 0)
    assert found is not None and found.executable


def test_one_gigabyte_page() -> None:
    read = memory(x1000=0x2000 | P, x2008=0x8_4000_0000 | P | PS | 1 << 12)
    assert translate(read, LONG, 0x4123_4567) == 0x8_4123_4567


def test_five_levels() -> None:
    read = memory(x1000=0x2000 | P, x2008=0x3000 | P, x3000=0x4000 | P, x4000=0x20_0000 | P | PS)
    controls = LONG._replace(cr4=CR4_PAE | CR4_LA57)
    assert translate(read, controls, (1 << 39) + 0x1_2345) == 0x21_2345
    assert translate(read, controls, 1 << 56) is None


def test_large_bit_at_the_top_is_not_a_page() -> None:
    assert translate(memory(x1000=0x2000 | P | PS), LONG, 0) is None


def test_four_megabyte_pages_want_their_control_bit() -> None:
    controls = Controls(CR0_PE | CR0_PG, 0x1000, CR4_PSE, 0)
    read = memory(x1004=0x0080_0000 | P | PS, x800000=0x9000 | P)
    assert translate(read, controls, 0x40_0123) == 0x80_0123
    assert translate(read, controls._replace(cr4=0), 0x40_0123) == 0x9123


@given(
    st.integers(0, (1 << 64) - 1),
    st.binary(min_size=64, max_size=64),
    st.sampled_from([0, CR4_PAE, CR4_PAE | CR4_LA57]),
)
def test_any_tables_give_an_answer(linear: int, table: bytes, cr4: int) -> None:
    def read(address: int, size: int) -> int:
        at = address % 57
        return int.from_bytes(table[at : at + size], "little")

    for efer in (0, EFER_LMA):
        found = translate(read, Controls(CR0_PG | CR0_PE, 0, cr4 | CR4_PSE, efer), linear)
        assert found is None or 0 <= found < 1 << 52
