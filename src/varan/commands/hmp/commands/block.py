"""Disks and their jobs."""

from __future__ import annotations

from varan.api.values import BlockIOThrottle, DriveBackup, DriveMirror, JobType, MirrorSyncMode, NewImageMode
from varan.commands import block_core as core
from varan.commands import block_jobs as handlers
from varan.commands import block_snapshots as snapshots
from varan.commands import block_throttle as throttle_handlers
from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.registry import INFO, command
from varan.commands.hmp.session import HmpSession
from varan.errors import MissingParameter


@command("block-jobs", help="jobs on disks and how far they are", group=INFO)
async def info_block_jobs(session: HmpSession) -> str:
    """A line for each."""
    lines = []
    for job in await handlers.query_block_jobs(session.machine):
        what = "Streaming" if job.type is JobType.STREAM else f"Type {job.type.value},"
        lines.append(
            f"{what} device {job.device}: Completed {job.offset} of {job.len} bytes, speed limit {job.speed} bytes/s\n"
        )
    return "".join(lines) or "No active jobs\n"


@command(
    "block_stream", "device:string speed:size? base:string?", help="copy what images below a device's hold into it"
)
async def block_stream(session: HmpSession, device: str, speed: int | None = None, base: str | None = None) -> str:
    """`speed` is in bytes per second."""
    await handlers.block_stream(session.machine, device, base=base, speed=speed)
    return ""


@command(
    "block_job_set_speed", "device:string speed:size", help="change a job's limit (in MiB per second, or with a suffix)"
)
async def block_job_set_speed(session: HmpSession, device: str, speed: int) -> str:
    """0 is no limit."""
    await handlers.block_job_set_speed(session.machine, device, speed)
    return ""


@command("block_job_cancel", "-f:force device:string", help="end a job (-f: also when it is paused or ready)")
async def block_job_cancel(session: HmpSession, device: str, force: bool = False) -> str:
    """As the QMP command."""
    await handlers.block_job_cancel(session.machine, device, force)
    return ""


@command("block_job_complete", "device:string", help="end a job that is ready, with its effect")
async def block_job_complete(session: HmpSession, device: str) -> str:
    """As the QMP command."""
    await handlers.block_job_complete(session.machine, device)
    return ""


@command("block_job_pause", "device:string", help="stop a job for a while")
async def block_job_pause(session: HmpSession, device: str) -> str:
    """As the QMP command."""
    await handlers.block_job_pause(session.machine, device)
    return ""


@command("block_job_resume", "device:string", help="let a paused job go on")
async def block_job_resume(session: HmpSession, device: str) -> str:
    """As the QMP command."""
    await handlers.block_job_resume(session.machine, device)
    return ""


@command(
    "drive_mirror",
    "-n:reuse -f:full device:string target:string format:string?",
    help="mirror a disk into a file (-n: that is there, -f: all images, not only the topmost)",
)
async def drive_mirror(
    session: HmpSession, device: str, target: str, format: str | None = None, reuse: bool = False, full: bool = False
) -> str:
    """Zeros become holes."""
    arguments = DriveMirror(device=device, target=target, sync=_sync(full), mode=_mode(reuse), unmap=True)
    if format is not None:
        arguments.format = format
    await handlers.drive_mirror(session.machine, arguments)
    return ""


@command(
    "drive_backup",
    "-n:reuse -f:full -c:compress device:string target:string format:string?",
    help="copy a disk as it is now into a file (-n: that is there, -f: all images, -c: compressed)",
)
async def drive_backup(
    session: HmpSession,
    device: str,
    target: str,
    format: str | None = None,
    reuse: bool = False,
    full: bool = False,
    compress: bool = False,
) -> str:
    """The guest goes on writing."""
    arguments = DriveBackup(device=device, target=target, sync=_sync(full), mode=_mode(reuse), compress=compress)
    if format is not None:
        arguments.format = format
    await handlers.drive_backup(session.machine, arguments)
    return ""


def _sync(full: bool) -> MirrorSyncMode:
    return MirrorSyncMode.FULL if full else MirrorSyncMode.TOP


def _mode(reuse: bool) -> NewImageMode:
    return NewImageMode.EXISTING if reuse else NewImageMode.ABSOLUTE_PATHS


@command("commit", "device:string", help="move what a disk's topmost image holds into the one below (all: every disk)")
async def commit(session: HmpSession, device: str) -> str:
    """The guest's requests wait meanwhile."""
    machine = session.machine
    starter = machine.drives.jobs(machine.jobs)
    if device == "all":
        for name in starter.with_backing():
            await starter.commit_at_once(name)
        return ""
    if device not in machine.drives.backends:
        raise HmpError(f"Device '{device}' not found")
    await starter.commit_at_once(device)
    return ""


@command(
    "block_set_io_throttle",
    "device:string bps:integer bps_rd:integer bps_wr:integer iops:integer iops_rd:integer iops_wr:integer",
    help="limit bytes and requests per second of a drive",
)
async def block_set_io_throttle(
    session: HmpSession, device: str, bps: int, bps_rd: int, bps_wr: int, iops: int, iops_rd: int, iops_wr: int
) -> str:
    """By a drive's name, else by a device's id."""
    arguments = BlockIOThrottle(bps=bps, bps_rd=bps_rd, bps_wr=bps_wr, iops=iops, iops_rd=iops_rd, iops_wr=iops_wr)
    if device in session.machine.drives.backends:
        arguments.device = device
    else:
        arguments.id = device
    await throttle_handlers.block_set_io_throttle(session.machine, arguments)
    return ""


@command(
    "snapshot_blkdev",
    "-n:reuse device:string file:string? format:string?",
    help="let a new image take a disk's place, which stays as it is (-n: into a file that is there)",
)
async def snapshot_blkdev(
    session: HmpSession, device: str, file: str | None = None, format: str | None = None, reuse: bool = False
) -> str:
    """The guest goes on writing, into the new image."""
    if file is None:
        raise MissingParameter("snapshot-file")
    await snapshots.blockdev_snapshot_sync(session.machine, file, device=device, format=format, mode=_mode(reuse))
    return ""


@command("snapshot_blkdev_internal", "device:string name:string", help="keep a disk as it is now in its own image")
async def snapshot_blkdev_internal(session: HmpSession, device: str, name: str) -> str:
    """As the QMP command."""
    await snapshots.blockdev_snapshot_internal_sync(session.machine, device, name)
    return ""


@command(
    "snapshot_delete_blkdev_internal",
    "device:string name:string id:string?",
    help="delete a snapshot from a disk's image",
)
async def snapshot_delete_blkdev_internal(session: HmpSession, device: str, name: str, id: str | None = None) -> str:
    """As the QMP command."""
    await snapshots.blockdev_snapshot_delete_internal_sync(session.machine, device, id, name)
    return ""


@command("block_resize", "device:string size:size", help="give a disk another size (in MiB, or with a suffix)")
async def block_resize(session: HmpSession, device: str, size: int) -> str:
    """As the QMP command."""
    await core.block_resize(session.machine, size, device=device)
    return ""
