"""Several disks and several actions at one moment, or nothing."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from tests.support.job_bench import Bench, a_bench, a_bench_again, content_of

from varan.api.values import BitmapSyncMode, JobStatus, MirrorSyncMode
from varan.block.bitmaps import add, every, find, remove
from varan.block.formats.qcow2 import snapshots
from varan.block.formats.qcow2.node import Qcow2Node
from varan.block.jobs.starting import JobOptions
from varan.block.transactions.abort import Abort
from varan.block.transactions.backups import BackupToFile
from varan.block.transactions.change import Action
from varan.block.transactions.external import NewOverlay
from varan.block.transactions.internal import KeepInside, delete
from varan.block.transactions.marks import (
    AddBitmap,
    ClearBitmap,
    DisableBitmap,
    EnableBitmap,
    MergeBitmaps,
    RemoveBitmap,
)
from varan.block.transactions.running import run
from varan.errors import GenericError, VaranError

CHAIN = ["base.raw", "top.qcow2"]
UNIT = 65536


async def write(bench: Bench, at: int) -> None:
    """One unit of the disk changes."""
    await bench.backend.write(at, [memoryview(b"new" * UNIT)[:UNIT]])
    bench.writer.content[at : at + UNIT] = (b"new" * UNIT)[:UNIT]


def to_file(bench: Bench, name: str, id: str, *, sync: MirrorSyncMode = MirrorSyncMode.FULL, **more: object) -> Action:
    return BackupToFile("disk0", bench.path(name), sync, JobOptions(id=id, speed=4 << 20), **more)  # type: ignore[arg-type]


async def rounds(bench: Bench, count: int) -> None:
    """The guest writes so many records."""
    while bench.writer.rounds < count:
        await asyncio.sleep(0.001)


async def all_bitmaps(bench: Bench) -> dict[str, tuple[bool, list[tuple[int, int]]]]:
    return {bitmap.name: (bitmap.enabled, list(bitmap.areas())) async for bitmap in every(bench.root)}


async def test_what_failed_has_not_happened(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        node = bench.root
        assert isinstance(node, Qcow2Node)
        add(node, "b", granularity=UNIT)
        add(node, "p", granularity=UNIT, persistent=True, enabled=False)
        add(node, "gone", granularity=UNIT)
        await write(bench, 0)
        before, files = await all_bitmaps(bench), sorted(os.listdir(tmp_path))
        nodes = set(bench.graph.nodes)
        actions = [
            AddBitmap("disk0", "new", persistent=True),
            RemoveBitmap("disk0", "gone"),
            MergeBitmaps("disk0", "p", sources=((None, "b"),)),
            ClearBitmap("disk0", "b"),
            EnableBitmap("disk0", "p"),
            DisableBitmap("disk0", "b"),
            KeepInside("disk0", "s", lambda: 0),
            NewOverlay(bench.path("s.qcow2"), device="disk0"),
            to_file(bench, "backup.qcow2", "j"),
        ]
        for count in range(1, len(actions) + 1):
            with pytest.raises(GenericError, match="Abort action"):
                await run(bench.starter, *actions[:count], Abort())
            assert bench.root is node and not node.read_only
            assert await all_bitmaps(bench) == before
            assert await snapshots.list_snapshots(node) == []
            assert set(bench.graph.nodes) == nodes
            assert sorted(os.listdir(tmp_path)) == files
            assert bench.manager.jobs == {} and bench.events == []
            await bench.writer.turn()
            before = await all_bitmaps(bench)
        await bench.writer.check_all()


async def test_grouped_backups_end_together(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        bitmap = add(bench.root, "b", granularity=UNIT)
        await write(bench, 0)
        mode = {"sync": MirrorSyncMode.BITMAP, "bitmap": "b", "bitmap_mode": BitmapSyncMode.ON_SUCCESS}
        with pytest.raises(VaranError, match="is busy"):
            await run(bench.starter, to_file(bench, "a.qcow2", "a"), to_file(bench, "b.qcow2", "b"), grouped=True)
        assert not (tmp_path / "a.qcow2").exists()
        await run(bench.starter, to_file(bench, "a.qcow2", "a", **mode), grouped=True)
        assert bitmap.busy and bitmap.recording
        with pytest.raises(GenericError, match="in use by another operation"):
            await run(bench.starter, ClearBitmap("disk0", "b"))
        await write(bench, 2 * UNIT)
        await bench.gone()
        assert list(bitmap.areas()) == [(2 * UNIT, UNIT)]
        assert not bitmap.busy


async def test_whoever_asked_may_go_away(tmp_path: Path) -> None:
    """Wherever a transaction is when its caller is cancelled, it comes to one of its two ends."""
    for turns in range(0, 60, 4):
        directory = tmp_path / str(turns)
        directory.mkdir()
        async with a_bench(directory, CHAIN) as bench:
            root = bench.root
            await bench.writer.turn()
            actions = [AddBitmap("disk0", "b"), NewOverlay(bench.path("s.qcow2"), device="disk0", name="s")]
            asked = asyncio.create_task(run(bench.starter, *actions, to_file(bench, "backup.qcow2", "j")))
            for _ in range(turns):
                await asyncio.sleep(0)
            asked.cancel()
            await asyncio.wait([asked])
            await bench.gone()
            happened = bench.root is not root
            assert happened == (bench.root.node_name == "s") == (directory / "s.qcow2").exists()
            assert happened == bool(bench.seen("BLOCK_JOB_COMPLETED"))
            await bench.writer.turn()
            await bench.writer.check_all()


async def test_only_jobs_end_together(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        with pytest.raises(GenericError, match="'block-dirty-bitmap-add' does not support Transaction property"):
            await run(bench.starter, AddBitmap("disk0", "b"), grouped=True)
        await run(bench.starter, grouped=True)


async def test_a_bitmap_and_a_backup_of_one_moment(tmp_path: Path) -> None:
    """What a full backup has, and what the bitmap marks later, make the disk."""
    async with a_bench(tmp_path, CHAIN) as bench:
        bench.writer.begin()
        await rounds(bench, 5)
        await run(bench.starter, AddBitmap("disk0", "since", granularity=UNIT), to_file(bench, "full.qcow2", "j"))
        await bench.gone()
        await bench.writer.end()
        await bench.writer.check_all()
        full = bytearray(await content_of(bench.path("full.qcow2")))
        bitmap = await find(bench.root, "since")
        for at, length in bitmap.areas():
            full[at : at + length] = bench.writer.content[at : at + length]
        assert full == bench.writer.content


async def test_snapshots_inside_are_made_and_deleted(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        node = bench.root
        assert isinstance(node, Qcow2Node)
        before = bytes(bench.writer.content)
        await run(bench.starter, KeepInside("disk0", "a", lambda: 5_000_000_007), KeepInside("disk0", "b", lambda: 0))
        bench.writer.begin()
        await rounds(bench, 20)
        await bench.writer.end()
        made = await delete(bench.starter, "disk0", None, "a")
        assert (made.id, made.name, made.vm_clock) == ("1", "a", 5_000_000_007)
        for id, name, message in (
            (None, None, "Name or id must be provided"),
            ("9", None, "Snapshot with id '9' and name 'null' does not exist on device 'disk0'"),
            ("2", "a", "Snapshot with id '2' and name 'a' does not exist"),
        ):
            with pytest.raises(GenericError, match=message):
                await delete(bench.starter, "disk0", id, name)
        await bench.writer.check_all()
        await snapshots.apply(node, "b")
        found = bytearray(len(before))
        await node.read(0, [memoryview(found)])
        assert found == before


async def test_what_an_internal_snapshot_cannot_be(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        await run(bench.starter, KeepInside("disk0", "a", lambda: 0))
        below = bench.root.children["backing"].node.node_name
        for action, message in (
            (KeepInside("nope", "a", lambda: 0), "Cannot find device='nope'"),
            (KeepInside("disk0", "", lambda: 0), "Name is empty"),
            (KeepInside("disk0", "a", lambda: 0), "Snapshot with name 'a' already exists on device 'disk0'"),
            (KeepInside(below, "a", lambda: 0), "is read only"),
        ):
            with pytest.raises(VaranError, match=message):
                await run(bench.starter, action)


async def test_persistent_bitmaps_are_there_when_the_image_is_opened_again(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        await run(
            bench.starter,
            AddBitmap("disk0", "kept", granularity=UNIT, persistent=True),
            AddBitmap("disk0", "passing"),
            AddBitmap("disk0", "removed", persistent=True),
        )
        await write(bench, 3 * UNIT)
        await run(bench.starter, RemoveBitmap("disk0", "removed"))
        content = bytes(bench.writer.content)
    async with a_bench_again(tmp_path, content) as bench:
        assert await all_bitmaps(bench) == {"kept": (True, [(3 * UNIT, UNIT)])}
        await write(bench, 0)
        await run(bench.starter, NewOverlay(bench.path("over.qcow2"), device="disk0"))
        assert await all_bitmaps(bench) == {}
        below = bench.root.children["backing"].node
        await run(bench.starter, AddBitmap("disk0", "m", granularity=UNIT, enabled=False))
        await run(bench.starter, MergeBitmaps("disk0", "m", sources=((below.node_name, "kept"),)))
        assert await all_bitmaps(bench) == {"m": (False, [(0, UNIT), (3 * UNIT, UNIT)])}
        with pytest.raises(GenericError, match="Bitmap 'kept' is readonly and cannot be modified"):
            await run(bench.starter, ClearBitmap(below.node_name, "kept"))


async def test_a_bitmap_that_missed_writes_can_only_be_removed(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        await run(bench.starter, AddBitmap("disk0", "b", persistent=True))
        content = bytes(bench.writer.content)
    async with a_bench_again(tmp_path, content):
        image = (tmp_path / "top.qcow2").read_bytes()
    (tmp_path / "top.qcow2").write_bytes(image)
    async with a_bench_again(tmp_path, content) as bench:
        (bitmap,) = [each async for each in every(bench.root)]
        assert (bitmap.inconsistent, bitmap.recording) == (True, False)
        for action in (ClearBitmap("disk0", "b"), EnableBitmap("disk0", "b")):
            with pytest.raises(GenericError, match="Bitmap 'b' is inconsistent and cannot be used"):
                await run(bench.starter, action)
        with pytest.raises(GenericError, match="Bitmap already exists: b"):
            await run(bench.starter, AddBitmap("disk0", "b"))
        await run(bench.starter, RemoveBitmap("disk0", "b"))
        assert await all_bitmaps(bench) == {}


async def test_a_bitmap_added_while_a_job_works_outlives_the_job(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        await bench.starter.stream("disk0", JobOptions(speed=1 << 20))
        await run(bench.starter, AddBitmap("disk0", "b", granularity=UNIT))
        await write(bench, UNIT)
        bench.manager.cancel(bench.manager.find("disk0"), force=True)
        await bench.gone()
        await write(bench, 3 * UNIT)
        assert list((await find(bench.root, "b")).areas()) == [(UNIT, UNIT), (3 * UNIT, UNIT)]
        await remove(bench.root, "b")


@pytest.mark.parametrize("sync", [MirrorSyncMode.FULL, MirrorSyncMode.TOP])
@pytest.mark.parametrize("mode", [BitmapSyncMode.ON_SUCCESS, BitmapSyncMode.ALWAYS])
async def test_a_whole_backup_begins_a_bitmap_anew(tmp_path: Path, sync: MirrorSyncMode, mode: BitmapSyncMode) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        bitmap = add(bench.root, "b", granularity=UNIT)
        await write(bench, 0)
        await run(bench.starter, to_file(bench, "x.qcow2", "j", sync=sync, bitmap="b", bitmap_mode=mode))
        await write(bench, 5 * UNIT)
        bench.manager.cancel(bench.manager.find("j"), force=True)
        await bench.gone()
        if mode is BitmapSyncMode.ON_SUCCESS:
            assert list(bitmap.areas()) == [(0, UNIT), (5 * UNIT, UNIT)]
        else:
            assert bitmap.count > 5 * UNIT and bitmap.get(5 * UNIT)
        await run(bench.starter, to_file(bench, "y.qcow2", "j", sync=sync, bitmap="b", bitmap_mode=mode))
        job = bench.manager.find("j")
        assert job.state.status in (JobStatus.RUNNING, JobStatus.CREATED)
        await write(bench, 7 * UNIT)
        await bench.gone()
        assert list(bitmap.areas()) == [(7 * UNIT, UNIT)]
