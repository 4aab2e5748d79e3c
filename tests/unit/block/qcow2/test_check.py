"""The check finds what is wrong, says where, and repairs what can be repaired."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.qcow2_images import check_bytes, image_bytes, open_image
from tests.support.recording_file import RecordingFile, prefix

from varan.block import request
from varan.block.base import BlockError, Write
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2 import snapshots
from varan.block.formats.qcow2.bitmaps import bitmaps_of
from varan.block.formats.qcow2.check import CheckReport, Fix, check_image
from varan.block.formats.qcow2.check_counts import ReferenceCounts
from varan.block.formats.qcow2.check_refcounts import decode, encode
from varan.block.formats.qcow2.header import Header
from varan.block.formats.qcow2.opening import read_header

SIZE = 1 << 20
CLUSTER = 4096

SHAPES = {
    "plain": {"cluster_size": "4096"},
    "narrow": {"cluster_size": "4096", "refcount_bits": "4"},
    "wide": {"cluster_size": "4096", "refcount_bits": "64"},
    "version 2": {"cluster_size": "4096", "compat": "0.10"},
    "subclusters": {"cluster_size": "16384", "extended_l2": "on"},
}


async def an_image(tmp_path: Path, **options: str) -> bytes:
    """An image with data, zeros, compressed clusters and a snapshot."""
    file = RecordingFile(await image_bytes(tmp_path, SIZE, **({"cluster_size": str(CLUSTER)} | options)))
    node = await open_image(file)
    await request.write_bytes(node, 0, bytes(range(256)) * 256)
    await request.write(node, 131072, [memoryview(b"abcd" * 4096)], Write.COMPRESSED)
    await request.zero(node, 262144, 32768)
    await snapshots.create(node, "first", date=0)
    await request.write_bytes(node, 0, b"z" * 20000)
    if node.metadata.header.version >= 3:
        bitmaps_of(node).add("map")
        await request.write_bytes(node, 300_000, b"y" * 20000)
    await node.close()
    return bytes(file.disk.content)


async def guest(content: bytes) -> bytes:
    node = await open_image(RecordingFile(content), read_only=True)
    return await request.read_bytes(node, 0, node.length)


async def header_of(content: bytes) -> Header:
    return await read_header(RecordingFile(content))


async def repaired(content: bytes | bytearray, fix: Fix) -> tuple[CheckReport, bytes]:
    file = RecordingFile(bytes(content))
    report = await check_image(file, await read_header(file), fix)
    return report, bytes(file.disk.content)


async def first_l2(content: bytes | bytearray) -> tuple[int, int]:
    """(place of the first L1 entry, offset of its L2 table)."""
    header = await header_of(bytes(content))
    (entry,) = struct.unpack_from(">Q", content, header.l1_table_offset)
    return header.l1_table_offset, entry & q.OFFSET_MASK


async def refcount_at(content: bytes | bytearray, cluster: int) -> int:
    """Place of a 16-bit refcount in the file."""
    header = await header_of(bytes(content))
    (block,) = struct.unpack_from(">Q", content, header.refcount_table_offset)
    return int(block) + cluster * 2


@pytest.mark.parametrize("shape", SHAPES)
async def test_sound_image_has_no_findings(tmp_path: Path, shape: str) -> None:
    content = await an_image(tmp_path, **SHAPES[shape])
    report = await check_bytes(content)
    assert (report.corruptions, report.leaks, report.check_errors, report.messages) == (0, 0, 0, [])
    assert report.image_end_offset <= len(content)
    assert report.compressed_clusters
    assert report.total_clusters == SIZE // (await header_of(content)).cluster_size


@pytest.mark.parametrize("shape", SHAPES)
async def test_lost_refcount_table_is_built_anew(tmp_path: Path, shape: str) -> None:
    content = bytearray(await an_image(tmp_path, **SHAPES[shape]))
    before = await guest(bytes(content))
    header = await header_of(bytes(content))
    start, size = header.refcount_table_offset, header.cluster_size
    content[start : start + size] = bytes(size)
    found = await check_bytes(content)
    assert found.corruptions
    report, mended = await repaired(content, Fix.ALL)
    assert (report.corruptions, report.leaks, report.check_errors) == (0, 0, 0)
    assert 0 < report.corruptions_fixed <= found.corruptions
    again = await check_bytes(mended)
    assert (again.corruptions, again.leaks, again.check_errors) == (0, 0, 0), again.messages
    assert await guest(mended) == before


@pytest.mark.parametrize("entry", [5, CLUSTER + 512, 1 << 50, (1 << 64) - 512])
async def test_wild_refcount_table_entries_are_mended(tmp_path: Path, entry: int) -> None:
    content = bytearray(await an_image(tmp_path))
    before = await guest(bytes(content))
    struct.pack_into(">Q", content, (await header_of(bytes(content))).refcount_table_offset, entry)
    assert (await check_bytes(content)).corruptions
    _, mended = await repaired(content, Fix.ALL)
    again = await check_bytes(mended)
    assert (again.corruptions, again.leaks) == (0, 0), again.messages
    assert await guest(mended) == before


async def test_leak_is_counted_and_freed(tmp_path: Path) -> None:
    content = bytearray(await an_image(tmp_path)) + bytes(CLUSTER)
    cluster = len(content) // CLUSTER - 1
    struct.pack_into(">H", content, await refcount_at(content, cluster), 3)
    report = await check_bytes(content)
    assert (report.leaks, report.corruptions) == (1, 0)
    assert report.messages == [f"Leaked cluster {cluster} refcount=3 reference=0"]
    report, mended = await repaired(content, Fix.LEAKS)
    assert (report.leaks, report.leaks_fixed) == (0, 1)
    assert (await check_bytes(mended)).leaks == 0


async def test_leak_repair_leaves_corruptions_alone(tmp_path: Path) -> None:
    content = bytearray(await an_image(tmp_path))
    struct.pack_into(">H", content, await refcount_at(content, 0), 0)
    report, mended = await repaired(content, Fix.LEAKS)
    assert report.corruptions == 1 and not report.corruptions_fixed
    assert mended == content


async def test_refcounts_too_low_are_raised_in_place(tmp_path: Path) -> None:
    content = bytearray(await an_image(tmp_path))
    _, table = await first_l2(content)
    struct.pack_into(">H", content, await refcount_at(content, table // CLUSTER), 7)
    (shared,) = struct.unpack_from(">Q", content, table + 8 * 10)
    struct.pack_into(">H", content, await refcount_at(content, (shared & q.OFFSET_MASK) // CLUSTER), 1)
    report = await check_bytes(content)
    assert report.leaks == 1 and report.corruptions >= 1
    report, mended = await repaired(content, Fix.ALL)
    assert (report.corruptions, report.leaks) == (0, 0)
    assert (await header_of(mended)).refcount_table_offset == (await header_of(bytes(content))).refcount_table_offset
    assert (await check_bytes(mended)).as_dict() == (await check_bytes(await an_image(tmp_path))).as_dict()


async def test_copied_flags_are_set_right(tmp_path: Path) -> None:
    content = bytearray(await an_image(tmp_path))
    root, table = await first_l2(content)
    for place in (root, table, table + 8 * 10):
        (entry,) = struct.unpack_from(">Q", content, place)
        struct.pack_into(">Q", content, place, entry ^ q.COPIED)
    report = await check_bytes(content)
    assert (report.corruptions, report.leaks) == (3, 0)
    report, mended = await repaired(content, Fix.ALL)
    assert (report.corruptions, report.corruptions_fixed) == (0, 3)
    assert mended == await an_image(tmp_path)


@pytest.mark.parametrize("offset", [1 << 40, CLUSTER * 100000])
async def test_entries_past_the_end_of_the_file_become_zeros(tmp_path: Path, offset: int) -> None:
    content = bytearray(await an_image(tmp_path))
    _, table = await first_l2(content)
    struct.pack_into(">Q", content, table, offset | q.COPIED)
    expected = bytes(CLUSTER) + (await guest(bytes(content)))[CLUSTER:]
    assert (await check_bytes(content)).corruptions == 1
    _, mended = await repaired(content, Fix.ALL)
    again = await check_bytes(mended)
    assert (again.corruptions, again.leaks) == (0, 0), again.messages
    assert await guest(mended) == expected


async def test_unaligned_data_cluster_cannot_be_mended(tmp_path: Path) -> None:
    content = bytearray(await an_image(tmp_path))
    _, table = await first_l2(content)
    (entry,) = struct.unpack_from(">Q", content, table)
    struct.pack_into(">Q", content, table, entry + 512)
    report, _ = await repaired(content, Fix.ALL)
    assert report.corruptions >= 1
    assert any("not aligned" in message for message in report.messages)


async def test_repair_clears_dirty_and_corrupt_bits_of_a_sound_image(tmp_path: Path) -> None:
    content = bytearray(await an_image(tmp_path))
    struct.pack_into(">Q", content, q.AT_FEATURES, q.INCOMPATIBLE_DIRTY | q.INCOMPATIBLE_CORRUPT)
    _, mended = await repaired(content, Fix.ALL)
    assert (await header_of(mended)).incompatible == 0


async def test_crash_while_refcounts_are_rebuilt_leaves_the_data(tmp_path: Path) -> None:
    content = bytearray(await an_image(tmp_path))
    before = await guest(bytes(content))
    start = (await header_of(bytes(content))).refcount_table_offset
    content[start : start + CLUSTER] = bytes(CLUSTER)
    file = RecordingFile(bytes(content))
    await check_image(file, await read_header(file), Fix.ALL)
    for count in range(len(file.log) + 1):
        state = bytes(prefix(bytes(content), file.log, count))
        assert await guest(state) == before
        _, mended = await repaired(state, Fix.ALL)
        again = await check_bytes(mended)
        assert (again.corruptions, again.leaks) == (0, 0), again.messages


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16, 32, 64])
def test_refcount_blocks_of_every_width(bits: int) -> None:
    data = bytes(range(256)) * 2
    counts = decode(data, bits)
    assert len(counts) == len(data) * 8 // bits
    assert encode(counts, bits) == data


def test_narrow_counts_begin_in_the_lowest_bits() -> None:
    assert decode(b"\x01\x80", 1).tolist() == [1, 0, 0, 0, 0, 0, 0, 0] + [0] * 7 + [1]
    assert decode(b"\xe4", 2).tolist() == [0, 1, 2, 3]


def test_reference_counts_over_pages() -> None:
    import numpy as np

    counts = ReferenceCounts()
    counts.add_range(65530, 12)
    counts.add(np.array([65535, 65536, 65536, 1 << 40]), 2)
    assert counts.window(65534, 4).tolist() == [1, 3, 5, 1]
    assert counts.of(np.array([5, 1 << 40, 65530])).tolist() == [0, 2, 1]
    assert counts.end == (1 << 40) + 1
    counts.drop(65530, 7)
    assert counts.window(65529, 3).tolist() == [0, 0, 0]


@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.data())
async def test_damaged_metadata_is_checked_and_repaired_in_bounded_time(tmp_path: Path, data: st.DataObject) -> None:
    shape = data.draw(st.sampled_from(["plain", "subclusters", "narrow"]))
    cached = tmp_path / f"{shape}.cache"
    if not cached.exists():
        cached.write_bytes(await an_image(tmp_path, **SHAPES[shape]))
    content = bytearray(cached.read_bytes())
    header = await header_of(bytes(content))
    root, table = await first_l2(content)
    places = [0, root, table, header.refcount_table_offset, header.snapshots_offset]
    (block,) = struct.unpack_from(">Q", content, header.refcount_table_offset)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.sampled_from([*places[1:], block])) + 8 * data.draw(st.integers(0, 20))
        value = data.draw(st.one_of(st.integers(0, (1 << 64) - 1), st.sampled_from([0, 1, CLUSTER, 1 << 40, 1 << 62])))
        struct.pack_into(">Q", content, place, value)
    try:
        before = await guest(bytes(content))
    except BlockError:
        before = None
    try:
        await check_bytes(content)
        length = len(content)
        _, mended = await repaired(content, Fix.ALL)
    except BlockError:
        return
    assert len(mended) < length + 64 * header.cluster_size
    await check_bytes(mended)
    if before is not None:
        assert await guest(mended) == before
