"""Snapshots, transactions and dirty bitmaps by the commands of the protocol, on drives without devices."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.fake_machine import FakeMachine

from varan.api.values import (
    Abort,
    AbortTransactionAction,
    ActionCompletionMode,
    BlockdevSnapshotInternal,
    BlockdevSnapshotInternalSyncTransactionAction,
    BlockdevSnapshotSync,
    BlockdevSnapshotSyncTransactionAction,
    BlockDirtyBitmap,
    BlockDirtyBitmapAdd,
    BlockDirtyBitmapAddTransactionAction,
    BlockDirtyBitmapMerge,
    BlockDirtyBitmapRemoveTransactionAction,
    DriveBackup,
    DriveBackupTransactionAction,
    MirrorSyncMode,
    NewImageMode,
    TransactionAction,
    TransactionProperties,
)
from varan.block import create
from varan.block.image import open_image
from varan.commands import block_bitmaps, block_snapshots
from varan.commands.block_core import blockdev_del
from varan.commands.transaction import transaction
from varan.errors import DeviceNotFound, GenericError, QmpError
from varan.machine.spec import DriveSpec
from varan.qmp.profile import Profile

SIZE = 1 << 20


@pytest.fixture
async def disks(machine: FakeMachine, tmp_path: Path) -> AsyncIterator[FakeMachine]:
    """`d0` to `d3`."""
    for number in range(4):
        path = str(tmp_path / f"{number}.qcow2")
        await create(path, SIZE, format="qcow2")
        await machine.drives.open(DriveSpec(f"d{number}", {"driver": "qcow2", "file.filename": path}))
    yield machine


def filename(machine: FakeMachine, device: str) -> str:
    node = machine.drives.backends[device].node
    assert node is not None
    return os.path.basename(node.filename)


def snapshot_of(device: str, file: Path) -> TransactionAction:
    return BlockdevSnapshotSyncTransactionAction(data=BlockdevSnapshotSync(device=device, snapshot_file=str(file)))


async def test_all_disks_change_over_or_none(disks: FakeMachine, tmp_path: Path) -> None:
    files = sorted(os.listdir(tmp_path))
    actions = [snapshot_of(f"d{number}", tmp_path / f"over{number}.qcow2") for number in range(4)]
    with pytest.raises(DeviceNotFound):
        await transaction(disks, [*actions, snapshot_of("d4", tmp_path / "over4.qcow2")])
    assert sorted(os.listdir(tmp_path)) == files
    assert [filename(disks, f"d{number}") for number in range(4)] == files
    await transaction(disks, actions)
    assert [filename(disks, f"d{number}") for number in range(4)] == [f"over{number}.qcow2" for number in range(4)]


async def test_jobs_of_a_transaction_end_together(disks: FakeMachine, tmp_path: Path) -> None:
    actions: list[TransactionAction] = [
        DriveBackupTransactionAction(
            data=DriveBackup(device=f"d{number}", target=str(tmp_path / f"b{number}"), sync=MirrorSyncMode.FULL)
        )
        for number in range(3)
    ]
    for action in actions:
        action.data.speed = 1  # type: ignore[union-attr]
    grouped = TransactionProperties(completion_mode=ActionCompletionMode.GROUPED)
    for number in range(3):
        await disks.drives.backends[f"d{number}"].write(0, [memoryview(bytes([7]) * SIZE)])
    await transaction(disks, actions, grouped)
    assert sorted(disks.jobs.jobs) == ["d0", "d1", "d2"]
    disks.jobs.cancel(disks.jobs.find("d1"), force=True)
    async with asyncio.timeout(10):
        while disks.jobs.jobs:
            await asyncio.sleep(0.001)


async def test_bitmaps_by_command(disks: FakeMachine) -> None:
    await block_bitmaps.block_dirty_bitmap_add(disks, BlockDirtyBitmapAdd(node="d0", name="a", granularity=65536))
    await block_bitmaps.block_dirty_bitmap_add(disks, BlockDirtyBitmapAdd(node="d1", name="b", granularity=65536))
    for device in ("d0", "d1"):
        offset = 65536 if device == "d0" else 131072
        await disks.drives.backends[device].write(offset, [memoryview(b"x" * 512)])
    a = BlockDirtyBitmap(node="d0", name="a")
    merge = BlockDirtyBitmapMerge(node="d0", target="a", bitmaps=["a", BlockDirtyBitmap(node="d1", name="b")])
    sums = []
    for step in (
        block_bitmaps.block_dirty_bitmap_disable(disks, a),
        block_bitmaps.block_dirty_bitmap_merge(disks, merge),
        block_bitmaps.block_dirty_bitmap_enable(disks, a),
        block_bitmaps.block_dirty_bitmap_clear(disks, a),
    ):
        await step
        sums.append((await block_bitmaps.x_debug_block_dirty_bitmap_sha256(disks, a)).sha256[:8])
    # Of words with the bits 1, 1 and 2, and none.
    assert sums == [sums[0], sums[1], sums[1], "af5570f5"] and len(set(sums)) == 3
    await block_bitmaps.block_dirty_bitmap_remove(disks, a)
    with pytest.raises(GenericError, match="Dirty bitmap 'a' not found"):
        await block_bitmaps.block_dirty_bitmap_clear(disks, a)
    with pytest.raises(GenericError, match="Node 'nope' not found"):
        await block_bitmaps.block_dirty_bitmap_clear(disks, BlockDirtyBitmap(node="nope", name="a"))


async def test_actions_on_bitmaps_and_inside_of_images(disks: FakeMachine) -> None:
    add = BlockDirtyBitmapAddTransactionAction(data=BlockDirtyBitmapAdd(node="d0", name="a"))
    remove = BlockDirtyBitmapRemoveTransactionAction(data=BlockDirtyBitmap(node="d0", name="a"))
    inside = BlockdevSnapshotInternalSyncTransactionAction(data=BlockdevSnapshotInternal(device="d0", name="s"))
    with pytest.raises(GenericError, match="Transaction aborted using Abort action"):
        await transaction(disks, [add, inside, AbortTransactionAction(data=Abort())])
    await transaction(disks, [add, inside])
    await transaction(disks, [remove])
    info = await block_snapshots.blockdev_snapshot_delete_internal_sync(disks, "d0", name="s")
    assert (info.id, info.name, info.vm_state_size) == ("1", "s", 0)


async def test_errors_of_protocol_1_1_have_their_class(disks: FakeMachine) -> None:
    rich = Profile.named("1.1")
    for arguments, kind, data in (
        ({"device": "nope"}, "DeviceNotFound", {"device": "nope"}),
        ({"device": "d0", "format": "nope"}, "InvalidBlockFormat", {"name": "nope"}),
        ({"device": "d0", "snapshot_file": "/nonexistent/s"}, "OpenFileFailed", {"filename": "/nonexistent/s"}),
    ):
        with pytest.raises(QmpError) as caught:
            await block_snapshots.blockdev_snapshot_sync(disks, **{"snapshot_file": "s"} | arguments)
        rendered = rich.render(caught.value)
        assert (rendered["class"], rendered["data"]) == (kind, data)


async def test_a_chain_whose_headers_name_not_all_of_it_is_found_whole_by_later_snapshots(
    disks: FakeMachine, tmp_path: Path
) -> None:
    """An image that was there names no backing file, though it stands on one now."""
    backend = disks.drives.backends["d0"]
    await backend.write(0, [memoryview(b"below")])
    existing, top = str(tmp_path / "existing.qcow2"), str(tmp_path / "top.qcow2")
    await create(existing, SIZE, format="qcow2")
    await block_snapshots.blockdev_snapshot_sync(disks, existing, device="d0", mode=NewImageMode.EXISTING)
    await block_snapshots.blockdev_snapshot_sync(disks, top, device="d0")
    async with open_image(top, force_share=True, read_only=True) as image:
        assert await image.read(0, 5) == b"below"


async def test_no_name_is_no_format(disks: FakeMachine, tmp_path: Path) -> None:
    with pytest.raises(QmpError, match="Unknown file format ''"):
        await block_snapshots.blockdev_snapshot_sync(disks, str(tmp_path / "x"), device="d0", format="")
    assert not (tmp_path / "x").exists()


async def test_an_overlay_of_what_nobody_uses_is_not_in_the_way(disks: FakeMachine, tmp_path: Path) -> None:
    await create(str(tmp_path / "free.qcow2"), SIZE, format="qcow2")
    file = {"driver": "file", "filename": str(tmp_path / "free.qcow2")}
    await disks.drives.add_node({"driver": "qcow2", "node-name": "free", "file": file})
    await block_snapshots.blockdev_snapshot_sync(
        disks, str(tmp_path / "over.qcow2"), node_name="free", snapshot_node_name="over"
    )
    assert "over" not in disks.drives.graph.nodes
    await blockdev_del(disks, "free")


async def test_a_file_that_could_not_be_made_need_not_be_removed(
    disks: FakeMachine, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    for below in ("file", "nix"):
        with pytest.raises(QmpError, match="Could not create"):
            await transaction(disks, [snapshot_of("d0", tmp_path / below / "x")])
    assert caplog.messages == []
