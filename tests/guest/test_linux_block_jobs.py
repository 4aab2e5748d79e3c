"""A Linux guest that writes records to its disk and reads them back while jobs work on the disk."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.initrd import make_initrd
from tests.support.job_bench import content_of, make_chain
from tests.support.kernel import need_busybox, need_kernel
from tests.support.linux_guest import until

import varan
from varan.api.events import BlockJobCompleted
from varan.api.values import DriveBackup, DriveMirror, MirrorCopyMode, MirrorSyncMode
from varan.machine.spec import BootSpec, DeviceSpec, DriveSpec, MachineSpec

pytestmark = pytest.mark.linux

PATIENCE = 90
WRITER = """
i=0
while true; do
    i=$((i + 1)); k=$((i % 16)); j=$((i * 7 % 16))
    seq $i 99999 | head -c 65536 > /tmp/r$k
    dd if=/tmp/r$k of=/dev/vda bs=64k seek=$k conv=notrunc,fsync 2>/dev/null
    if [ -f /tmp/r$j ]; then
        dd if=/dev/vda bs=64k skip=$j count=1 iflag=direct 2>/dev/null | cmp - /tmp/r$j || echo WRONG-RECORD $j
    fi
    echo ROUND $i
done
"""


async def goes_on(vm: varan.Machine, rounds: int = 2) -> None:
    """The guest writes further records."""
    seen = vm.serial.text.count("ROUND")
    async with asyncio.timeout(PATIENCE):
        while vm.serial.text.count("ROUND") < seen + rounds:
            await asyncio.sleep(0.02)


async def job_over(vm: varan.Machine, complete: bool = False) -> None:
    """The job has ended well, when it was completed where that is needed."""
    async with asyncio.timeout(PATIENCE):
        while jobs := await vm.qmp.query_block_jobs():
            if complete and jobs[0].ready and jobs[0].status.value == "ready":
                await goes_on(vm)
                await vm.qmp.block_job_complete("d0")
                complete = False
            await asyncio.sleep(0.02)


async def test_the_guest_sees_its_records_through_every_job(tmp_path: Path) -> None:
    await make_chain(tmp_path, ["base.raw", "one.qcow2", "two.qcow2", "top.qcow2"], size=16 << 20)
    initrd = tmp_path / "initrd"
    initrd.write_bytes(make_initrd(WRITER, need_busybox(), modules=("virtio_pci", "virtio_blk")))
    spec = MachineSpec(
        memory=256 << 20,
        accelerators=(("unicorn", {}),),
        boot=BootSpec(kernel=str(need_kernel()), initrd=str(initrd), append="console=ttyS0 panic=-1 quiet"),
        serials=("serial0",),
        drives=(DriveSpec("d0", {"driver": "qcow2", "file.filename": str(tmp_path / "top.qcow2")}),),
        devices=(DeviceSpec("virtio-blk-pci", settings={"drive": "d0"}),),
    )
    full, speed = MirrorSyncMode.FULL, 32 << 20
    async with varan.Machine(spec=spec) as vm, vm.qmp.listen() as listener:
        await vm.start()
        await vm.serial.expect("ROUND 3", timeout=PATIENCE)
        await vm.qmp.block_commit("d0", top="two.qcow2", base="one.qcow2", speed=speed)
        await job_over(vm)
        backup = DriveBackup(device="d0", target=str(tmp_path / "backup.qcow2"), sync=full, speed=speed)
        await vm.qmp.drive_backup(backup)
        await job_over(vm)
        await vm.qmp.block_stream("d0", base="base.raw", speed=speed)
        await job_over(vm)
        mirror = DriveMirror(
            device="d0",
            target=str(tmp_path / "mirror.qcow2"),
            sync=MirrorSyncMode.TOP,
            copy_mode=MirrorCopyMode.WRITE_BLOCKING,
        )
        await vm.qmp.drive_mirror(mirror)
        await job_over(vm, complete=True)
        await goes_on(vm)
        await vm.qmp.block_commit("d0", speed=speed)
        await job_over(vm, complete=True)
        await goes_on(vm)
        await vm.pause()
        assert "WRONG-RECORD" not in vm.serial.text
        async with asyncio.timeout(PATIENCE):
            for job in ("commit", "backup", "stream", "mirror", "commit"):
                event = await until(listener, BlockJobCompleted)
                assert (event.type.value, isinstance(event.error, str)) == (job, False)
    assert len(await content_of(str(tmp_path / "base.raw"), format="raw")) == 16 << 20
