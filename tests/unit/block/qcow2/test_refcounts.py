"""Counting and allocating clusters."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.qcow2_images import check_bytes, image_bytes, open_image
from tests.support.recording_file import RecordingFile

from varan.block.base import BlockError, ErrorKind
from varan.block.formats.qcow2.refcounts import RefcountCodec, zeros_from


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16, 32, 64])
@settings(max_examples=40, derandomize=True)
@given(data=st.binary(min_size=64, max_size=64), span=st.tuples(st.integers(0, 7), st.integers(1, 8)))
def test_blocks_survive_the_round_trip_in_whole_and_in_part(bits: int, data: bytes, span: tuple[int, int]) -> None:
    codec = RefcountCodec(bits)
    entries = codec.decode(bytearray(data))
    assert len(entries) == 512 // bits
    assert codec.encode(entries, 0, len(entries)) == (0, data)
    low, high = span[0], min(len(entries), span[0] + span[1])
    at, piece = codec.encode(entries, low, max(low + 1, high))
    assert data[at : at + len(piece)] == piece
    assert at * 8 <= low * bits and (at + len(piece)) * 8 >= high * bits


def test_narrow_counts_begin_in_the_lowest_bits() -> None:
    assert list(RefcountCodec(2).decode(bytearray([0b11_10_01_00]))) == [0, 1, 2, 3]
    assert list(RefcountCodec(16).decode(bytearray([1, 2]))) == [0x102]


def test_free_runs_end_at_what_is_used() -> None:
    assert zeros_from(bytearray([1, 0, 0, 3, 0]), 1, 10) == 2
    assert zeros_from(bytearray([1, 0, 0, 3, 0]), 4, 10) == 1


async def test_a_count_that_does_not_fit_is_refused_and_nothing_changes(tmp_path: Path) -> None:
    node = await open_image(RecordingFile(await image_bytes(tmp_path, 1 << 20, refcount_bits="2")))
    counts = node.metadata.refcounts
    async with node.metadata.lock:
        first = await counts.allocate(2)
        await counts.add(first, 1, 2)
        with pytest.raises(BlockError) as caught:
            await counts.add(first, 2, 1)
        assert caught.value.kind is ErrorKind.UNSUPPORTED
        assert [await counts.get(first), await counts.get(first + 1)] == [3, 1]
        with pytest.raises(BlockError):
            await counts.add(first, 2, -2)


@pytest.mark.parametrize("count", [1, 7, 30, 63, 64, 65, 200, 1000])
async def test_long_runs_are_contiguous_and_counted(tmp_path: Path, count: int) -> None:
    file = RecordingFile(await image_bytes(tmp_path, 1 << 20, cluster_size="512", refcount_bits="64"))
    node = await open_image(file)
    counts = node.metadata.refcounts
    chance = random.Random(count)
    taken: set[int] = set()
    async with node.metadata.lock:
        for _ in range(12):
            run = await counts.allocate(chance.choice([1, count]))
            assert run not in taken
            taken.add(run)
        first = await counts.allocate(count)
        assert [await counts.get(first + at) for at in range(count)] == [1] * count
    await node.close()
    report = await check_bytes(file.disk.content)
    assert report.corruptions == 0, report.messages
    again = (await open_image(RecordingFile(bytes(file.disk.content)))).metadata.refcounts
    assert [await again.get(first + at) for at in range(count)] == [1] * count


async def test_released_clusters_are_free_only_after_the_commit(tmp_path: Path) -> None:
    node = await open_image(RecordingFile(await image_bytes(tmp_path, 1 << 20)))
    metadata = node.metadata
    async with metadata.lock:
        first = await metadata.refcounts.allocate(3)
        metadata.refcounts.release(first, 3)
        assert await metadata.refcounts.get(first) == 1
        with node.holding(first + 1, first + 2):
            await metadata.commit_locked()
            assert await metadata.refcounts.get(first) == 1
        await metadata.commit_locked()
        assert await metadata.refcounts.get(first) == 0
        assert await metadata.refcounts.allocate(3) == first


async def test_compressed_data_share_clusters_as_long_as_counts_allow(tmp_path: Path) -> None:
    node = await open_image(RecordingFile(await image_bytes(tmp_path, 1 << 20, refcount_bits="2")))
    counts = node.metadata.refcounts
    async with node.metadata.lock:
        places = [await counts.allocate_bytes(1000) for _ in range(4)]
        assert [place - places[0] for place in places[:3]] == [0, 1000, 2000]
        assert places[3] >> 16 != places[0] >> 16
        assert await counts.get(places[0] >> 16) == 3
