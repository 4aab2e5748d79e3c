"""Images that lie: a clear BlockError or plausible data, never another exception, hang or write over metadata."""

from __future__ import annotations

import random
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.qcow2_images import image_bytes, open_image
from tests.support.recording_file import RecordingFile

from varan.block import request
from varan.block.base import BlockError, ErrorKind, Write
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.header import HeaderError, parse_header

SIZE = 1 << 20
CLUSTER = 4096
LONGEST_FILE = 64 << 20


async def an_image(tmp_path: Path, **options: str) -> bytes:
    """An image with data, zeros and compressed clusters."""
    file = RecordingFile(await image_bytes(tmp_path, SIZE, **({"cluster_size": str(CLUSTER)} | options)))
    node = await open_image(file)
    await request.write_bytes(node, 0, bytes(range(256)) * 64)
    await request.write(node, 65536, [memoryview(b"abcd" * 4096)], Write.COMPRESSED)
    await request.zero(node, 131072, 32768)
    await node.close()
    return bytes(file.disk.content)


async def use(content: bytes) -> RecordingFile:
    """Do everything that an image may be asked to; BlockErrors are fine."""
    file = RecordingFile(content)
    try:
        node = await open_image(file)
    except BlockError:
        return file
    calls = [
        lambda: request.read_bytes(node, 0, min(node.length, SIZE)),
        lambda: node.block_status(0, min(node.length, SIZE)),
        lambda: request.write_bytes(node, 100, b"x" * 9000),
        lambda: request.zero(node, 4096, 300_000, Write.MAY_UNMAP),
        lambda: request.write(node, 131072, [memoryview(b"wxyz" * 2048)], Write.COMPRESSED),
        lambda: request.write_bytes(node, 500_000, b"y" * 100_000),
        node.flush,
        lambda: request.truncate(node, node.length + CLUSTER),
        lambda: request.truncate(node, 65536),
        node.close,
    ]
    for call in calls:
        try:
            await call()
        except BlockError:
            continue
    return file


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("shape", ["standard", "extended"])
async def test_damaged_metadata_gives_block_errors_only(tmp_path: Path, seed: int, shape: str) -> None:
    options = {"extended_l2": "on", "cluster_size": "16384"} if shape == "extended" else {}
    good = await an_image(tmp_path, **options)
    chance = random.Random(f"{shape} {seed}")
    words = [at for at in range(0, len(good), 8) if any(good[at : at + 8])][:600]
    for _ in range(40):
        content = bytearray(good)
        for _ in range(chance.randrange(1, 4)):
            at = chance.choice(words)
            value = chance.choice([0, (1 << 64) - 1, chance.getrandbits(64), 1 << 63 | chance.randrange(64) << 12])
            content[at : at + 8] = struct.pack(">Q", value ^ (chance.getrandbits(1) and 1 << chance.randrange(64)))
        file = await use(bytes(content))
        assert file.length <= LONGEST_FILE


@settings(max_examples=300, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.data())
def test_any_header_parses_or_is_refused(data: st.DataObject) -> None:
    header = bytearray(4096)
    struct.pack_into(">4sIQIIQIIQQIIQ", header, 0, q.MAGIC, 3, 0, 0, 12, SIZE, 0, 4, 12288, 4096, 1, 0, 0)
    struct.pack_into(">QQQII", header, 72, 0, 0, 0, 4, 112)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(4, 160))
        header[at] = data.draw(st.integers(0, 255))
    length = data.draw(st.integers(0, 4096))
    try:
        parsed = parse_header(bytes(header[:length]))
    except HeaderError as error:
        assert error.field
        return
    assert parsed.l1_size * 8 <= q.MAX_L1_BYTES


async def assert_refuses_writes(file: RecordingFile) -> None:
    node = await open_image(file)
    before = bytes(file.disk.content)
    with pytest.raises(BlockError) as caught:
        await request.write_bytes(node, 0, b"x" * 4096)
        await node.flush()
    assert caught.value.kind is ErrorKind.CORRUPT
    header = parse_header(bytes(file.disk.content[:CLUSTER]))
    assert header.incompatible & q.INCOMPATIBLE_CORRUPT
    assert bytes(file.disk.content)[80:] == before[80:]
    with pytest.raises(BlockError) as caught:
        await open_image(RecordingFile(bytes(file.disk.content)))
    assert caught.value.kind is ErrorKind.CORRUPT
    again = await open_image(RecordingFile(bytes(file.disk.content)), read_only=True)
    await again.block_status(0, 4096)


def l1_of(content: bytes) -> int:
    return parse_header(content[:CLUSTER]).l1_table_offset


def l2_of(content: bytes) -> int:
    entry: int = struct.unpack_from(">Q", content, l1_of(content))[0]
    return entry & q.OFFSET_MASK


@pytest.mark.parametrize("target", ["l1", "refcount table", "refcount block", "l2", "past the end"])
async def test_guest_data_over_metadata_is_refused_and_marked(tmp_path: Path, target: str) -> None:
    content = bytearray(await an_image(tmp_path))
    header = parse_header(bytes(content[:CLUSTER]))
    block: int = struct.unpack_from(">Q", content, header.refcount_table_offset)[0]
    places = {
        "l1": header.l1_table_offset,
        "refcount table": header.refcount_table_offset,
        "refcount block": block,
        "l2": l2_of(bytes(content)),
        "past the end": 1 << 40,
    }
    struct.pack_into(">Q", content, l2_of(bytes(content)), places[target] | q.COPIED)
    await assert_refuses_writes(RecordingFile(bytes(content)))


@pytest.mark.parametrize("target", ["l1", "refcount table"])
async def test_tables_on_one_another_are_refused_and_marked(tmp_path: Path, target: str) -> None:
    content = bytearray(await an_image(tmp_path))
    header = parse_header(bytes(content[:CLUSTER]))
    place = header.l1_table_offset if target == "l1" else header.refcount_table_offset
    struct.pack_into(">Q", content, header.l1_table_offset, place | q.COPIED)
    await assert_refuses_writes(RecordingFile(bytes(content)))


async def test_counts_that_call_metadata_free_are_refused_and_marked(tmp_path: Path) -> None:
    content = bytearray(await image_bytes(tmp_path, SIZE, cluster_size=str(CLUSTER)))
    header = parse_header(bytes(content[:CLUSTER]))
    block: int = struct.unpack_from(">Q", content, header.refcount_table_offset)[0]
    content[block : block + 64] = bytes(64)
    await assert_refuses_writes(RecordingFile(bytes(content)))


async def test_a_compression_bomb_is_refused_in_bounded_memory(tmp_path: Path) -> None:
    import zlib

    content = bytearray(await image_bytes(tmp_path, SIZE, cluster_size="65536"))
    file = RecordingFile(bytes(content))
    node = await open_image(file)
    stream = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = stream.compress(bytes(50 << 20)) + stream.flush()
    async with node.metadata.lock:
        at = await node.metadata.refcounts.allocate(1) << 16
        table, index = await node.metadata.slice_for_change(0)
        table.entries[index] = node.metadata.geometry.compressed_entry(at, len(bomb))
        node.metadata.l2.touch(table, index, index + 1)
    await file.write(at, [memoryview(bomb)])
    assert await request.read_bytes(node, 0, 65536) == bytes(65536)


async def test_a_truncated_compressed_cluster_is_refused(tmp_path: Path) -> None:
    for kind in ("zlib", "zstd"):
        file = RecordingFile(await image_bytes(tmp_path, SIZE, compression_type=kind))
        node = await open_image(file)
        await request.write(node, 0, [memoryview(random.Random(1).randbytes(100) * 656)[:65536]], Write.COMPRESSED)
        await node.flush()
        offset, _ = node.metadata.geometry.compressed_extent((await node.metadata.run(0, 1)).entry)
        await file.write(offset + 20, [memoryview(bytes(400))])
        node.compression.forget()
        with pytest.raises(BlockError) as caught:
            await request.read_bytes(node, 0, 65536)
        assert caught.value.kind is ErrorKind.CORRUPT
