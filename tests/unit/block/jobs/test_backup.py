from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from tests.support.job_bench import OPTIONS, SIZE, Bench, a_bench, content_of
from tests.unit.block.jobs.test_mirror import a_target
from tests.unit.block.jobs.test_stream import CHAIN

from varan.api.values import BitmapSyncMode, MirrorSyncMode
from varan.block import create
from varan.block.base import Node
from varan.block.dirty import DirtyBitmap
from varan.block.formats.qcow2.bitmaps import bitmaps_of
from varan.block.formats.qcow2.node import Qcow2Node
from varan.block.jobs.starting import JobOptions


async def backup(
    bench: Bench,
    target: Node,
    sync: MirrorSyncMode = MirrorSyncMode.FULL,
    options: JobOptions = OPTIONS,
    *,
    bitmap: DirtyBitmap | None = None,
    **more: Any,
) -> bytes:
    """Start one, and return what the disk held at that moment."""
    job = bench.starter.backup_job("disk0", target, sync, options, bitmap=bitmap, **more)
    held: list[bytes] = []
    begin = job.begin

    async def noting_begin() -> None:
        await begin()
        found = bytearray(SIZE)
        await bench.root.read(0, [memoryview(found)])
        held.append(bytes(found))

    job.begin = noting_begin  # type: ignore[method-assign]
    await bench.starter.begin("disk0", job)
    return held[0]


@pytest.mark.parametrize("compress", [False, True])
async def test_the_backup_is_the_disk_at_the_moment_it_began(tmp_path: Path, compress: bool) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        bench.writer.begin()
        target = await a_target(bench)
        held = await backup(bench, target, options=JobOptions(speed=4 << 20), compress=compress)
        await bench.until("BLOCK_JOB_COMPLETED")
        await bench.gone()
        assert bench.writer.rounds > 1
        assert bench.failure() is None
        await bench.writer.end()
        await bench.writer.check_all()
        assert bytes(bench.writer.content) != held
    assert await content_of(bench.path("target.qcow2")) == held


async def test_only_the_topmost_image_is_backed_up(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        bench.writer.begin()
        target = await a_target(bench, backing_file="mid.qcow2", backing_fmt="qcow2")
        held = await backup(bench, target, MirrorSyncMode.TOP)
        await bench.gone()
        await bench.writer.end()
    assert await content_of(bench.path("target.qcow2")) == held


async def test_without_copying_the_target_gets_what_is_overwritten(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        target = await a_target(bench)
        await bench.graph.replace(target, "backing", bench.root)
        held = await backup(bench, target, MirrorSyncMode.NONE)
        for _ in range(20):
            await bench.writer.turn()
        found = bytearray(SIZE)
        await target.read(0, [memoryview(found)])
        assert found == held != bench.writer.content
        bench.manager.cancel(bench.manager.find("disk0"), force=False)
        await bench.until("BLOCK_JOB_CANCELLED")
        await bench.gone()
        await bench.writer.check_all()


async def test_what_a_bitmap_names_is_backed_up_over_the_last_backup(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        top = bench.root
        assert isinstance(top, Qcow2Node)
        bitmap = bitmaps_of(top).add("since", 65536)
        first = await a_target(bench, "full.qcow2")
        await backup(bench, first)
        await bench.gone()
        bitmap.clear_all()
        for _ in range(5):
            await bench.writer.turn()
        bench.writer.begin()
        target = await a_target(bench, "incremental.qcow2", backing_file="full.qcow2", backing_fmt="qcow2")
        held = await backup(bench, target, MirrorSyncMode.BITMAP, bitmap=bitmap, bitmap_mode=BitmapSyncMode.ON_SUCCESS)
        await bench.gone()
        await bench.writer.end()
    assert await content_of(bench.path("incremental.qcow2")) == held


@pytest.mark.parametrize("mode", list(BitmapSyncMode))
async def test_a_backup_that_fails_leaves_the_bitmap_as_its_mode_says(tmp_path: Path, mode: BitmapSyncMode) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        top = bench.root
        assert isinstance(top, Qcow2Node)
        bitmap = bitmaps_of(top).add("since", 65536)
        await bench.backend.write(0, [memoryview(bytes(65536))])
        await bench.backend.write(2 << 20, [memoryview(bytes(65536))])
        target = await a_target(bench)
        options = JobOptions(speed=1)
        await backup(bench, target, MirrorSyncMode.BITMAP, options, bitmap=bitmap, bitmap_mode=mode)
        await bench.backend.write(3 << 20, [memoryview(bytes(65536))])
        job = bench.manager.find("disk0")
        while not job.done:
            await asyncio.sleep(0)
        bench.manager.cancel(job, force=True)
        await bench.gone()
        copied = {(0, 65536)} if mode is BitmapSyncMode.ALWAYS else set()
        assert set(bitmap.areas()) == {(0, 65536), (2 << 20, 65536), (3 << 20, 65536)} - copied


async def test_a_target_that_cannot_be_written_fails_the_job_and_not_the_guest(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        await create(bench.path("dead.raw"), SIZE)
        dead = {"driver": "raw", "file": {"driver": "blkdebug", "image.filename": bench.path("dead.raw")}}
        dead["file"]["inject-error"] = [{"event": "none", "iotype": "write", "errno": "ENOSPC"}]  # type: ignore[index]
        target = await bench.graph.open(dead, user=None)
        bench.graph.disown(target)
        await backup(bench, target, MirrorSyncMode.NONE)
        await bench.writer.turn()
        await bench.until("BLOCK_JOB_COMPLETED")
        await bench.gone()
        (event,) = bench.seen("BLOCK_JOB_COMPLETED")
        assert "No space" in event.error  # type: ignore[attr-defined]
        await bench.writer.turn()
        await bench.writer.check_all()
