"""Block jobs by the commands of the protocol, on a drive without a device."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.fake_machine import FakeMachine
from tests.support.job_bench import SIZE, content_of, make_chain

from varan.api.events import Event
from varan.api.values import (
    BackupPerf,
    BlockdevBackup,
    BlockDeviceIoStatus,
    BlockdevOnError,
    DriveBackup,
    DriveMirror,
    JobStatus,
    MirrorSyncMode,
    NewImageMode,
)
from varan.commands import block_jobs as commands
from varan.errors import (
    BaseNotFound,
    BlockJobNotActive,
    DeviceInUse,
    DeviceNotFound,
    GenericError,
    InvalidParameter,
    InvalidParameterValue,
    NodeNotFound,
    QmpError,
)
from varan.machine.spec import DriveSpec

CHAIN = ["base.raw", "mid.qcow2", "top.qcow2"]


class Disk:
    """A machine with the drive `d0`, and its events."""

    def __init__(self, machine: FakeMachine, directory: Path, content: bytes) -> None:
        self.machine = machine
        self.directory = directory
        self.content = content
        self.events: list[Event] = []
        machine.events.subscribe(lambda event, seconds, microseconds: self.events.append(event))

    async def until(self, name: str) -> None:
        async with asyncio.timeout(20):
            while not any(name == event.NAME for event in self.events):
                await asyncio.sleep(0.001)

    async def gone(self) -> None:
        async with asyncio.timeout(20):
            while self.machine.jobs.jobs:
                await asyncio.sleep(0.001)

    def path(self, name: str) -> str:
        return str(self.directory / name)


@pytest.fixture
async def disk(machine: FakeMachine, tmp_path: Path) -> AsyncIterator[Disk]:
    content = await make_chain(tmp_path, CHAIN)
    await machine.drives.open(DriveSpec("d0", {"driver": "qcow2", "file.filename": str(tmp_path / "top.qcow2")}))
    yield Disk(machine, tmp_path, content)


async def test_a_job_shows_what_it_does(disk: Disk) -> None:
    machine = disk.machine
    assert await commands.query_block_jobs(machine) == []
    await commands.block_stream(machine, "d0", speed=1)
    (info,) = await commands.query_block_jobs(machine)
    shown = (info.type.value, info.device, info.len, info.speed, info.ready, info.auto_finalize, info.auto_dismiss)
    assert shown == ("stream", "d0", SIZE, 1, False, True, True)
    await commands.block_job_pause(machine, "d0")
    async with asyncio.timeout(10):
        while (await commands.query_block_jobs(machine))[0].status is not JobStatus.PAUSED:
            await asyncio.sleep(0.001)
    (info,) = await commands.query_block_jobs(machine)
    assert (info.paused, info.busy) == (True, False)
    with pytest.raises(GenericError, match="is currently paused"):
        await commands.block_job_cancel(machine, "d0")
    await commands.block_job_resume(machine, "d0")
    await commands.block_job_set_speed(machine, "d0", 0)
    await disk.gone()
    assert await content_of(disk.path("top.qcow2"), force_share=True) == disk.content


async def test_the_spellings_of_2012(disk: Disk) -> None:
    machine = disk.machine
    await commands.block_stream_former(machine, "d0", base="base.raw")
    await commands.block_job_set_speed_former(machine, "d0", 1)
    with pytest.raises(DeviceInUse):
        await commands.block_stream_former(machine, "d0")
    await commands.block_job_cancel_former(machine, "d0")
    with pytest.raises(DeviceInUse, match="Device 'd0' is in use"):
        await commands.block_job_cancel_former(machine, "d0")
    await disk.until("BLOCK_JOB_CANCELLED")
    await disk.gone()
    for call in (
        commands.block_job_cancel_former(machine, "d0"),
        commands.block_job_set_speed_former(machine, "d0", 0),
    ):
        with pytest.raises(BlockJobNotActive, match="Block job 'd0' not found") as caught:
            await call
        assert caught.value.data == {"device": "d0"}


async def test_errors_of_names_and_numbers(disk: Disk) -> None:
    machine = disk.machine
    with pytest.raises(NodeNotFound, match="Cannot find device='nope' nor node-name='nope'") as caught:
        await commands.block_stream(machine, "nope")
    assert (caught.value.class_name, caught.value.lasting_class) == ("DeviceNotFound", "GenericError")
    with pytest.raises(BaseNotFound):
        await commands.block_stream(machine, "d0", base="nope")
    with pytest.raises(InvalidParameterValue, match="Parameter 'speed' expects a non-negative value"):
        await commands.block_stream(machine, "d0", speed=-1)
    with pytest.raises(GenericError, match="Invalid job ID '9j'"):
        await commands.block_stream(machine, "d0", job_id="9j")


async def test_a_commit_is_completed(disk: Disk) -> None:
    machine = disk.machine
    await commands.block_commit(machine, "d0", job_id="c", auto_finalize=False, auto_dismiss=False)
    await disk.until("BLOCK_JOB_READY")
    await commands.block_job_complete(machine, "c")
    await disk.until("BLOCK_JOB_PENDING")
    await commands.block_job_finalize(machine, "c")
    await disk.until("BLOCK_JOB_COMPLETED")
    await commands.block_job_dismiss(machine, "c")
    backend = machine.drives.backends["d0"]
    assert backend.node is not None and backend.node.filename == disk.path("base.raw")
    assert Path(disk.path("base.raw")).read_bytes() == disk.content


@pytest.mark.parametrize("sync", [MirrorSyncMode.FULL, MirrorSyncMode.TOP, MirrorSyncMode.NONE])
async def test_a_drive_is_mirrored_into_a_new_file(disk: Disk, sync: MirrorSyncMode) -> None:
    machine, target = disk.machine, disk.path("mirror.qcow2")
    await commands.drive_mirror(machine, DriveMirror(device="d0", target=target, sync=sync, node_name="mirror"))
    await disk.until("BLOCK_JOB_READY")
    await commands.block_job_complete(machine, "d0")
    await disk.gone()
    backend = machine.drives.backends["d0"]
    assert backend.node is not None and backend.node.node_name == "mirror"
    found = bytearray(SIZE)
    await backend.read(0, [memoryview(found)])
    assert found == disk.content


async def test_a_drive_is_backed_up_into_files(disk: Disk) -> None:
    machine = disk.machine
    for sync in (MirrorSyncMode.FULL, MirrorSyncMode.TOP):
        target = disk.path(f"{sync.value}-backup.qcow2")
        await commands.drive_backup(machine, DriveBackup(device="d0", target=target, sync=sync))
        await disk.gone()
        assert await content_of(target) == disk.content
    again = DriveBackup(
        device="d0", target=target, sync=MirrorSyncMode.FULL, mode=NewImageMode.EXISTING, format="qcow2"
    )
    await commands.drive_backup(machine, again)
    await disk.gone()
    with pytest.raises(GenericError, match="must provide a valid bitmap name"):
        await commands.drive_backup(machine, DriveBackup(device="d0", target=target, sync=MirrorSyncMode.INCREMENTAL))
    with pytest.raises(GenericError, match="Source and target cannot be the same"):
        await commands.blockdev_backup(machine, BlockdevBackup(device="d0", target="d0", sync=MirrorSyncMode.FULL))
    with pytest.raises(GenericError, match="Bitmap 'x' could not be found"):
        backup = BlockdevBackup(device="d0", target="d0", sync=MirrorSyncMode.INCREMENTAL, bitmap="x")
        await commands.blockdev_backup(machine, backup)


async def test_a_mirror_into_a_node(disk: Disk) -> None:
    machine = disk.machine
    Path(disk.path("raw")).write_bytes(bytes(SIZE))
    await machine.drives.add_node({"driver": "raw", "node-name": "t", "file.filename": disk.path("raw")})
    await commands.blockdev_mirror(machine, "d0", "t", MirrorSyncMode.FULL, job_id="m")
    await disk.until("BLOCK_JOB_READY")
    await commands.block_job_cancel(machine, "m")
    await disk.until("BLOCK_JOB_COMPLETED")
    assert Path(disk.path("raw")).read_bytes() == disk.content


async def test_closing_a_machine_with_jobs_leaves_sound_images(disk: Disk) -> None:
    await commands.block_stream(disk.machine, "d0", speed=1)
    await disk.machine.jobs.close()
    await disk.machine.drives.close()
    assert await content_of(disk.path("top.qcow2")) == disk.content


async def test_cont_clears_what_made_a_job_stop_and_leaves_it_paused(machine: FakeMachine, tmp_path: Path) -> None:
    await make_chain(tmp_path, ["base.raw", "top.qcow2"])
    rule = {"event": "none", "iotype": "read", "errno": "ENOSPC", "once": True}
    file = {"driver": "blkdebug", "image.filename": f"{tmp_path}/base.raw", "inject-error": [rule]}
    source = {"filename": f"{tmp_path}/top.qcow2", "backing": {"driver": "raw", "file": file}}
    await machine.drives.open(DriveSpec("d0", source, "qcow2"))
    await commands.block_stream(machine, "d0", job_id="j", on_error=BlockdevOnError.STOP)
    async with asyncio.timeout(10):
        while not (await commands.query_block_jobs(machine))[0].paused:
            await asyncio.sleep(0.005)
    assert (await commands.query_block_jobs(machine))[0].io_status is BlockDeviceIoStatus.NOSPACE
    machine.retry()
    (job,) = await commands.query_block_jobs(machine)
    assert (job.io_status, job.paused) == (BlockDeviceIoStatus.OK, True)
    await commands.block_job_resume(machine, "j")
    async with asyncio.timeout(10):
        while await commands.query_block_jobs(machine):
            await asyncio.sleep(0.005)


async def test_a_drive_in_use_changes_over_to_a_mirror_that_stands_on_it(disk: Disk) -> None:
    machine = disk.machine
    backend = machine.drives.backends["d0"]
    backend.attach("the test", write=True)
    for name in ("first.qcow2", "second.qcow2"):
        disk.events.clear()
        mirror = DriveMirror(device="d0", target=disk.path(name), sync=MirrorSyncMode.NONE)
        await commands.drive_mirror(machine, mirror)
        await disk.until("BLOCK_JOB_READY")
        await commands.block_job_complete(machine, "d0")
        await disk.gone()
        assert backend.node is not None and backend.node.filename == disk.path(name)
    await backend.write(0, [memoryview(b"more")])
    await backend.flush()
    assert await content_of(disk.path("second.qcow2"), force_share=True) == b"more" + disk.content[4:]


async def test_a_mirror_of_a_disk_that_cannot_be_written_cannot_be_written(disk: Disk) -> None:
    machine = disk.machine
    source = {"driver": "raw", "read-only": True, "file.filename": disk.path("closed.raw")}
    Path(disk.path("closed.raw")).write_bytes(disk.content)
    await machine.drives.open(DriveSpec("closed", source))
    backend = machine.drives.backends["closed"]
    target = disk.path("copy.raw")
    await commands.drive_mirror(machine, DriveMirror(device="closed", target=target, sync=MirrorSyncMode.FULL))
    await disk.until("BLOCK_JOB_READY")
    await commands.block_job_complete(machine, "closed")
    await disk.gone()
    assert backend.node is not None and (backend.node.filename, backend.node.read_only) == (target, True)
    assert Path(target).read_bytes() == disk.content


async def test_a_mirror_replaces_nothing_that_shows_other_bytes(disk: Disk) -> None:
    machine = disk.machine
    await machine.drives.add_node({"driver": "null-co", "node-name": "other", "size": SIZE})
    await machine.drives.add_node({"driver": "null-co", "node-name": "target", "size": SIZE})
    for replaced, message in (("other", "abrupt change of visible data"), ("nix", "Failed to find node")):
        with pytest.raises(GenericError, match=message):
            await commands.blockdev_mirror(machine, "d0", "target", MirrorSyncMode.FULL, replaces=replaced)
    mirror = DriveMirror(device="d0", target=disk.path("x"), sync=MirrorSyncMode.FULL, replaces="other")
    with pytest.raises(GenericError, match="a node-name must be provided"):
        await commands.drive_mirror(machine, mirror)
    assert not Path(disk.path("x")).exists()


async def test_what_a_job_cannot_do_is_refused(disk: Disk) -> None:
    machine, target = disk.machine, disk.path("target")
    full, none = MirrorSyncMode.FULL, MirrorSyncMode.NONE
    refused: list[tuple[DriveBackup, str]] = [
        (
            DriveBackup(device="d0", target=target, sync=full, format="raw", compress=True),
            "Compression is not supported",
        ),
        (DriveBackup(device="d0", target=target, sync=none, format="raw"), "Backing file not supported"),
        (DriveBackup(device="d0", target=target, sync=full, format=""), "Unknown file format ''"),
        (DriveBackup(device="d0", target=target, sync=full, x_perf=BackupPerf(max_workers=0)), "max-workers"),
        (DriveBackup(device="d0", target=target, sync=full, x_perf=BackupPerf(max_chunk=-1)), "max-chunk"),
    ]
    for backup, message in refused:
        with pytest.raises(QmpError, match=message):
            await commands.drive_backup(machine, backup)
    with pytest.raises(InvalidParameter, match="buf-size"):
        await commands.drive_mirror(machine, DriveMirror(device="d0", target=target, sync=full, buf_size=-1))
    with pytest.raises(DeviceNotFound, match="Device 'nix' not found"):
        await commands.block_commit(machine, "nix")
    with pytest.raises(GenericError, match="Duplicate nodes with node-name='d0'"):
        await commands.block_commit(machine, "d0", top=disk.path("mid.qcow2"), filter_node_name="d0")
    assert machine.jobs.jobs == {}


async def test_a_cancelled_job_says_that_it_had_no_effect(disk: Disk) -> None:
    machine = disk.machine
    await commands.block_stream(machine, "d0", speed=1, auto_dismiss=False)
    await commands.block_job_cancel(machine, "d0")
    await disk.until("BLOCK_JOB_CANCELLED")
    async with asyncio.timeout(20):
        while (info := (await commands.query_block_jobs(machine))[0]).status is not JobStatus.CONCLUDED:
            await asyncio.sleep(0.001)
    assert (info.error, machine.jobs.jobs["d0"].info().error) == ("Operation canceled", "Operation canceled")
    await commands.block_job_dismiss(machine, "d0")


async def test_a_paused_job_that_is_to_complete_does_when_it_goes_on(disk: Disk) -> None:
    machine = disk.machine
    await commands.drive_mirror(machine, DriveMirror(device="d0", target=disk.path("m"), sync=MirrorSyncMode.FULL))
    await disk.until("BLOCK_JOB_READY")
    await commands.block_job_pause(machine, "d0")
    async with asyncio.timeout(20):
        while (await commands.query_block_jobs(machine))[0].status is not JobStatus.STANDBY:
            await asyncio.sleep(0.001)
    await commands.block_job_complete(machine, "d0")
    await commands.block_job_resume(machine, "d0")
    await disk.gone()
    backend = machine.drives.backends["d0"]
    assert backend.node is not None and backend.node.filename == disk.path("m")
