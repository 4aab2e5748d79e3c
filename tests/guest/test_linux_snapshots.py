"""A Linux guest that writes records to its disks and reads them back while snapshots and backups happen to them."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.guest.test_linux_block_jobs import PATIENCE, goes_on
from tests.support.initrd import make_initrd
from tests.support.job_bench import content_of
from tests.support.kernel import need_busybox, need_kernel

import varan
from varan.api.values import (
    ActionCompletionMode,
    BitmapSyncMode,
    BlockdevSnapshotInternal,
    BlockdevSnapshotInternalSyncTransactionAction,
    BlockdevSnapshotSync,
    BlockdevSnapshotSyncTransactionAction,
    BlockDirtyBitmapAdd,
    BlockDirtyBitmapAddTransactionAction,
    DriveBackup,
    DriveBackupTransactionAction,
    MirrorSyncMode,
    NewImageMode,
    TransactionAction,
    TransactionProperties,
)
from varan.block import create
from varan.machine.spec import BootSpec, DeviceSpec, DriveSpec, MachineSpec

pytestmark = pytest.mark.linux

SIZE = 16 << 20
WRITER = """
i=0
while true; do
    i=$((i + 1)); k=$((i % 16)); j=$((i * 7 % 16))
    seq $i 99999 | head -c 65000 > /tmp/text
    { md5sum < /tmp/text; cat /tmp/text; } | head -c 65000 > /tmp/r$k
    for disk in vda vdb; do
        dd if=/tmp/r$k of=/dev/$disk bs=64k seek=$k conv=notrunc,fsync 2>/dev/null
        if [ -f /tmp/r$j ]; then
            dd if=/dev/$disk bs=64k skip=$j count=1 iflag=direct 2>/dev/null | head -c 65000 | cmp - /tmp/r$j \
                || echo WRONG-RECORD $disk $j
        fi
    done
    echo ROUND $i
done
"""
GROUPED = TransactionProperties(completion_mode=ActionCompletionMode.GROUPED)


def overlay(device: str, file: Path) -> TransactionAction:
    return BlockdevSnapshotSyncTransactionAction(data=BlockdevSnapshotSync(device=device, snapshot_file=str(file)))


def backup(device: str, file: Path, *, first: bool) -> TransactionAction:
    data = DriveBackup(device=device, target=str(file), sync=MirrorSyncMode.FULL, format="qcow2", speed=64 << 20)
    if not first:
        data.sync, data.mode = MirrorSyncMode.BITMAP, NewImageMode.EXISTING
        data.bitmap, data.bitmap_mode = "since", BitmapSyncMode.ON_SUCCESS
    return DriveBackupTransactionAction(data=data)


async def jobs_over(vm: varan.Machine) -> None:
    async with asyncio.timeout(PATIENCE):
        while await vm.qmp.query_block_jobs():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize("format", ["qcow2", "raw"])
async def test_the_guest_sees_its_records_through_backups_and_snapshots(tmp_path: Path, format: str) -> None:
    disks = {device: tmp_path / f"{device}.{format}" for device in ("d0", "d1")}
    copies = {device: tmp_path / f"{device}-copy.qcow2" for device in disks}
    for path in disks.values():
        await create(str(path), SIZE, format=format)
    initrd = tmp_path / "initrd"
    initrd.write_bytes(make_initrd(WRITER, need_busybox(), modules=("virtio_pci", "virtio_blk")))
    spec = MachineSpec(
        memory=256 << 20,
        accelerators=(("unicorn", {}),),
        boot=BootSpec(kernel=str(need_kernel()), initrd=str(initrd), append="console=ttyS0 panic=-1 quiet"),
        serials=("serial0",),
        drives=tuple(
            DriveSpec(device, {"driver": format, "file.filename": str(path)}) for device, path in disks.items()
        ),
        devices=tuple(DeviceSpec("virtio-blk-pci", settings={"drive": device}) for device in disks),
    )
    async with varan.Machine(spec=spec) as vm:
        await vm.start()
        await vm.serial.expect("ROUND 3", timeout=PATIENCE)
        bitmaps: list[TransactionAction] = [
            BlockDirtyBitmapAddTransactionAction(data=BlockDirtyBitmapAdd(node=device, name="since"))
            for device in disks
        ]
        await vm.qmp.transaction([*bitmaps, *(backup(device, copies[device], first=True) for device in disks)])
        await jobs_over(vm)
        for last in (False, True):
            await goes_on(vm)
            if last:
                await vm.pause()
            await vm.qmp.transaction([backup(device, copies[device], first=False) for device in disks], GROUPED)
            await jobs_over(vm)
        blocks = await vm.qmp.query_block()
        counts = [bitmap.count for block in blocks for bitmap in block.inserted.dirty_bitmaps]  # type: ignore[union-attr]
        assert counts == [0, 0]
        for device, path in disks.items():
            assert await content_of(str(path), format=format, force_share=True) == await content_of(str(copies[device]))
        await vm.resume()
        for number in range(3):
            await vm.qmp.transaction([overlay(device, tmp_path / f"{device}-{number}.qcow2") for device in disks])
            await goes_on(vm)
        inside: list[TransactionAction] = [
            BlockdevSnapshotInternalSyncTransactionAction(data=BlockdevSnapshotInternal(device=device, name="s"))
            for device in disks
        ]
        await vm.qmp.transaction(inside)
        await goes_on(vm, rounds=17)
        assert "WRONG-RECORD" not in vm.serial.text
