"""Zeros and differences in buffers, held against the obvious definitions."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from varan.block.operations import zeros

SPARSE = st.lists(st.tuples(st.integers(0, 3), st.integers(1, 3000)), max_size=12).map(
    lambda runs: bytearray(b"".join(bytes([byte]) * length for byte, length in runs))
)


@given(SPARSE)
def test_is_zero(buffer: bytearray) -> None:
    assert zeros.is_zero(buffer) == (not any(buffer))


@given(SPARSE)
def test_first_nonzero(buffer: bytearray) -> None:
    expected = next((index for index, byte in enumerate(buffer) if byte), len(buffer))
    assert zeros.first_nonzero(buffer, len(buffer)) == expected


@given(SPARSE, SPARSE)
def test_first_difference(one: bytearray, two: bytearray) -> None:
    length = min(len(one), len(two))
    expected = next((index for index in range(length) if one[index] != two[index]), length)
    assert zeros.first_difference(one, two, length) == expected


@given(SPARSE, st.sampled_from([1, 7, 512, 4096]), st.integers(0, 5000))
def test_runs_cover_everything_and_tell_whole_blocks_of_zeros(buffer: bytearray, grain: int, origin: int) -> None:
    found = list(zeros.runs(buffer, len(buffer), grain, origin))
    assert [start for start, _, _ in found] == [sum(length for _, length, _ in found[:n]) for n in range(len(found))]
    assert sum(length for _, length, _ in found) == len(buffer)
    for start, length, zero in found:
        assert start == 0 or (origin + start) % grain == 0
        if zero:
            assert not any(buffer[start : start + length])
        else:
            blocks = {(origin + at) // grain for at in range(start, start + length) if buffer[at]}
            assert blocks == {(origin + at) // grain for at in range(start, start + length)}
    assert all(one[2] != two[2] for one, two in itertools.pairwise(found))


def test_without_a_grain_everything_is_data() -> None:
    assert list(zeros.runs(bytearray(100), 100, 0)) == [(0, 100, False)]
