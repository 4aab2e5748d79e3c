"""Internal snapshots: disks come back as they were, counts stay right, crashes lose nothing."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.support.qcow2_images import check_bytes, image_bytes, open_image
from tests.support.recording_file import RecordingFile, power_loss, prefix

from varan.block import request
from varan.block.base import BlockError, ErrorKind, Write
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2 import snapshots
from varan.block.formats.qcow2.node import Qcow2Node

SIZE = 512 << 10

SHAPES = {
    "plain": {"cluster_size": "4096"},
    "tiny": {"cluster_size": "512", "refcount_bits": "64"},
    "version 2": {"cluster_size": "4096", "compat": "0.10"},
    "subclusters": {"cluster_size": "16384", "extended_l2": "on"},
    "lazy": {"cluster_size": "4096", "lazy_refcounts": "on"},
    "narrow": {"cluster_size": "4096", "refcount_bits": "8"},
}


async def all_bytes(node: Qcow2Node) -> bytes:
    return await request.read_bytes(node, 0, node.length)


async def assert_clean(file: RecordingFile) -> None:
    report = await check_bytes(file.disk.content)
    assert (report.corruptions, report.leaks, report.check_errors) == (0, 0, 0), report.messages


async def change(node: Qcow2Node, chance: random.Random) -> None:
    for _ in range(6):
        offset = chance.randrange(SIZE - 20000)
        await request.write_bytes(node, offset, chance.randbytes(chance.randrange(1, 20000)))
    await request.zero(node, chance.randrange(8) * 65536, 16384)
    data = memoryview(bytes([chance.randrange(256)]) * 16384)
    await request.write(node, chance.randrange(16) * 32768, [data], Write.COMPRESSED)


@pytest.mark.parametrize("shape", SHAPES)
async def test_random_snapshots_agree_with_copies(tmp_path: Path, shape: str) -> None:
    chance = random.Random(shape)
    file = RecordingFile(await image_bytes(tmp_path, SIZE, **SHAPES[shape]))
    node = await open_image(file)
    kept: dict[str, bytes] = {}
    for step in range(14):
        await change(node, chance)
        what = chance.choice(["create", "create", "apply", "delete", "reopen"])
        if what == "create" and len(kept) < 4:
            snapshot = await snapshots.create(node, f"step {step}", date=step)
            kept[snapshot.id] = await all_bytes(node)
        elif what == "apply" and kept:
            wanted = chance.choice(list(kept))
            await snapshots.apply(node, wanted)
            assert await all_bytes(node) == kept[wanted]
        elif what == "delete" and kept:
            wanted = chance.choice(list(kept))
            await snapshots.delete(node, wanted)
            del kept[wanted]
        elif what == "reopen":
            await node.close()
            await assert_clean(file)
            node = await open_image(file)
    assert [each.id for each in await snapshots.list_snapshots(node)] == list(kept)
    await node.close()
    await assert_clean(file)
    for wanted, content in kept.items():
        reader = await open_image(file, read_only=True)
        await snapshots.load(reader, wanted, None)
        assert await all_bytes(reader) == content
    node = await open_image(file)
    for wanted in kept:
        await snapshots.delete(node, wanted)
    await node.close()
    await assert_clean(file)


@pytest.mark.parametrize("what", ["create", "apply", "delete"])
async def test_crash_leaves_a_disk_that_was(tmp_path: Path, what: str) -> None:
    chance = random.Random(what)
    file = RecordingFile(await image_bytes(tmp_path, SIZE, cluster_size="4096"))
    node = await open_image(file)
    await change(node, chance)
    await snapshots.create(node, "one", date=0)
    old = await all_bytes(node)
    await change(node, chance)
    await node.close()
    start = bytes(file.disk.content)
    file = RecordingFile(start)
    node = await open_image(file)
    new = await all_bytes(node)
    calls = {
        "create": lambda: snapshots.create(node, "two", date=0),
        "apply": lambda: snapshots.apply(node, "one"),
        "delete": lambda: snapshots.delete(node, "one"),
    }
    await calls[what]()
    await node.close()
    await assert_clean(file)
    acceptable = {new, old} if what == "apply" else {new}
    for count in range(len(file.log) + 1):
        for content in (prefix(start, file.log, count), power_loss(start, file.log, count, chance)):
            after = RecordingFile(bytes(content))
            node = await open_image(after)
            assert await all_bytes(node) in acceptable
            for snapshot in await snapshots.list_snapshots(node):
                if snapshot.name == "one":
                    await snapshots.apply(node, "one")
                    assert await all_bytes(node) == old
            await node.close()
            report = await check_bytes(after.disk.content)
            assert (report.corruptions, report.check_errors) == (0, 0), report.messages


async def test_apply_brings_back_the_size(tmp_path: Path) -> None:
    file = RecordingFile(await image_bytes(tmp_path, SIZE, cluster_size="4096"))
    node = await open_image(file)
    await snapshots.create(node, "small", date=0)
    await node.truncate(4 * SIZE)
    await request.write_bytes(node, 3 * SIZE, b"x" * 5000)
    await snapshots.create(node, "large", date=0)
    await snapshots.apply(node, "small")
    assert node.length == SIZE
    await snapshots.apply(node, "large")
    assert node.length == 4 * SIZE
    assert await request.read_bytes(node, 3 * SIZE, 5000) == b"x" * 5000
    await node.close()
    await assert_clean(file)


async def test_machine_state_goes_with_the_snapshot(tmp_path: Path) -> None:
    file = RecordingFile(await image_bytes(tmp_path, SIZE, cluster_size="4096"))
    node = await open_image(file)
    state = random.Random(1).randbytes(100_000)
    await node.write_vmstate(0, [memoryview(state)])
    made = await snapshots.create(node, "running", date=7_000_000_001, vm_clock=5, vm_state_size=len(state), icount=9)
    gone = bytearray(100_000)
    await node.read_vmstate(0, [memoryview(gone)])
    assert bytes(gone) == bytes(100_000)
    assert snapshots.describe(made) == {
        "id": "1",
        "name": "running",
        "vm-state-size": 100_000,
        "date-sec": 7,
        "date-nsec": 1,
        "vm-clock-sec": 0,
        "vm-clock-nsec": 5,
        "icount": 9,
    }
    await node.close()
    await assert_clean(file)
    node = await open_image(file)
    await snapshots.apply(node, "running")
    found = bytearray(100_000)
    await node.read_vmstate(0, [memoryview(found)])
    assert bytes(found) == state
    await node.close()
    await assert_clean(file)


async def test_lookup_prefers_ids_to_names(tmp_path: Path) -> None:
    node = await open_image(RecordingFile(await image_bytes(tmp_path, SIZE)))
    await snapshots.create(node, "2", date=0)
    await snapshots.create(node, "other", date=0)
    found = await snapshots.list_snapshots(node)
    assert snapshots.find(found, "2").name == "other"
    assert snapshots.find(found, "other").id == "2"
    await snapshots.delete(node, "other")
    assert snapshots.find(await snapshots.list_snapshots(node), "2").id == "1"
    for call in (snapshots.apply, snapshots.delete):
        with pytest.raises(BlockError) as caught:
            await call(node, "none")
        assert caught.value.kind is ErrorKind.NOT_FOUND


async def test_counts_too_narrow_refuse_and_change_nothing(tmp_path: Path) -> None:
    file = RecordingFile(await image_bytes(tmp_path, SIZE, refcount_bits="1"))
    node = await open_image(file)
    await request.write_bytes(node, 0, b"x" * SIZE)
    with pytest.raises(BlockError) as caught:
        await snapshots.create(node, "one", date=0)
    assert caught.value.kind is ErrorKind.UNSUPPORTED
    assert await all_bytes(node) == b"x" * SIZE
    await node.close()
    await assert_clean(file)
    assert not (await open_image(file, read_only=True)).metadata.header.incompatible & q.INCOMPATIBLE_DIRTY


async def test_read_only_images_and_bad_requests_are_refused(tmp_path: Path) -> None:
    file = RecordingFile(await image_bytes(tmp_path, SIZE))
    reader = await open_image(file, read_only=True)
    with pytest.raises(BlockError) as caught:
        await snapshots.create(reader, "one", date=0)
    assert caught.value.kind is ErrorKind.READ_ONLY
    with pytest.raises(BlockError) as caught:
        await snapshots.load(reader, "1", None)
    assert caught.value.kind is ErrorKind.NOT_FOUND
    node = await open_image(file)
    with pytest.raises(BlockError, match="read-only"):
        await snapshots.load(node, None, "one")


async def test_version_2_images_with_snapshots_keep_their_size(tmp_path: Path) -> None:
    node = await open_image(RecordingFile(await image_bytes(tmp_path, SIZE, compat="0.10")))
    await snapshots.create(node, "one", date=0)
    with pytest.raises(BlockError, match="cannot be resized"):
        await node.truncate(2 * SIZE)
