"""What images can have: external data files, machine state, lazy refcounts, preallocation, compressed clusters."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.qcow2_images import check_bytes, image_bytes, open_image
from tests.support.recording_file import RecordingFile

from varan.block import request
from varan.block.base import BlockError, Data, ErrorKind, OpenOptions, Write
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.driver import Qcow2Driver
from varan.block.formats.qcow2.header import parse_header
from varan.block.graph import Graph

MIB = 1 << 20
CLUSTER = 65536


async def statuses(node: object, length: int) -> list[tuple[int, Data]]:
    """(length, flags) of the extents of the image alone, RAW_OFFSET left out."""
    found, at = [], 0
    while at < length:
        extent = await node.block_status(at, length - at)  # type: ignore[attr-defined]
        found.append((extent.length, extent.flags & ~Data.RAW_OFFSET))
        at += extent.length
    return found


async def test_status_tells_kinds_apart(tmp_path: Path) -> None:
    file = RecordingFile(await image_bytes(tmp_path, 8 * CLUSTER))
    backing = RecordingFile(b"b" * (7 * CLUSTER + 512))
    node = await open_image(file, backing=backing)
    await request.write_bytes(node, CLUSTER, b"x" * 2 * CLUSTER)
    await request.zero(node, 3 * CLUSTER, CLUSTER, Write.MAY_UNMAP)
    await request.write(node, 4 * CLUSTER, [memoryview(b"c" * CLUSTER)], Write.COMPRESSED)
    assert await statuses(node, node.length) == [
        (CLUSTER, Data.NONE),
        (2 * CLUSTER, Data.DATA | Data.ALLOCATED),
        (CLUSTER, Data.ZERO | Data.ALLOCATED),
        (CLUSTER, Data.DATA | Data.ALLOCATED | Data.COMPRESSED),
        (2 * CLUSTER + 512, Data.NONE),
        (CLUSTER - 512, Data.ZERO),
    ]
    extent = await node.block_status(CLUSTER, CLUSTER)
    assert extent.file is file
    assert bytes(file.disk.content[extent.offset : extent.offset + CLUSTER]) == b"x" * CLUSTER


@pytest.mark.parametrize("raw", ["off", "on"])
async def test_an_external_data_file_has_the_guests_bytes_where_the_guest_has_them(tmp_path: Path, raw: str) -> None:
    image = str(tmp_path / "disk.qcow2")
    await Qcow2Driver.create(image, 4 * MIB, {"data_file": "disk.data", "data_file_raw": raw})
    graph = Graph()
    node = await graph.open(image, options=OpenOptions(discard=True))
    await request.write_bytes(node, 100_000, b"D" * 200_000)
    await request.write_bytes(node, 0, b"first")
    if raw == "on":
        await request.zero(node, 150_000, 100_000)
    await graph.close(node)
    data = (tmp_path / "disk.data").read_bytes()
    assert data[:5] == b"first" and data[100_000:150_000] == b"D" * 50_000
    assert data[150_000:250_000] == (bytes(100_000) if raw == "on" else b"D" * 100_000)
    assert data[250_000:300_000] == b"D" * 50_000
    assert len(data) == 4 * MIB if raw == "on" else True


async def test_machine_state_lies_behind_the_disk_and_disturbs_nothing(tmp_path: Path) -> None:
    file = RecordingFile(await image_bytes(tmp_path, MIB, cluster_size="4096"))
    node = await open_image(file)
    await request.write_bytes(node, 0, b"guest" * 1000)
    state = bytes(range(256)) * 20_000
    await node.write_vmstate(1000, [memoryview(state)])
    got = bytearray(len(state) + 1000)
    await node.read_vmstate(0, [memoryview(got)])
    assert got == bytes(1000) + state
    await node.close()
    assert node.length == MIB
    report = await check_bytes(file.disk.content)
    assert (report.corruptions, report.leaks) == (0, 0), report.messages
    assert await request.read_bytes(await open_image(file, read_only=True), 0, 5000) == b"guest" * 1000


async def test_lazy_refcounts_are_late_marked_dirty_and_repaired(tmp_path: Path) -> None:
    start = await image_bytes(tmp_path, MIB, lazy_refcounts="on")
    file = RecordingFile(start)
    node = await open_image(file)
    await request.write_bytes(node, 0, b"x" * 300_000)
    await node.flush()
    crashed = bytes(file.disk.content)
    assert parse_header(crashed).incompatible & q.INCOMPATIBLE_DIRTY
    await node.close()
    assert not parse_header(bytes(file.disk.content)).incompatible & q.INCOMPATIBLE_DIRTY
    assert (await check_bytes(crashed)).corruptions > 0
    again = RecordingFile(crashed)
    node = await open_image(again)
    assert not parse_header(bytes(again.disk.content)).incompatible & q.INCOMPATIBLE_DIRTY
    assert await request.read_bytes(node, 0, 300_000) == b"x" * 300_000
    await request.write_bytes(node, 400_000, b"y" * 300_000)
    await node.close()
    report = await check_bytes(again.disk.content)
    assert (report.corruptions, report.leaks) == (0, 0), report.messages


@pytest.mark.parametrize("mode", ["metadata", "falloc", "full"])
async def test_preallocated_images_are_written_in_place(tmp_path: Path, mode: str) -> None:
    start = await image_bytes(tmp_path, MIB, preallocation=mode)
    file = RecordingFile(start)
    node = await open_image(file)
    length = file.length
    await request.write_bytes(node, 0, b"x" * MIB)
    assert not node.metadata.any_dirty
    await node.close()
    assert file.length == length >= MIB


async def test_shrinking_gives_space_back_and_growing_again_reads_zeros(tmp_path: Path) -> None:
    file = RecordingFile(await image_bytes(tmp_path, 8 * MIB, cluster_size="4096"))
    node = await open_image(file)
    await request.write_bytes(node, 0, b"x" * 8 * MIB)
    await node.flush()
    full = file.length
    await request.truncate(node, MIB - 512)
    assert file.length < full // 4
    await request.truncate(node, 8 * MIB)
    assert await request.read_bytes(node, 0, 8 * MIB) == (b"x" * (MIB - 512)).ljust(8 * MIB, b"\0")
    await node.close()
    report = await check_bytes(file.disk.content)
    assert (report.corruptions, report.leaks) == (0, 0), report.messages


async def test_compressed_writes_take_less_space_and_what_does_not_shrink_is_plain(tmp_path: Path) -> None:
    import random

    for kind in ("zlib", "zstd"):
        file = RecordingFile(await image_bytes(tmp_path, 4 * MIB, compression_type=kind))
        node = await open_image(file)
        text, noise = b"some text " * 200_000, random.Random(1).randbytes(CLUSTER)
        text = text[: MIB + CLUSTER]
        await request.write(node, 0, [memoryview(text)[:1000], memoryview(text)[1000:]], Write.COMPRESSED)
        await request.write(node, 2 * MIB, [memoryview(noise)], Write.COMPRESSED)
        assert await request.read_bytes(node, 0, len(text)) == text
        assert await request.read_bytes(node, 2 * MIB, CLUSTER) == noise
        assert (await node.block_status(2 * MIB, CLUSTER)).flags & Data.COMPRESSED == Data.NONE
        await node.close()
        assert file.length < 8 * CLUSTER
        with pytest.raises(BlockError) as caught:
            await node.compression.write(512, [memoryview(noise)])
        assert caught.value.kind is ErrorKind.INVALID


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cluster_size": "1000"}, "power of two"),
        ({"cluster_size": "4M"}, "power of two"),
        ({"refcount_bits": "3"}, "power of two"),
        ({"compat": "0.9"}, "compat"),
        ({"compat": "0.10", "lazy_refcounts": "on"}, "1.1"),
        ({"extended_l2": "on", "cluster_size": "4096"}, "16384"),
        ({"data_file_raw": "on"}, "data_file"),
        ({"preallocation": "some"}, "preallocation"),
        ({"backing_file": "b", "preallocation": "full"}, "extended_l2"),
        ({"backing_fmt": "raw"}, "backing"),
        ({"compression_type": "lzma"}, "compression"),
        ({"lazy_refcounts": "maybe"}, "lazy_refcounts"),
    ],
)
async def test_options_that_make_no_sense_are_refused_and_leave_nothing(
    tmp_path: Path, options: dict[str, str], words: str
) -> None:
    with pytest.raises(BlockError, match=words):
        await Qcow2Driver.create(str(tmp_path / "disk.qcow2"), MIB, options)
    assert list(tmp_path.iterdir()) == []


async def test_a_size_that_the_l1_table_cannot_reach_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BlockError, match="larger cluster size"):
        await Qcow2Driver.create(str(tmp_path / "disk.qcow2"), 1 << 40, {"cluster_size": "512"})


async def test_writes_to_fresh_clusters_cost_few_metadata_requests(tmp_path: Path) -> None:
    file = RecordingFile(await image_bytes(tmp_path, 64 * MIB))
    node = await open_image(file)
    data = memoryview(b"d" * MIB)
    for at in range(0, 64 * MIB, MIB):
        await node.write(at, [data])
    writes = sum(1 for entry in file.log if entry.data is not None)
    await node.flush()
    await node.close()
    assert writes == 64
    assert sum(1 for entry in file.log if entry.data is not None) - writes <= 4
