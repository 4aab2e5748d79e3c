"""The short proof that an image is sound says what the full check says, or nothing."""

from __future__ import annotations

import struct
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.qcow2_images import image_bytes, open_image
from tests.support.recording_file import RecordingFile

from varan.block import request
from varan.block.base import BlockError, Write
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2 import snapshots
from varan.block.formats.qcow2.check import check_image
from varan.block.formats.qcow2.check_report import CheckReport
from varan.block.formats.qcow2.check_sound import prove_sound
from varan.block.formats.qcow2.node import Qcow2Node
from varan.block.formats.qcow2.opening import read_header

CLUSTER = 512
SIZE = 256 << 10


async def an_image(tmp_path: Path, **options: str) -> RecordingFile:
    """Data in several L2 tables, some of it out of order, and zeros with and without clusters."""
    file = RecordingFile(await image_bytes(tmp_path, SIZE, **({"cluster_size": str(CLUSTER)} | options)))
    node = await open_image(file)
    for offset in (50_000, 0, 200_000, 33_000):
        await request.write_bytes(node, offset, b"data" * 3000)
    await request.zero(node, 150_000, 5000)
    await node.close()
    return file


async def both(content: bytes) -> tuple[CheckReport | None, CheckReport]:
    """What the proof and the full check say."""
    file = RecordingFile(content)
    return await prove_sound(file, await read_header(file)), await check_image(file, await read_header(file))


async def test_a_sound_image_is_proven_so_with_the_same_numbers(tmp_path: Path) -> None:
    file = await an_image(tmp_path)
    proof, full = await both(bytes(file.disk.content))
    assert proof == full
    assert full.allocated_clusters > 90
    assert full.fragmented_clusters > 0
    assert not full.messages


async def test_an_empty_image_is_proven_sound(tmp_path: Path) -> None:
    proof, full = await both(await image_bytes(tmp_path, SIZE))
    assert proof == full


async def test_nothing_is_said_of_what_is_unusual(tmp_path: Path) -> None:
    async def compressed(node: Qcow2Node) -> None:
        await request.write(node, 1 << 16, [memoryview(bytes(range(64)) * 8)], Write.COMPRESSED)

    async def snapshot(node: Qcow2Node) -> None:
        await snapshots.create(node, "first", date=0)

    async def preallocated(node: Qcow2Node) -> None:
        await request.zero(node, 40_448, 1024)

    for change in (compressed, snapshot, preallocated):
        file = await an_image(tmp_path)
        node = await open_image(file)
        await change(node)
        await node.close()
        proof, full = await both(bytes(file.disk.content))
        assert proof is None, change
        assert not full.corruptions
    proof, _ = await both(bytes((await an_image(tmp_path, refcount_bits="8")).disk.content))
    assert proof is None


async def test_a_leak_is_no_soundness(tmp_path: Path) -> None:
    file = await an_image(tmp_path)
    header = await read_header(file)
    content = bytearray(file.disk.content)
    (table_entry,) = struct.unpack_from(">Q", content, header.refcount_table_offset)
    struct.pack_into(">H", content, table_entry, 2)
    proof, full = await both(bytes(content))
    assert proof is None
    assert full.leaks == 1


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
async def test_damage_is_never_called_sound(tmp_path: Path, data: st.DataObject) -> None:
    file = await an_image(tmp_path)
    header = await read_header(file)
    content = bytearray(file.disk.content)
    words = range(header.l1_table_offset // 8, header.l1_table_offset // 8 + header.l1_size)
    l1 = struct.unpack_from(f">{header.l1_size}Q", content, header.l1_table_offset)
    tables = [entry & q.OFFSET_MASK for entry in l1 if entry]
    (block,) = struct.unpack_from(">Q", content, header.refcount_table_offset)
    places = [*words, header.refcount_table_offset // 8]
    places += [start // 8 + at for start in (*tables, block) for at in range(CLUSTER // 8)]
    for _ in range(data.draw(st.integers(1, 2))):
        place = 8 * data.draw(st.sampled_from(places))
        (value,) = struct.unpack_from(">Q", content, place)
        other = data.draw(st.sampled_from([0, *(value ^ 1 << bit for bit in range(64))]))
        struct.pack_into(">Q", content, place, other)
    try:
        proof, full = await both(bytes(content))
    except BlockError:
        return
    assert proof is None or proof == full
