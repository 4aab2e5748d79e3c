"""Amending changes what an image is, never what it holds."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.qcow2_images import check_bytes, image_bytes, open_image
from tests.support.recording_file import RecordingFile, prefix

from varan.block import request
from varan.block.base import BlockError, Write
from varan.block.formats.qcow2 import snapshots
from varan.block.formats.qcow2.amend import amend
from varan.block.formats.qcow2.bitmaps import bitmaps_of

SIZE = 1 << 20


async def an_image(tmp_path: Path, **options: str) -> RecordingFile:
    file = RecordingFile(await image_bytes(tmp_path, SIZE, **({"cluster_size": "4096"} | options)))
    node = await open_image(file)
    await request.write_bytes(node, 0, bytes(range(256)) * 400)
    await request.zero(node, 8192, 16384)
    await request.write(node, 524288, [memoryview(b"q" * 4096)], Write.COMPRESSED)
    await node.close()
    return file


async def guest(file: RecordingFile) -> bytes:
    node = await open_image(file, read_only=True)
    return await request.read_bytes(node, 0, node.length)


async def amended(file: RecordingFile, **options: str) -> None:
    node = await open_image(file)
    try:
        await amend(node, options)
        await request.write_bytes(node, 900_000, b"written afterwards")
        await request.write_bytes(node, 900_000, bytes(18))
    finally:
        await node.close()


async def assert_clean(file: RecordingFile) -> None:
    report = await check_bytes(file.disk.content)
    assert (report.corruptions, report.leaks, report.check_errors) == (0, 0, 0), report.messages


async def test_version_down_and_up(tmp_path: Path) -> None:
    file = await an_image(tmp_path)
    before = await guest(file)
    for level, version in (("0.10", 2), ("1.1", 3), ("v2", 2), ("v3", 3)):
        await amended(file, compat=level)
        node = await open_image(file, read_only=True)
        assert node.metadata.header.version == version
        assert await guest(file) == before
        await assert_clean(file)


async def test_downgrade_over_a_backing_file_writes_zeros(tmp_path: Path) -> None:
    backing = RecordingFile(b"b" * SIZE)
    file = RecordingFile(await image_bytes(tmp_path, SIZE, cluster_size="4096", backing_file="base", backing_fmt="raw"))
    node = await open_image(file, backing=backing)
    await request.zero(node, 0, 65536)
    await amend(node, {"compat": "0.10"})
    await node.close()
    node = await open_image(file, backing=backing, read_only=True)
    assert await request.read_bytes(node, 0, SIZE) == bytes(65536) + b"b" * (SIZE - 65536)
    await assert_clean(file)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 32, 64])
async def test_refcount_width(tmp_path: Path, bits: int) -> None:
    file = await an_image(tmp_path)
    before = await guest(file)
    await amended(file, refcount_bits=str(bits))
    assert (await open_image(file, read_only=True)).metadata.geometry.refcount_bits == bits
    assert await guest(file) == before
    await assert_clean(file)


async def test_crash_while_the_refcount_width_changes(tmp_path: Path) -> None:
    file = await an_image(tmp_path)
    start, before = bytes(file.disk.content), await guest(file)
    file.log.clear()
    await amended(file, refcount_bits="64")
    for count in range(len(file.log) + 1):
        state = RecordingFile(bytes(prefix(start, file.log, count)))
        assert (await guest(state))[:900_000] == before[:900_000]
        report = await check_bytes(state.disk.content)
        assert (report.corruptions, report.check_errors) == (0, 0), report.messages


async def test_width_too_narrow_for_snapshots_changes_nothing(tmp_path: Path) -> None:
    file = await an_image(tmp_path)
    node = await open_image(file)
    await snapshots.create(node, "one", date=0)
    await node.close()
    before = await guest(file)
    with pytest.raises(BlockError, match="too narrow"):
        await amended(file, refcount_bits="1")
    assert await guest(file) == before
    await assert_clean(file)


async def test_lazy_refcounts_on_and_off(tmp_path: Path) -> None:
    file = await an_image(tmp_path)
    for text, lazy in (("on", True), ("off", False)):
        await amended(file, lazy_refcounts=text)
        assert (await open_image(file, read_only=True)).metadata.header.lazy_refcounts is lazy
        await assert_clean(file)


async def test_size(tmp_path: Path) -> None:
    file = await an_image(tmp_path)
    await amended(file, size="2M", backing_file="")
    node = await open_image(file, read_only=True)
    assert (node.length, node.metadata.header.backing_file) == (2 << 20, None)
    await assert_clean(file)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cluster_size": "65536"}, "cluster_size"),
        ({"compat": "3"}, "compatibility"),
        ({"refcount_bits": "3"}, "power of two"),
        ({"size": "large"}, "not a size"),
        ({"lazy_refcounts": "perhaps"}, "'on' or 'off'"),
        ({"compat": "0.10", "refcount_bits": "64"}, "16 bits"),
        ({"compat": "0.10", "lazy_refcounts": "on"}, "lazy"),
        ({"backing_file": "base.raw"}, "rebase"),
        ({"backing_fmt": "raw"}, "rebase"),
        ({"data_file": "x"}, "external data file"),
        ({"data_file_raw": "on"}, "existing images"),
        ({"encrypt.state": "active"}, "LUKS"),
    ],
)
async def test_refused_options_change_nothing(tmp_path: Path, options: dict[str, str], words: str) -> None:
    file = await an_image(tmp_path)
    before = bytes(file.disk.content)
    node = await open_image(file)
    with pytest.raises(BlockError, match=words):
        await amend(node, options)
    await node.close()
    assert bytes(file.disk.content) == before


async def test_bitmaps_and_zero_clusters_in_snapshots_forbid_version_2(tmp_path: Path) -> None:
    file = await an_image(tmp_path)
    node = await open_image(file)
    bitmaps_of(node).add("b")
    await node.close()
    with pytest.raises(BlockError, match="bitmaps"):
        await amended(file, compat="0.10")
    file = await an_image(tmp_path)
    node = await open_image(file)
    await snapshots.create(node, "one", date=0)
    with pytest.raises(BlockError, match="zero clusters"):
        await amend(node, {"compat": "0.10"})
    await node.close()
    await assert_clean(file)
