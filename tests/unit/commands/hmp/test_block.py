"""Block jobs on the human monitor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.job_bench import SIZE, content_of, make_chain

import varan
from varan.machine.spec import BootSpec, DriveSpec, MachineSpec


@pytest.fixture
async def vm(tmp_path: Path) -> AsyncIterator[varan.Machine]:
    await make_chain(tmp_path, ["base.raw", "top.qcow2"])
    drive = DriveSpec("d0", {"driver": "qcow2", "file.filename": str(tmp_path / "top.qcow2")})
    spec = MachineSpec(memory=16 << 20, boot=BootSpec(demo=True), drives=(drive,))
    async with varan.Machine(spec=spec) as machine:
        yield machine


async def hmp(vm: varan.Machine, line: str) -> str:
    return (await vm.qmp.human_monitor_command(line)).replace("\r\n", "\n")


async def until(vm: varan.Machine, text: str) -> None:
    async with asyncio.timeout(20):
        while text not in await hmp(vm, "info block-jobs"):
            await asyncio.sleep(0.01)


async def test_a_stream_is_watched_and_ended(vm: varan.Machine) -> None:
    assert await hmp(vm, "info block-jobs") == "No active jobs\n"
    assert await hmp(vm, "block_stream d0 1b") == ""
    shown = await hmp(vm, "info block-jobs")
    assert shown.startswith("Streaming device d0: Completed ")
    assert shown.endswith(f" of {SIZE} bytes, speed limit 1 bytes/s\n")
    assert await hmp(vm, "block_job_pause d0") == ""
    assert await hmp(vm, "block_job_cancel d0") == "Error: The block job for device 'd0' is currently paused\n"
    assert await hmp(vm, "block_job_set_speed d0 2") == ""
    assert f" of {SIZE} bytes, speed limit {2 << 20} bytes/s\n" in await hmp(vm, "info block-jobs")
    assert await hmp(vm, "block_job_set_speed d0 1b") == ""
    assert await hmp(vm, "block_job_resume d0") == ""
    assert await hmp(vm, "block_job_complete d0") == (
        "Error: Job 'd0' in state 'running' cannot accept command verb 'complete'\n"
    )
    assert await hmp(vm, "block_job_set_speed d0 0") == ""
    await until(vm, "No active jobs")
    assert await hmp(vm, "block_job_cancel -f d0") == "Error: Block job 'd0' not found\n"


async def test_copies_are_made(vm: varan.Machine, tmp_path: Path) -> None:
    top = await content_of(str(tmp_path / "top.qcow2"), force_share=True)
    assert await hmp(vm, f"drive_backup -f d0 {tmp_path}/backup.raw raw") == ""
    await until(vm, "No active jobs")
    assert (tmp_path / "backup.raw").read_bytes() == top
    assert await hmp(vm, f"drive_mirror -f d0 {tmp_path}/mirror.qcow2") == ""
    await until(vm, f"Type mirror, device d0: Completed {SIZE} of {SIZE} bytes")
    assert await hmp(vm, "block_job_cancel d0") == ""
    await until(vm, "No active jobs")
    assert await content_of(str(tmp_path / "mirror.qcow2")) == top


async def test_a_disk_is_committed(vm: varan.Machine, tmp_path: Path) -> None:
    top = await content_of(str(tmp_path / "top.qcow2"), force_share=True)
    assert await hmp(vm, "commit nope") == "Error: Device 'nope' not found\n"
    assert await hmp(vm, "commit all") == ""
    assert (tmp_path / "base.raw").read_bytes() == top
    assert await content_of(str(tmp_path / "top.qcow2"), force_share=True) == top


async def test_snapshots_are_made_and_deleted(vm: varan.Machine, tmp_path: Path) -> None:
    top = await content_of(str(tmp_path / "top.qcow2"), force_share=True)
    assert await hmp(vm, "snapshot_blkdev d0") == "Error: Parameter 'snapshot-file' is missing\n"
    assert await hmp(vm, f"snapshot_blkdev -n d0 {tmp_path}/over.qcow2") == (
        f"Error: Could not open '{tmp_path}/over.qcow2': No such file or directory\n"
    )
    assert await hmp(vm, f"snapshot_blkdev d0 {tmp_path}/over.qcow2") == ""
    assert await content_of(str(tmp_path / "over.qcow2"), force_share=True) == top
    assert await hmp(vm, "snapshot_blkdev_internal d0 s") == ""
    assert await hmp(vm, "snapshot_blkdev_internal d0 s") == (
        "Error: Snapshot with name 's' already exists on device 'd0'\n"
    )
    assert await hmp(vm, "snapshot_delete_blkdev_internal d0 s") == ""
    assert await hmp(vm, "snapshot_delete_blkdev_internal d0 s") == (
        "Error: Snapshot with id 'null' and name 's' does not exist on device 'd0'\n"
    )
