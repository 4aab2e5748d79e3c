"""A Linux guest with sixteen disks, each with jobs at work that are paused, cancelled, completed and that fail."""

from __future__ import annotations

import asyncio
import contextlib
import random
from pathlib import Path
from typing import Any

import pytest
from tests.guest.test_linux_block_jobs import PATIENCE, goes_on
from tests.support.initrd import make_initrd
from tests.support.job_bench import make_chain
from tests.support.kernel import need_busybox, need_kernel

import varan
from varan.api.events import BlockJobCancelled, BlockJobCompleted
from varan.api.values import BlockdevBackup, BlockdevSnapshotSync, BlockdevSnapshotSyncTransactionAction, MirrorSyncMode
from varan.block import create
from varan.embed.local import EventListener
from varan.errors import VaranError
from varan.machine.spec import BootSpec, DeviceSpec, DriveSpec, MachineSpec

pytestmark = pytest.mark.linux

SIZE = 4 << 20
LETTERS = "abcdefghijklmnop"
CHAIN = ["base.raw", "mid.qcow2", "top.qcow2"]
WRITER = """
check() {
    dd if=/dev/vd$1 bs=32k skip=$2 count=1 iflag=direct 2>/dev/null | cmp - /tmp/$1$2 || echo WRONG-RECORD $1 $2
}
i=0
while true; do
    i=$((i + 1)); k=$((i % 8))
    for d in a b c d e f g h i j k l m n o p; do
        { echo $d; seq $i 99999; } | head -c 32768 > /tmp/$d$k
        dd if=/tmp/$d$k of=/dev/vd$d bs=32k seek=$k conv=notrunc,fsync 2>/dev/null
    done
    for d in a b c d e f g h i j k l m n o p; do
        check $d $((i * 5 % 8 < i ? i * 5 % 8 : k)) < /dev/null
    done
    echo ROUND $i
done
"""


class Jobs:
    """What happens to the disks meanwhile."""

    def __init__(self, vm: varan.Machine, directory: Path) -> None:
        self._qmp = vm.qmp
        self._directory = directory
        self._chance = random.Random(7)
        self.begun = 0

    async def begin(self, device: str) -> None:
        """Some job of a disk; every other copy fails, for its target cannot be written."""
        chance, full = self._chance, MirrorSyncMode.FULL
        speed = chance.choice([0, 1 << 20, 8 << 20])
        what = chance.choice(["stream", "commit", "mirror", "backup"])
        if what == "stream":
            await self._qmp.block_stream(device, speed=speed)
        elif what == "commit":
            await self._qmp.block_commit(device, speed=speed)
        else:
            node = await self._target(broken=chance.random() < 0.5)
            if what == "mirror":
                await self._qmp.blockdev_mirror(device, node, full, job_id=device, speed=speed)
            else:
                await self._qmp.blockdev_backup(
                    BlockdevBackup(device=device, target=node, sync=full, job_id=device, speed=speed)
                )
        self.begun += 1

    async def _target(self, *, broken: bool) -> str:
        """A node over a new image."""
        self.begun += 1
        name = f"target{self.begun}"
        path = str(self._directory / f"{name}.qcow2")
        await create(path, SIZE, format="qcow2")
        file: dict[str, Any] = {"driver": "file", "filename": path}
        if broken:
            rules = [{"event": "none", "iotype": "write", "errno": "ENOSPC", "once": True}]
            file = {"driver": "blkdebug", "image": file, "inject-error": rules}
        await self._qmp.execute("blockdev-add", {"driver": "qcow2", "node-name": name, "file": file})
        return name

    async def bother(self, device: str) -> None:
        """Ask something of a job."""
        chance = self._chance
        with contextlib.suppress(VaranError):
            match chance.choice(["pause", "resume", "cancel", "force", "slow", "fast", "complete"]):
                case "pause":
                    await self._qmp.block_job_pause(device)
                case "resume":
                    await self._qmp.block_job_resume(device)
                case "cancel":
                    await self._qmp.block_job_cancel(device)
                case "force":
                    await self._qmp.block_job_cancel(device, force=True)
                case "complete":
                    await self._qmp.block_job_complete(device)
                case speed:
                    await self._qmp.block_job_set_speed(device, 1 << 20 if speed == "slow" else 0)

    async def go_on(self) -> None:
        """One thing or another."""
        chance = self._chance
        at_work = {job.device for job in await self._qmp.query_block_jobs()}
        free = [letter for letter in LETTERS if letter not in at_work]
        if free and (len(at_work) < 8 or chance.random() < 0.3):
            with contextlib.suppress(VaranError):
                await self.begin(chance.choice(free))
        elif at_work and chance.random() < 0.8:
            await self.bother(chance.choice(sorted(at_work)))
        else:
            self.begun += 1
            with contextlib.suppress(VaranError):
                await self._qmp.transaction(
                    [
                        BlockdevSnapshotSyncTransactionAction(
                            data=BlockdevSnapshotSync(
                                device=letter, snapshot_file=str(self._directory / f"{letter}{self.begun}.qcow2")
                            )
                        )
                        for letter in chance.sample(free, min(len(free), 3))
                    ]
                )

    async def end(self) -> None:
        """Every job is over."""
        async with asyncio.timeout(PATIENCE):
            while jobs := await self._qmp.query_block_jobs():
                for job in jobs:
                    with contextlib.suppress(VaranError):
                        await self._qmp.block_job_set_speed(job.device, 0)
                        if job.paused:
                            await self._qmp.block_job_resume(job.device)
                        if job.ready:
                            await self._qmp.block_job_complete(job.device)
                await asyncio.sleep(0.02)


async def collect(listener: EventListener, ends: set[tuple[str, bool]]) -> None:
    """How jobs have ended."""
    async for event in listener:
        if isinstance(event, BlockJobCompleted):
            ends.add(("completed", isinstance(event.error, str)))
        elif isinstance(event, BlockJobCancelled):
            ends.add(("cancelled", False))


async def test_every_disk_has_its_records_whatever_jobs_there_were(tmp_path: Path) -> None:
    drives = []
    for letter in LETTERS:
        (tmp_path / letter).mkdir()
        await make_chain(tmp_path / letter, CHAIN, size=SIZE, seed=ord(letter))
        drives.append(DriveSpec(letter, {"driver": "qcow2", "file.filename": str(tmp_path / letter / CHAIN[-1])}))
    initrd = tmp_path / "initrd"
    initrd.write_bytes(make_initrd(WRITER, need_busybox(), modules=("virtio_pci", "virtio_blk")))
    spec = MachineSpec(
        memory=256 << 20,
        accelerators=(("unicorn", {}),),
        boot=BootSpec(kernel=str(need_kernel()), initrd=str(initrd), append="console=ttyS0 panic=-1 quiet"),
        serials=("serial0",),
        drives=tuple(drives),
        devices=tuple(DeviceSpec("virtio-blk-pci", settings={"drive": drive.id}) for drive in drives),
    )
    async with varan.Machine(spec=spec) as vm, vm.qmp.listen() as listener:
        ends: set[tuple[str, bool]] = set()
        collecting = asyncio.create_task(collect(listener, ends))
        await vm.start()
        await vm.serial.expect("ROUND 1", timeout=PATIENCE)
        jobs = Jobs(vm, tmp_path)
        rounds = vm.serial.text.count("ROUND")
        async with asyncio.timeout(PATIENCE):
            while vm.serial.text.count("ROUND") < rounds + 3 or jobs.begun < 40 or len(ends) < 3:
                await jobs.go_on()
                await asyncio.sleep(0.02)
        await jobs.end()
        # All of the records that there are, once more.
        await goes_on(vm, rounds=9)
        await vm.pause()
        assert "WRONG-RECORD" not in vm.serial.text
        collecting.cancel()
        assert ends == {("completed", False), ("completed", True), ("cancelled", False)}
