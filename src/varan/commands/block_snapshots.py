"""Handlers of schema/block-snapshots.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from varan.api.values import NewImageMode, SnapshotInfo
from varan.commands.registry import handler
from varan.machine.machine import Machine

if TYPE_CHECKING:
    from varan.block.formats.qcow2.snapshot_table import Snapshot

SECOND = 1_000_000_000


@handler("blockdev-snapshot-sync")
async def blockdev_snapshot_sync(
    machine: Machine,
    snapshot_file: str,
    device: str | None = None,
    node_name: str | None = None,
    snapshot_node_name: str | None = None,
    format: str | None = None,
    mode: NewImageMode | None = None,
) -> None:
    """Requests wait meanwhile."""
    from varan.block.transactions.external import NewOverlay
    from varan.block.transactions.running import run

    action = NewOverlay(
        snapshot_file,
        device=device,
        node=node_name,
        name=snapshot_node_name,
        format="qcow2" if format is None else format,
        existing=mode is NewImageMode.EXISTING,
    )
    await run(machine.drives.jobs(machine.jobs), action)


@handler("blockdev-snapshot")
async def blockdev_snapshot(machine: Machine, node: str, overlay: str) -> None:
    """Requests wait meanwhile."""
    from varan.block.transactions.external import OpenOverlay
    from varan.block.transactions.running import run

    await run(machine.drives.jobs(machine.jobs), OpenOverlay(node, overlay))


@handler("blockdev-snapshot-internal-sync")
async def blockdev_snapshot_internal_sync(machine: Machine, device: str, name: str) -> None:
    """Requests wait meanwhile."""
    from varan.block.transactions.internal import KeepInside
    from varan.block.transactions.running import run

    await run(machine.drives.jobs(machine.jobs), KeepInside(device, name, machine.environment.virtual.now))


@handler("blockdev-snapshot-delete-internal-sync")
async def blockdev_snapshot_delete_internal_sync(
    machine: Machine, device: str, id: str | None = None, name: str | None = None
) -> SnapshotInfo:
    """Requests wait meanwhile."""
    from varan.block.transactions.internal import delete

    return _info(await delete(machine.drives.jobs(machine.jobs), device, id, name))


def _info(snapshot: Snapshot) -> SnapshotInfo:
    from varan.block.formats.qcow2.snapshot_table import NO_ICOUNT

    return SnapshotInfo(
        id=snapshot.id,
        name=snapshot.name,
        vm_state_size=snapshot.vm_state_size,
        date_sec=snapshot.date,
        date_nsec=snapshot.date_nanoseconds,
        vm_clock_sec=snapshot.vm_clock // SECOND,
        vm_clock_nsec=snapshot.vm_clock % SECOND,
        icount=UNSET if snapshot.icount == NO_ICOUNT else snapshot.icount,
    )
