"""Handlers of schema/transaction.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from msgspec import UnsetType

from varan.api.values import (
    AbortTransactionAction,
    ActionCompletionMode,
    BlockdevBackup,
    BlockdevBackupTransactionAction,
    BlockdevSnapshotInternalSyncTransactionAction,
    BlockdevSnapshotSync,
    BlockdevSnapshotSyncTransactionAction,
    BlockdevSnapshotTransactionAction,
    BlockDirtyBitmapAdd,
    BlockDirtyBitmapAddTransactionAction,
    BlockDirtyBitmapClearTransactionAction,
    BlockDirtyBitmapDisableTransactionAction,
    BlockDirtyBitmapEnableTransactionAction,
    BlockDirtyBitmapMerge,
    BlockDirtyBitmapMergeTransactionAction,
    BlockDirtyBitmapRemoveTransactionAction,
    DriveBackup,
    DriveBackupTransactionAction,
    NewImageMode,
    TransactionAction,
    TransactionProperties,
)
from varan.commands.block_jobs import backup_options
from varan.commands.registry import handler
from varan.machine.machine import Machine

if TYPE_CHECKING:
    from varan.block.transactions.backups import BackupToFile, BackupToNode
    from varan.block.transactions.change import Action
    from varan.block.transactions.external import NewOverlay
    from varan.block.transactions.marks import AddBitmap, MergeBitmaps

T = TypeVar("T")


def _or(value: T | UnsetType | None, default: T) -> T:
    return default if value is None or isinstance(value, UnsetType) else value


def _or_none(value: T | UnsetType | None) -> T | None:
    return None if isinstance(value, UnsetType) else value


@handler("transaction")
async def transaction(
    machine: Machine, actions: list[TransactionAction], properties: TransactionProperties | None = None
) -> None:
    """Returns when all is done, and jobs have begun."""
    from varan.block.transactions.running import run

    mode = ActionCompletionMode.INDIVIDUAL if properties is None else _or_none(properties.completion_mode)
    grouped = mode is ActionCompletionMode.GROUPED
    await run(machine.drives.jobs(machine.jobs), *(_action(machine, each) for each in actions), grouped=grouped)


def _action(machine: Machine, action: TransactionAction) -> Action:
    from varan.block.transactions import abort, external, internal, marks

    match action:
        case AbortTransactionAction():
            return abort.Abort()
        case BlockdevSnapshotSyncTransactionAction():
            return new_overlay(action.data)
        case BlockdevSnapshotTransactionAction():
            return external.OpenOverlay(action.data.node, action.data.overlay)
        case BlockdevSnapshotInternalSyncTransactionAction():
            return internal.KeepInside(action.data.device, action.data.name, machine.environment.virtual.now)
        case DriveBackupTransactionAction():
            return backup_to_file(action.data)
        case BlockdevBackupTransactionAction():
            return backup_to_node(action.data)
        case BlockDirtyBitmapAddTransactionAction():
            return add_bitmap(action.data)
        case BlockDirtyBitmapMergeTransactionAction():
            return merge_bitmaps(action.data)
        case BlockDirtyBitmapRemoveTransactionAction():
            return marks.RemoveBitmap(action.data.node, action.data.name)
        case BlockDirtyBitmapClearTransactionAction():
            return marks.ClearBitmap(action.data.node, action.data.name)
        case BlockDirtyBitmapEnableTransactionAction():
            return marks.EnableBitmap(action.data.node, action.data.name)
        case BlockDirtyBitmapDisableTransactionAction():
            return marks.DisableBitmap(action.data.node, action.data.name)


def new_overlay(arguments: BlockdevSnapshotSync) -> NewOverlay:
    """The action that `blockdev-snapshot-sync` is."""
    from varan.block.transactions.external import NewOverlay

    return NewOverlay(
        arguments.snapshot_file,
        device=_or_none(arguments.device),
        node=_or_none(arguments.node_name),
        name=_or_none(arguments.snapshot_node_name),
        format=_or(arguments.format, "qcow2"),
        existing=_or(arguments.mode, NewImageMode.ABSOLUTE_PATHS) is NewImageMode.EXISTING,
    )


def backup_to_file(arguments: DriveBackup) -> BackupToFile:
    """The action that `drive-backup` is."""
    from varan.block.transactions.backups import BackupToFile

    return BackupToFile(
        arguments.device,
        arguments.target,
        arguments.sync,
        backup_options(arguments),
        bitmap=_or_none(arguments.bitmap),
        bitmap_mode=_or_none(arguments.bitmap_mode),
        compress=_or(arguments.compress, False),
        format=_or_none(arguments.format),
        existing=_or(arguments.mode, NewImageMode.ABSOLUTE_PATHS) is NewImageMode.EXISTING,
    )


def backup_to_node(arguments: BlockdevBackup) -> BackupToNode:
    """The action that `blockdev-backup` is."""
    from varan.block.transactions.backups import BackupToNode

    return BackupToNode(
        arguments.device,
        arguments.target,
        arguments.sync,
        backup_options(arguments),
        bitmap=_or_none(arguments.bitmap),
        bitmap_mode=_or_none(arguments.bitmap_mode),
        compress=_or(arguments.compress, False),
    )


def add_bitmap(arguments: BlockDirtyBitmapAdd) -> AddBitmap:
    """The action that `block-dirty-bitmap-add` is."""
    from varan.block.transactions.marks import AddBitmap

    return AddBitmap(
        arguments.node,
        arguments.name,
        granularity=_or_none(arguments.granularity),
        persistent=_or(arguments.persistent, False),
        enabled=not _or(arguments.disabled, False),
    )


def merge_bitmaps(arguments: BlockDirtyBitmapMerge) -> MergeBitmaps:
    """The action that `block-dirty-bitmap-merge` is."""
    from varan.block.transactions.marks import MergeBitmaps

    sources = tuple((None, each) if isinstance(each, str) else (each.node, each.name) for each in arguments.bitmaps)
    return MergeBitmaps(arguments.node, arguments.target, sources=sources)
