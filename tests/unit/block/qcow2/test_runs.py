"""L2 entries by hand: what they say and how they change."""

from __future__ import annotations

from array import array

import pytest

from varan.block.base import BlockError
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.entries import Covered, ExtendedEditor, StandardEditor
from varan.block.formats.qcow2.runs import ExtendedMapper, Kind, Run, StandardMapper

C = 65536
STANDARD = q.Geometry(16)
EXTENDED = q.Geometry(16, extended_l2=True)
SUB = C // 32


def mapper(*, zero_flag: bool = True, data_file: bool = False) -> StandardMapper:
    return StandardMapper(STANDARD, zero_flag=zero_flag, data_file=data_file)


def test_neighbouring_clusters_are_one_run() -> None:
    table = array("Q", [5 * C | q.COPIED, 6 * C, 7 * C | q.COPIED, 9 * C])
    assert mapper().run(table, 0, 512, 10 * C) == Run(Kind.DATA, 3 * C - 512, 5 * C + 512)


def test_a_run_is_no_longer_than_asked() -> None:
    table = array("Q", [5 * C, 6 * C])
    assert mapper().run(table, 0, 100, 1000) == Run(Kind.DATA, 1000, 5 * C + 100)


def test_unallocated_zero_and_kept_zero_differ() -> None:
    table = array("Q", [0, 0, q.ZERO, q.ZERO, 8 * C | q.ZERO, 9 * C | q.ZERO])
    assert mapper().run(table, 0, 0, 9 * C) == Run(Kind.UNALLOCATED, 2 * C)
    assert mapper().run(table, 2, 0, 9 * C) == Run(Kind.ZERO, 2 * C)
    assert mapper().run(table, 4, 0, 9 * C) == Run(Kind.ZERO, 2 * C, 8 * C)


def test_offset_zero_is_data_in_an_external_data_file() -> None:
    table = array("Q", [q.COPIED, C | q.COPIED])
    assert mapper(data_file=True).run(table, 0, 0, 2 * C) == Run(Kind.DATA, 2 * C, 0)


def test_compressed_clusters_stand_alone() -> None:
    entry = STANDARD.compressed_entry(0x12345, 3000)
    offset, length = STANDARD.compressed_extent(entry)
    assert offset == 0x12345 and 3000 <= length <= 3000 + 511
    assert mapper().run(array("Q", [entry, entry]), 0, 10, 2 * C) == Run(Kind.COMPRESSED, C - 10, 0, entry)


@pytest.mark.parametrize("entry", [5 * C + 512, q.ZERO])
def test_impossible_entries_are_refused(entry: int) -> None:
    with pytest.raises(BlockError):
        mapper(zero_flag=False).run(array("Q", [entry]), 0, 0, C)


def test_subclusters_of_one_kind_are_one_run_across_clusters() -> None:
    high = (q.ALL_SUBCLUSTERS << 30) & q.ALL_SUBCLUSTERS
    table = array("Q", [4 * C, high, 5 * C, 0b111, 0, 1 << 32])
    extended = ExtendedMapper(EXTENDED, data_file=False)
    assert extended.run(table, 0, 30 * SUB + 1, 4 * C) == Run(Kind.DATA, 5 * SUB - 1, 4 * C + 30 * SUB + 1)
    assert extended.run(table, 0, 0, 4 * C) == Run(Kind.UNALLOCATED, 30 * SUB, 4 * C)
    assert extended.run(table, 2, 0, 4 * C) == Run(Kind.ZERO, SUB)


@pytest.mark.parametrize("words", [(4 * C, 1 | 1 << 32), (0, 1)])
def test_contradicting_bitmaps_are_refused(words: tuple[int, int]) -> None:
    with pytest.raises(BlockError):
        ExtendedMapper(EXTENDED, data_file=False).run(array("Q", words), 0, 0, C)


def standard() -> StandardEditor:
    return StandardEditor(STANDARD, zero_flag=True, data_file=False)


def test_only_clusters_of_ones_own_are_written_in_place() -> None:
    table = array("Q", [4 * C | q.COPIED, 5 * C | q.COPIED, 6 * C, 7 * C | q.COPIED | q.ZERO])
    assert standard().in_place(table, 0, 100, 9 * C) == (4 * C + 100, 2 * C - 100)
    assert standard().in_place(table, 2, 0, C) == (0, 0)
    assert standard().in_place(table, 3, 0, C) == (0, 0)
    assert standard().reusable(table, 3, 1) == (7 * C, 1)


def test_linking_gives_back_what_was_there() -> None:
    compressed = STANDARD.compressed_entry(0x10000, 700)
    table = array("Q", [0, q.ZERO, 3 * C, compressed, 9 * C | q.ZERO | q.COPIED])
    assert standard().link(table, 0, 20 * C, Covered(5, 0, 5 * C)) == [3 * C, compressed, 9 * C | q.ZERO | q.COPIED]
    assert list(table) == [(20 + at) * C | q.COPIED for at in range(5)]


def test_zeroing_keeps_space_only_when_asked() -> None:
    table = array("Q", [0, 3 * C | q.COPIED])
    assert standard().zero(table, 0, 2, keep=True) == []
    assert list(table) == [q.ZERO, 3 * C | q.COPIED | q.ZERO]
    assert standard().zero(table, 0, 2, keep=False) == [3 * C | q.COPIED | q.ZERO]
    assert list(table) == [q.ZERO, q.ZERO]


def test_a_write_fills_up_the_subclusters_it_touches() -> None:
    editor = ExtendedEditor(EXTENDED, data_file=False)
    table = array("Q", [0, 1 << 33])
    assert editor.needed(table, 0, (0, 100, SUB + 5), fresh=True) == (0, 2 * SUB)
    assert editor.link(table, 0, 6 * C, Covered(1, 0, 2 * SUB)) == []
    assert list(table) == [6 * C | q.COPIED, 0b11]
    assert editor.in_place(table, 0, 10, 2 * SUB - 10) == (6 * C + 10, 2 * SUB - 10)
    assert editor.needed(table, 0, (0, SUB + 1, 2 * SUB + 1), fresh=False) == (SUB + 1, 3 * SUB)


def test_a_shared_cluster_is_copied_whole() -> None:
    editor = ExtendedEditor(EXTENDED, data_file=False)
    table = array("Q", [6 * C, 0b11])
    assert editor.reusable(table, 0, 1) == (None, 0)
    assert editor.needed(table, 0, (0, 100, 200), fresh=True) == (0, C)
    assert editor.link(table, 0, 8 * C, Covered(1, 0, C)) == [6 * C]
    assert list(table) == [8 * C | q.COPIED, q.ALL_SUBCLUSTERS]
