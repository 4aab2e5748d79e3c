"""Snapshot tables and bitmap directories: what is written is read; what is damaged is refused, quickly."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from varan.block.base import BlockError, ErrorKind
from varan.block.formats.qcow2 import bitmap_directory as bitmaps
from varan.block.formats.qcow2 import snapshot_table
from varan.block.formats.qcow2.bitmap_directory import Entry, Extension
from varan.block.formats.qcow2.snapshot_table import NO_ICOUNT, Snapshot

CLUSTER = 65536
NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
U64 = st.integers(0, (1 << 64) - 1)

SNAPSHOTS = st.builds(
    Snapshot,
    id=NAMES,
    name=NAMES,
    l1_offset=st.integers(0, 1 << 40).map(lambda n: n * CLUSTER),
    l1_size=st.integers(0, 1 << 22),
    date=st.integers(0, (1 << 32) - 1),
    date_nanoseconds=st.integers(0, 999_999_999),
    vm_clock=U64,
    vm_state_size=U64,
    disk_size=U64,
    icount=U64,
    extra=st.binary(max_size=40),
)
ENTRIES = st.lists(
    st.builds(
        Entry,
        name=NAMES,
        table_offset=st.integers(1, 1 << 39).map(lambda n: n * CLUSTER),
        table_size=st.integers(0, 8192),
        flags=st.integers(0, 7),
        granularity_bits=st.integers(9, 31),
        extra=st.binary(max_size=20),
    ),
    min_size=1,
    max_size=6,
    unique_by=lambda entry: entry.name,
)


@settings(max_examples=150, deadline=None)
@given(st.lists(SNAPSHOTS, max_size=5))
def test_snapshot_table_round_trip(snapshots: list[Snapshot]) -> None:
    data = snapshot_table.serialize(snapshots, 0)
    found = snapshot_table.parse(data, len(snapshots), CLUSTER)
    for one, other in zip(snapshots, found, strict=True):
        other.extra_size = one.extra_size
    assert found == snapshots
    assert snapshot_table.table_bytes(data, len(snapshots)) == len(data)


def test_old_entries_without_extra_data() -> None:
    entry = struct.pack(">QIHHIIQII", CLUSTER, 1, 1, 1, 5, 6, 7, 8, 0) + b"1a" + bytes(6)
    (found,) = snapshot_table.parse(entry, 1, CLUSTER)
    assert (found.vm_state_size, found.disk_size, found.icount) == (8, None, NO_ICOUNT)
    assert found.disk_bytes(123) == 123


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ((CLUSTER + 512, 1, 1, 1, 0, 0, 0, 0, 0), "no cluster"),
        ((CLUSTER, 1 << 30, 1, 1, 0, 0, 0, 0, 0), "too many entries"),
        ((CLUSTER, 1, 1, 1, 0, 0, 0, 0, 1 << 30), "extra data"),
        ((CLUSTER, 1, 900, 1, 0, 0, 0, 0, 0), "ends inside"),
    ],
)
def test_broken_snapshots_are_named(fields: tuple[int, ...], words: str) -> None:
    with pytest.raises(BlockError, match=words) as caught:
        snapshot_table.parse(struct.pack(">QIHHIIQII", *fields) + b"1a" + bytes(6), 1, CLUSTER)
    assert caught.value.kind is ErrorKind.CORRUPT


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 1 << 32))
def test_any_bytes_as_a_snapshot_table(data: bytes, count: int) -> None:
    try:
        found = snapshot_table.parse(data, count, CLUSTER)
    except BlockError as error:
        assert error.kind is ErrorKind.CORRUPT
        return
    assert len(found) == count


@settings(max_examples=150, deadline=None)
@given(ENTRIES)
def test_bitmap_directory_round_trip(entries: list[Entry]) -> None:
    assert bitmaps.parse(bitmaps.serialize(entries), len(entries), CLUSTER) == entries


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=200), st.integers(0, 100))
def test_any_bytes_as_a_bitmap_directory(data: bytes, count: int) -> None:
    try:
        found = bitmaps.parse(data, count, CLUSTER)
    except BlockError as error:
        assert error.kind is ErrorKind.CORRUPT
        return
    assert len(found) == count


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"table_offset": CLUSTER + 1}, "offset"),
        ({"table_size": 1 << 31}, "too large"),
        ({"table_offset": 0}, "no table"),
        ({"granularity_bits": 8}, "granularity"),
        ({"granularity_bits": 60}, "granularity"),
        ({"flags": 8}, "flags"),
        ({"name": ""}, "name of 0"),
    ],
)
def test_broken_bitmaps_are_named(fields: dict[str, object], words: str) -> None:
    entry = Entry("b", CLUSTER, 1, 0, 16)
    for name, value in fields.items():
        setattr(entry, name, value)
    with pytest.raises(BlockError, match=words):
        bitmaps.parse(entry.encode(), 1, CLUSTER)


def test_two_bitmaps_of_one_name_are_refused() -> None:
    entry = Entry("b", CLUSTER, 1, 0, 16)
    with pytest.raises(BlockError, match="two bitmaps"):
        bitmaps.parse(entry.encode() * 2, 2, CLUSTER)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        Extension(0, 24, CLUSTER).encode(),
        Extension(70000, 1 << 22, CLUSTER).encode(),
        Extension(1, 8, CLUSTER).encode(),
        Extension(1, 1 << 40, CLUSTER).encode(),
        Extension(1, 32, 0).encode(),
        Extension(1, 32, 512).encode(),
        struct.pack(">IIQQ", 1, 1, 32, CLUSTER),
    ],
)
def test_broken_extension_is_corrupt(data: bytes) -> None:
    with pytest.raises(BlockError) as caught:
        bitmaps.parse_extension(data, CLUSTER)
    assert caught.value.kind is ErrorKind.CORRUPT


@pytest.mark.parametrize(("size", "entries"), [(0, 0), (1, 1), (8 * CLUSTER * 512, 1), (8 * CLUSTER * 512 + 1, 2)])
def test_table_length_follows_from_the_disk(size: int, entries: int) -> None:
    assert bitmaps.table_entries(size, 9, CLUSTER) == entries
