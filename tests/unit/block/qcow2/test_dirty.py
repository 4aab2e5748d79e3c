"""Dirty bitmaps agree with a set of granules."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from varan.block.base import BlockError
from varan.block.dirty import DirtyBitmap

GRANULE = 512
SIZE = 100 * GRANULE - 77

RANGES = st.lists(
    st.tuples(st.sampled_from(["set", "clear"]), st.integers(0, SIZE - 1), st.integers(0, SIZE)), max_size=20
)


def dirty(bitmap: DirtyBitmap) -> set[int]:
    return {
        granule
        for start, length in bitmap.areas()
        for granule in range(start // GRANULE, -(-(start + length) // GRANULE))
    }


@settings(max_examples=300, deadline=None)
@given(RANGES, st.integers(0, SIZE))
def test_random_changes_agree_with_a_set(changes: list[tuple[str, int, int]], start: int) -> None:
    bitmap = DirtyBitmap("b", SIZE, GRANULE)
    expected: set[int] = set()
    for what, offset, length in changes:
        end = min(offset + length, SIZE)
        if what == "set":
            bitmap.set(offset, length)
            expected |= set(range(offset // GRANULE, -(-end // GRANULE))) if end > offset else set()
        else:
            bitmap.clear(offset, length)
            last = 100 if offset + length >= SIZE else end // GRANULE
            expected -= set(range(-(-offset // GRANULE), last))
    assert dirty(bitmap) == expected
    assert all(bitmap.get(granule * GRANULE) == (granule in expected) for granule in range(100))
    assert bitmap.count == sum(min(GRANULE, SIZE - granule * GRANULE) for granule in expected)
    found = bitmap.next_dirty(start)
    ahead = [granule for granule in expected if (granule + 1) * GRANULE > start and granule * GRANULE < SIZE]
    if found is None:
        assert not [granule for granule in ahead if start < SIZE]
    else:
        assert found[0] == max(start, min(ahead) * GRANULE)


def test_areas_join_across_steps_of_the_scan() -> None:
    bitmap = DirtyBitmap("b", 512 << 20, GRANULE)
    bitmap.set(10 * GRANULE, 300 << 20)
    bitmap.set(400 << 20, 1)
    assert list(bitmap.areas()) == [(10 * GRANULE, 300 << 20), (400 << 20, GRANULE)]
    assert list(bitmap.areas(20 << 20, 21 << 20)) == [(20 << 20, 1 << 20)]


def test_merge_between_granularities() -> None:
    coarse, fine = DirtyBitmap("c", SIZE, 4096), DirtyBitmap("f", SIZE, GRANULE)
    fine.set(5000, 1)
    coarse.merge(fine)
    assert list(coarse.areas()) == [(4096, 4096)]
    fine.merge(coarse)
    assert list(fine.areas()) == [(4096, 4096)]
    twin = fine.copy("t")
    twin.merge(fine)
    assert list(twin.areas()) == list(fine.areas())
    with pytest.raises(BlockError, match="different sizes"):
        fine.merge(DirtyBitmap("x", SIZE + 1, GRANULE))


def test_resize_keeps_what_stays_and_adds_clean_space() -> None:
    bitmap = DirtyBitmap("b", SIZE, GRANULE)
    bitmap.set_all()
    bitmap.resize(10 * GRANULE)
    bitmap.resize(SIZE)
    assert list(bitmap.areas()) == [(0, 10 * GRANULE)]


def test_loaded_bits_past_the_end_are_dropped() -> None:
    bitmap = DirtyBitmap("b", 3 * GRANULE, GRANULE)
    bitmap.load(0, b"\xff" * 64)
    assert bitmap.count == 3 * GRANULE
    assert bytes(bitmap.bits) == b"\x07"


def test_changes_are_remembered() -> None:
    bitmap = DirtyBitmap("b", SIZE, GRANULE)
    assert not bitmap.changed
    bitmap.set(0, 1)
    assert bitmap.changed
    bitmap.changed = False
    bitmap.clear_all()
    assert bitmap.changed


@pytest.mark.parametrize("granularity", [0, 256, 1000, 1 << 32])
def test_bad_granularity_is_refused(granularity: int) -> None:
    with pytest.raises(BlockError, match="power of two"):
        DirtyBitmap("b", SIZE, granularity)


def test_huge_disks_want_a_larger_granularity() -> None:
    with pytest.raises(BlockError, match="larger granularity"):
        DirtyBitmap("b", 1 << 62, 512)
