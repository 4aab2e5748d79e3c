"""Persistent bitmaps: kept over closing, not trusted after a crash, changed by name."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.qcow2_images import check_bytes, image_bytes, open_image
from tests.support.recording_file import RecordingFile, prefix

from varan.block import request
from varan.block.base import BlockError, ErrorKind
from varan.block.dirty import DirtyBitmap
from varan.block.formats.qcow2.bitmaps import bitmaps_of

SIZE = 1 << 20
CLUSTER = 512
"""Small, so that bitmaps take several clusters."""


async def assert_clean(file: RecordingFile) -> None:
    report = await check_bytes(file.disk.content)
    assert (report.corruptions, report.leaks, report.check_errors) == (0, 0, 0), report.messages


async def with_bitmap(tmp_path: Path, **options: str) -> RecordingFile:
    """An image with a bitmap "b" of 512 bytes, dirty from 4096 to 8192."""
    file = RecordingFile(await image_bytes(tmp_path, SIZE, cluster_size=str(CLUSTER), **options))
    node = await open_image(file)
    bitmaps_of(node).add("b", 512)
    await request.write_bytes(node, 4096, b"x" * 4096)
    await node.close()
    return file


async def areas(file: RecordingFile, name: str = "b") -> list[tuple[int, int]]:
    node = await open_image(file, read_only=True)
    return list((await bitmaps_of(node).get(name)).areas())


async def test_writes_zeroes_and_discards_are_recorded_over_closing(tmp_path: Path) -> None:
    file = await with_bitmap(tmp_path)
    assert await areas(file) == [(4096, 4096)]
    node = await open_image(file)
    await request.zero(node, 65536, 512)
    await node.discard(131072, 1024)
    await node.close()
    assert await areas(file) == [(4096, 4096), (65536, 512), (131072, 1024)]
    await assert_clean(file)


async def test_nothing_changed_rewrites_only_flags(tmp_path: Path) -> None:
    file = await with_bitmap(tmp_path)
    before = bytes(file.disk.content)
    node = await open_image(file)
    assert bytes(file.disk.content) != before
    await request.read_bytes(node, 0, SIZE)
    await node.close()
    assert bytes(file.disk.content) == before


async def test_unclosed_image_has_an_inconsistent_bitmap_that_can_only_be_removed(tmp_path: Path) -> None:
    file = await with_bitmap(tmp_path)
    await open_image(file)
    file = RecordingFile(bytes(file.disk.content))
    node = await open_image(file)
    bitmaps = bitmaps_of(node)
    assert bitmaps.is_inconsistent("b")
    assert bitmaps.describe() == [{"flags": ["in-use", "auto"], "name": "b", "granularity": 512}]
    for call in (bitmaps.clear, lambda name: bitmaps.set_enabled(name, True)):
        with pytest.raises(BlockError, match="inconsistent"):
            call("b")
    with pytest.raises(BlockError, match="inconsistent"):
        await bitmaps.get("b")
    with pytest.raises(BlockError, match="remove it first"):
        await node.truncate(2 * SIZE)
    await bitmaps.remove("b")
    await node.close()
    assert bitmaps_of(await open_image(file, read_only=True)).names == []
    await assert_clean(file)


async def test_crash_at_any_request_never_shows_a_stale_bitmap(tmp_path: Path) -> None:
    start = bytes((await with_bitmap(tmp_path)).disk.content)
    file = RecordingFile(start)
    node = await open_image(file)
    await request.write_bytes(node, 300_000, b"y" * 100_000)
    await node.close()
    for count in range(len(file.log) + 1):
        content = bytes(prefix(start, file.log, count))
        after = await open_image(RecordingFile(content), read_only=True)
        wrote = await request.read_bytes(after, 300_000, 100_000) != bytes(100_000)
        bitmaps = bitmaps_of(after)
        if not bitmaps.is_inconsistent("b"):
            found = list((await bitmaps.get("b")).areas())
            assert found[0] == (4096, 4096)
            assert not wrote or len(found) == 2
        report = await check_bytes(content)
        assert (report.corruptions, report.check_errors) == (0, 0), report.messages


async def test_disabled_bitmap_records_nothing(tmp_path: Path) -> None:
    file = await with_bitmap(tmp_path)
    node = await open_image(file)
    bitmaps_of(node).set_enabled("b", False)
    await request.write_bytes(node, 0, b"z" * SIZE)
    await node.close()
    node = await open_image(file)
    assert bitmaps_of(node).describe() == [{"flags": ["in-use"], "name": "b", "granularity": 512}]
    assert list((await bitmaps_of(node).get("b")).areas()) == [(4096, 4096)]
    bitmaps_of(node).set_enabled("b", True)
    await request.write_bytes(node, 0, b"z")
    await node.close()
    assert await areas(file) == [(0, 512), (4096, 4096)]


async def test_merge_and_clear(tmp_path: Path) -> None:
    file = await with_bitmap(tmp_path)
    node = await open_image(file)
    bitmaps = bitmaps_of(node)
    bitmaps.add("coarse", 65536, enabled=False)
    bitmaps.merge("coarse", await bitmaps.get("b"))
    bitmaps.clear("b")
    with pytest.raises(BlockError, match="different sizes"):
        bitmaps.merge("b", DirtyBitmap("x", SIZE // 2, 512))
    await node.close()
    assert await areas(file) == []
    assert await areas(file, "coarse") == [(0, 65536)]
    await assert_clean(file)


async def test_bitmap_follows_the_disks_size(tmp_path: Path) -> None:
    file = await with_bitmap(tmp_path)
    node = await open_image(file)
    await node.truncate(2 * SIZE)
    await request.write_bytes(node, 2 * SIZE - 10, b"0123456789")
    await node.close()
    assert await areas(file) == [(4096, 4096), (2 * SIZE - 512, 512)]
    node = await open_image(file)
    await node.truncate(6144)
    await node.close()
    assert await areas(file) == [(4096, 2048)]
    await assert_clean(file)


async def test_all_dirty_takes_no_clusters(tmp_path: Path) -> None:
    file = await with_bitmap(tmp_path)
    node = await open_image(file)
    (await bitmaps_of(node).get("b")).set_all()
    before = (await check_bytes(file.disk.content)).image_end_offset
    await node.close()
    assert await areas(file) == [(0, SIZE)]
    assert (await check_bytes(file.disk.content)).image_end_offset <= before + 4 * CLUSTER
    await assert_clean(file)


async def test_program_without_bitmaps_invalidates_them(tmp_path: Path) -> None:
    file = await with_bitmap(tmp_path)
    file.disk.content[88:96] = bytes(8)  # the autoclear bits
    assert bitmaps_of(await open_image(file, read_only=True)).names == []


@pytest.mark.parametrize(
    ("name", "granularity", "words"),
    [("b", None, "already"), ("", None, "name"), ("n" * 1024, None, "name"), ("new", 1000, "power of two")],
)
async def test_bad_bitmaps_are_refused(tmp_path: Path, name: str, granularity: int | None, words: str) -> None:
    node = await open_image(await with_bitmap(tmp_path))
    with pytest.raises(BlockError, match=words):
        bitmaps_of(node).add(name, granularity)


async def test_what_cannot_have_or_change_bitmaps_says_so(tmp_path: Path) -> None:
    node = await open_image(RecordingFile(await image_bytes(tmp_path, SIZE, compat="0.10")))
    with pytest.raises(BlockError, match="version 2"):
        bitmaps_of(node).add("b")
    with pytest.raises(BlockError) as caught:
        await bitmaps_of(node).get("b")
    assert caught.value.kind is ErrorKind.NOT_FOUND
    reader = await open_image(await with_bitmap(tmp_path), read_only=True)
    with pytest.raises(BlockError) as caught:
        bitmaps_of(reader).clear("b")
    assert caught.value.kind is ErrorKind.READ_ONLY
