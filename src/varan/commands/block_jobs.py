"""Handlers of schema/block-jobs.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import UnsetType

from varan.api.values import (
    BackupCommon,
    BlockdevBackup,
    BlockdevOnError,
    BlockJobInfo,
    DriveBackup,
    DriveMirror,
    MirrorCopyMode,
    MirrorSyncMode,
    NewImageMode,
)
from varan.commands.registry import handler
from varan.errors import BlockJobNotActive, DeviceInUse, GenericError, InvalidParameter
from varan.machine.machine import Machine

if TYPE_CHECKING:
    from varan.block.jobs.base import BlockJob
    from varan.block.jobs.starting import JobOptions

T = TypeVar("T")

_MOST_WORKERS = (1 << 31) - 1


def _or(value: T | UnsetType | None, default: T) -> T:
    return default if value is None or isinstance(value, UnsetType) else value


def _or_none(value: T | UnsetType | None) -> T | None:
    return None if isinstance(value, UnsetType) else value


def _find(machine: Machine, id: str) -> BlockJob:
    from varan.block.jobs.base import BlockJob

    job = machine.jobs.jobs.get(id)
    if not isinstance(job, BlockJob):
        raise BlockJobNotActive(id)
    return job


@handler("query-block-jobs")
async def query_block_jobs(machine: Machine) -> list[BlockJobInfo]:
    """In the order in which they began."""
    if not machine.jobs.jobs:
        return []
    from varan.block.jobs.base import BlockJob

    return [job.block_info() for job in machine.jobs.jobs.values() if isinstance(job, BlockJob)]


@handler("block-stream")
async def block_stream(
    machine: Machine,
    device: str,
    job_id: str | None = None,
    base: str | None = None,
    base_node: str | None = None,
    backing_file: str | None = None,
    bottom: str | None = None,
    speed: int | None = None,
    on_error: BlockdevOnError | None = None,
    filter_node_name: str | None = None,
    auto_finalize: bool | None = None,
    auto_dismiss: bool | None = None,
) -> None:
    """Returns when the job has begun."""
    options = _options(job_id, speed, on_error, on_error, auto_finalize, auto_dismiss, filter_node_name)
    await machine.drives.jobs(machine.jobs).stream(
        device, options, base=base, base_node=base_node, bottom=bottom, backing_file=backing_file
    )


@handler("block_stream")
async def block_stream_former(machine: Machine, device: str, base: str | None = None) -> None:
    """The job is called like the device."""
    await block_stream(machine, device, base=base)


@handler("block-commit")
async def block_commit(
    machine: Machine,
    device: str,
    job_id: str | None = None,
    base_node: str | None = None,
    base: str | None = None,
    top_node: str | None = None,
    top: str | None = None,
    backing_file: str | None = None,
    speed: int | None = None,
    on_error: BlockdevOnError | None = None,
    filter_node_name: str | None = None,
    auto_finalize: bool | None = None,
    auto_dismiss: bool | None = None,
) -> None:
    """Returns when the job has begun."""
    options = _options(job_id, speed, on_error, on_error, auto_finalize, auto_dismiss, filter_node_name)
    await machine.drives.jobs(machine.jobs).commit(
        device, options, base=base, base_node=base_node, top=top, top_node=top_node, backing_file=backing_file
    )


@handler("drive-mirror")
async def drive_mirror(machine: Machine, arguments: DriveMirror) -> None:
    """A file that was made stays when the job cannot begin."""
    starter = machine.drives.jobs(machine.jobs)
    _check_buffer(_or(arguments.buf_size, 0))
    if _or_none(arguments.replaces) is not None and _or_none(arguments.node_name) is None:
        raise GenericError("a node-name must be provided when replacing a named node of the graph")
    options = _options(
        arguments.job_id,
        arguments.speed,
        arguments.on_source_error,
        arguments.on_target_error,
        arguments.auto_finalize,
        arguments.auto_dismiss,
        None,
    )
    async with starter.target(
        arguments.device,
        arguments.target,
        _or_none(arguments.format),
        arguments.sync,
        existing=_or(arguments.mode, NewImageMode.ABSOLUTE_PATHS) is NewImageMode.EXISTING,
        name=_or_none(arguments.node_name),
        id=options.id,
    ) as target:
        await starter.mirror(
            arguments.device,
            target,
            arguments.sync,
            options,
            granularity=_or(arguments.granularity, 0),
            write_blocking=_or(arguments.copy_mode, MirrorCopyMode.BACKGROUND) is MirrorCopyMode.WRITE_BLOCKING,
            unmap=_or(arguments.unmap, True),
            replaces=_or_none(arguments.replaces),
        )


@handler("blockdev-mirror")
async def blockdev_mirror(
    machine: Machine,
    device: str,
    target: str,
    sync: MirrorSyncMode,
    job_id: str | None = None,
    replaces: str | None = None,
    speed: int | None = None,
    granularity: int | None = None,
    buf_size: int | None = None,
    on_source_error: BlockdevOnError | None = None,
    on_target_error: BlockdevOnError | None = None,
    filter_node_name: str | None = None,
    copy_mode: MirrorCopyMode | None = None,
    auto_finalize: bool | None = None,
    auto_dismiss: bool | None = None,
) -> None:
    """Data on their way take the same memory whatever `buf_size` says."""
    _check_buffer(buf_size or 0)
    starter = machine.drives.jobs(machine.jobs)
    await starter.mirror(
        device,
        starter.node(target),
        sync,
        _options(job_id, speed, on_source_error, on_target_error, auto_finalize, auto_dismiss, filter_node_name),
        granularity=granularity or 0,
        write_blocking=copy_mode is MirrorCopyMode.WRITE_BLOCKING,
        replaces=replaces,
    )


def _check_buffer(size: int) -> None:
    if size < 0:
        raise InvalidParameter("buf-size")


@handler("drive-backup")
async def drive_backup(machine: Machine, arguments: DriveBackup) -> None:
    """A file that was made stays when the job cannot begin."""
    starter = machine.drives.jobs(machine.jobs)
    options = backup_options(arguments)
    async with starter.target(
        arguments.device,
        arguments.target,
        _or_none(arguments.format),
        arguments.sync,
        existing=_or(arguments.mode, NewImageMode.ABSOLUTE_PATHS) is NewImageMode.EXISTING,
        id=options.id,
    ) as target:
        await starter.backup(
            arguments.device,
            target,
            arguments.sync,
            options,
            bitmap=_or_none(arguments.bitmap),
            bitmap_mode=_or_none(arguments.bitmap_mode),
            compress=_or(arguments.compress, False),
        )


@handler("blockdev-backup")
async def blockdev_backup(machine: Machine, arguments: BlockdevBackup) -> None:
    """Returns when the job has begun."""
    starter = machine.drives.jobs(machine.jobs)
    await starter.backup(
        arguments.device,
        starter.node(arguments.target),
        arguments.sync,
        backup_options(arguments),
        bitmap=_or_none(arguments.bitmap),
        bitmap_mode=_or_none(arguments.bitmap_mode),
        compress=_or(arguments.compress, False),
    )


def backup_options(arguments: BackupCommon | DriveBackup | BlockdevBackup) -> JobOptions:
    """What a backup's job is told. It works at its own pace and in pieces of its own size; wishes are only checked."""
    hints = _or_none(arguments.x_perf)
    if hints is not None:
        if not 0 < _or(hints.max_workers, 1) <= _MOST_WORKERS:
            raise GenericError(f"max-workers must be between 1 and {_MOST_WORKERS}")
        if _or(hints.max_chunk, 0) < 0:
            raise GenericError("max-chunk must be zero (which means no limit) or positive")
    return _options(
        arguments.job_id,
        arguments.speed,
        arguments.on_source_error,
        arguments.on_target_error,
        arguments.auto_finalize,
        arguments.auto_dismiss,
        arguments.filter_node_name,
    )


def _options(
    id: str | UnsetType | None,
    speed: int | UnsetType | None,
    on_source_error: BlockdevOnError | UnsetType | None,
    on_target_error: BlockdevOnError | UnsetType | None,
    auto_finalize: bool | UnsetType | None,
    auto_dismiss: bool | UnsetType | None,
    filter_name: str | UnsetType | None,
) -> JobOptions:
    from varan.block.jobs.starting import JobOptions

    return JobOptions(
        id=_or_none(id),
        speed=_or(speed, 0),
        on_source_error=_or(on_source_error, BlockdevOnError.REPORT),
        on_target_error=_or(on_target_error, BlockdevOnError.REPORT),
        auto_finalize=_or(auto_finalize, True),
        auto_dismiss=_or(auto_dismiss, True),
        filter_name=_or_none(filter_name),
    )


@handler("block-job-set-speed")
async def block_job_set_speed(machine: Machine, device: str, speed: int) -> None:
    """What was copied before does not count."""
    _find(machine, device).set_speed(speed)


@handler("block_job_set_speed")
async def block_job_set_speed_former(machine: Machine, device: str, value: int) -> None:
    """As the newer spelling."""
    await block_job_set_speed(machine, device, value)


@handler("block-job-cancel")
async def block_job_cancel(machine: Machine, device: str, force: bool | None = None) -> None:
    """A paused job is cancelled by force only."""
    job = _find(machine, device)
    if job.state.user_paused and not force:
        raise GenericError(f"The block job for device '{device}' is currently paused")
    machine.jobs.cancel(job, force=bool(force))


@handler("block_job_cancel")
async def block_job_cancel_former(machine: Machine, device: str) -> None:
    """A second time is refused, as it was then."""
    if _find(machine, device).cancelled:
        raise DeviceInUse(device)
    await block_job_cancel(machine, device)


@handler("block-job-pause")
async def block_job_pause(machine: Machine, device: str) -> None:
    """The step under way is finished first."""
    machine.jobs.pause(_find(machine, device))


@handler("block-job-resume")
async def block_job_resume(machine: Machine, device: str) -> None:
    """What failed is tried again."""
    machine.jobs.resume(_find(machine, device))


@handler("block-job-complete")
async def block_job_complete(machine: Machine, device: str) -> None:
    """Returns at once; BLOCK_JOB_COMPLETED tells when it is done."""
    machine.jobs.complete(_find(machine, device))


@handler("block-job-dismiss")
async def block_job_dismiss(machine: Machine, id: str) -> None:
    """The id is free again."""
    machine.jobs.dismiss(_find(machine, id))


@handler("block-job-finalize")
async def block_job_finalize(machine: Machine, id: str) -> None:
    """Returns at once; the jobs tell when they are done."""
    machine.jobs.finalize(_find(machine, id))
