from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.job_bench import OPTIONS, SIZE, Bench, a_bench, content_of
from tests.unit.block.jobs.test_stream import CHAIN

from varan.api.values import MirrorSyncMode
from varan.block import create
from varan.block.base import Node
from varan.block.jobs.starting import JobOptions
from varan.errors import InvalidParameterValue, VaranError


async def a_target(bench: Bench, name: str = "target.qcow2", **options: str) -> Node:
    """A new image that is as long as the disk."""
    format = name.rpartition(".")[2]
    await create(bench.path(name), SIZE, format=format, **options)
    node = await bench.graph.open({"driver": format, "file.filename": bench.path(name)}, user=None)
    bench.graph.disown(node)
    return node


@pytest.mark.parametrize("write_blocking", [False, True])
@pytest.mark.parametrize("name", ["target.qcow2", "target.raw"])
async def test_the_device_changes_over_to_the_mirror(tmp_path: Path, name: str, write_blocking: bool) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        bench.writer.begin()
        target = await a_target(bench, name)
        await bench.starter.mirror("disk0", target, MirrorSyncMode.FULL, OPTIONS, write_blocking=write_blocking)
        await bench.until("BLOCK_JOB_READY")
        for _ in range(3):
            await bench.writer.check_all()
        bench.manager.complete(bench.manager.find("disk0"))
        await bench.gone()
        assert bench.root is target
        rounds = bench.writer.rounds
        while bench.writer.rounds < rounds + 3:
            await bench.writer.check_all()
        await bench.writer.end()
        await bench.writer.check_all()
        assert len(bench.graph.nodes) == 2
    assert await content_of(bench.path(name), format=name.rpartition(".")[2]) == bench.writer.content


async def test_a_mirror_that_is_cancelled_when_ready_is_the_disk_at_that_moment(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        bench.writer.begin()
        target = await a_target(bench)
        await bench.starter.mirror("disk0", target, MirrorSyncMode.FULL, OPTIONS)
        await bench.until("BLOCK_JOB_READY")
        await bench.writer.end()
        bench.manager.cancel(bench.manager.find("disk0"), force=False)
        await bench.until("BLOCK_JOB_COMPLETED")
        await bench.gone()
        then = bytes(bench.writer.content)
        await bench.writer.turn()
        assert bench.root.filename == bench.path("top.qcow2")
    assert await content_of(bench.path("target.qcow2")) == then


async def test_only_the_topmost_image_is_mirrored(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        bench.writer.begin()
        target = await a_target(bench, backing_file="mid.qcow2", backing_fmt="qcow2")
        await bench.starter.mirror("disk0", target, MirrorSyncMode.TOP, OPTIONS)
        await bench.until("BLOCK_JOB_READY")
        bench.manager.complete(bench.manager.find("disk0"))
        await bench.gone()
        await bench.writer.end()
        await bench.writer.check_all()
    assert await content_of(bench.path("target.qcow2")) == bench.writer.content
    assert (tmp_path / "target.qcow2").stat().st_blocks * 512 < SIZE


async def test_nothing_but_new_writes_is_mirrored(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        target = await a_target(bench)
        await bench.starter.mirror("disk0", target, MirrorSyncMode.NONE, OPTIONS)
        await bench.until("BLOCK_JOB_READY")
        await bench.backend.write(1 << 20, [memoryview(b"new!" * 16384)])
        bench.manager.cancel(bench.manager.find("disk0"), force=False)
        await bench.gone()
    found = await content_of(bench.path("target.qcow2"))
    assert found == bytes(1 << 20) + b"new!" * 16384 + bytes(SIZE - (1 << 20) - 65536)


async def test_what_a_mirror_leaves_to_the_disk_below_it_is_safe_when_the_device_changes_over(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        old = b"old!" * (SIZE // 4)
        await bench.backend.write(0, [memoryview(old)])
        path, sync = bench.path("target.qcow2"), MirrorSyncMode.NONE
        async with bench.starter.target("disk0", path, "qcow2", sync, existing=False) as target:
            await bench.starter.mirror("disk0", target, sync, OPTIONS)
        await bench.until("BLOCK_JOB_READY")
        bench.manager.complete(bench.manager.find("disk0"))
        await bench.gone()
        await bench.backend.flush()
        # What a power cut at this moment would leave.
        assert await content_of(path, force_share=True) == old


async def test_a_mirror_that_waits_for_finalization_goes_on_keeping_up(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        target = await a_target(bench)
        await bench.starter.mirror("disk0", target, MirrorSyncMode.FULL, JobOptions(auto_finalize=False))
        await bench.until("BLOCK_JOB_READY")
        job = bench.manager.find("disk0")
        bench.manager.complete(job)
        await bench.until("BLOCK_JOB_PENDING")
        for _ in range(20):
            await bench.writer.turn()
        bench.manager.finalize(job)
        await bench.gone()
        assert bench.root is target
        await bench.writer.check_all()


async def test_a_target_of_another_size_is_refused(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        await create(bench.path("small.raw"), SIZE // 2)
        target = await bench.graph.open({"driver": "raw", "file.filename": bench.path("small.raw")}, user=None)
        with pytest.raises(VaranError, match="different sizes"):
            await bench.starter.mirror("disk0", target, MirrorSyncMode.FULL, OPTIONS)
        with pytest.raises(InvalidParameterValue):
            await bench.starter.mirror("disk0", target, MirrorSyncMode.FULL, OPTIONS, granularity=1000)
        await bench.graph.close(target)
        assert bench.manager.jobs == {}
        await bench.writer.turn()
