"""A Linux guest writes records to a disk and reads discs while all that can be done to them is done, by chance."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.guest.test_linux_block_jobs import PATIENCE, WRITER, goes_on
from tests.support.initrd import make_initrd
from tests.support.iso_image import make_iso
from tests.support.job_bench import make_chain
from tests.support.kernel import need_busybox, need_kernel
from tests.support.linux_guest import APPEND

import varan
from varan.api.events import BlockIoError, DeviceTrayMoved
from varan.api.values import (
    BlockDeviceInfo,
    BlockdevOnError,
    BlockErrorAction,
    BlockIOThrottle,
    DriveBackup,
    DriveMirror,
    MirrorSyncMode,
    RunState,
)
from varan.block import create
from varan.embed.local import EventListener
from varan.errors import VaranError
from varan.machine.spec import BootSpec, DeviceSpec, DriveSpec, MachineSpec

pytestmark = [pytest.mark.linux, pytest.mark.timeout(240)]

MIB = 1 << 20
CHAIN = ["base.raw", "mid.qcow2", "top.qcow2"]
SEED, COUNT = 1, 150
DISCS = ("a", "b")
READER = """
discs() {
    mkdir /disc
    while true; do
        if mount -t iso9660 -o ro /dev/sr0 /disc 2>/dev/null; then
            name=$(cat /disc/name.txt)
            seq $name 99999 | head -c 100000 | cmp - /disc/numbers.txt || echo WRONG-DISC $name
            echo DISC $name
            umount /disc
        else
            echo DISC none
        fi
        sleep 0.2
    done
}
discs &
"""
"""Reads what disc there is; the drive is locked meanwhile."""
_ENDS = ("complete", "cancel")
_WITHOUT_JOBS = ("snapshot", "snapshot_that_will_fail", "resize", "commit", "commit_of_the_middle")


def make_disc(path: Path, number: int) -> None:
    numbers = "".join(f"{line}\n" for line in range(number, 30000))[:100000]
    path.write_bytes(make_iso({"NAME.TXT": f"{number}\n".encode(), "NUMBERS.TXT": numbers.encode()}))


class Operations:
    """What is done to the disk `d0` and to the optical drive `cd0`."""

    def __init__(self, vm: varan.Machine, directory: Path, chance: random.Random) -> None:
        self._vm = vm
        self._qmp = vm.qmp
        self._directory = directory
        self._chance = chance
        self._files = 0
        self.done: Counter[str] = Counter()
        self.kinds = [name.removeprefix("do_") for name in dir(self) if name.startswith("do_")]

    async def one(self) -> None:
        """One thing or another; what is refused just then is not done."""
        name = self._chance.choice(self.kinds)
        if self._chance.random() < 0.5:
            # Else there would be a job at most times, which most things have to wait for.
            at_work = await self._qmp.query_block_jobs()
            name = self._chance.choice(_ENDS if at_work else _WITHOUT_JOBS)
            await self.do_deletion()
        with contextlib.suppress(VaranError):
            await getattr(self, f"do_{name}")()
            self.done[name] += 1

    def _file(self) -> str:
        self._files += 1
        return str(self._directory / f"file{self._files}.qcow2")

    async def do_snapshot(self) -> None:
        await self._qmp.blockdev_snapshot_sync(self._file(), device="d0")

    async def do_snapshot_that_will_fail(self) -> None:
        """A new image on a file one of whose writes fails: the machine stops for it."""
        path = self._file()
        node = f"node{self._files}"
        await create(path, await self._size(), format="qcow2")
        errno, iotype = self._chance.choice(["EIO", "ENOSPC"]), self._chance.choice(["write", "flush"])
        rules = [{"event": "none", "iotype": iotype, "errno": errno, "once": True}]
        file: dict[str, Any] = {"driver": "file", "filename": path}
        file = {"driver": "blkdebug", "image": file, "inject-error": rules}
        options = {"driver": "qcow2", "node-name": node, "file": file, "backing": None}
        await self._qmp.execute("blockdev-add", options)
        await self._qmp.blockdev_snapshot(str((await self._medium()).node_name), node)

    async def _medium(self) -> BlockDeviceInfo:
        (drive,) = [info for info in await self._qmp.query_block() if info.device == "d0"]
        assert isinstance(drive.inserted, BlockDeviceInfo)
        return drive.inserted

    async def _size(self) -> int:
        return (await self._medium()).image.virtual_size

    async def do_deletion(self) -> None:
        """Nodes that were added and have no user any more."""
        for number in range(self._files + 1):
            with contextlib.suppress(VaranError):
                await self._qmp.blockdev_del(f"node{number}")

    async def do_stream(self) -> None:
        await self._qmp.block_stream("d0", speed=self._chance.choice([0, 4 * MIB]))

    async def do_commit(self) -> None:
        await self._qmp.block_commit("d0")

    async def do_commit_of_the_middle(self) -> None:
        below = (await self._medium()).backing_file
        if isinstance(below, str):
            await self._qmp.block_commit("d0", top=below)

    async def do_mirror(self) -> None:
        sync = self._chance.choice([MirrorSyncMode.FULL, MirrorSyncMode.TOP, MirrorSyncMode.NONE])
        await self._qmp.drive_mirror(DriveMirror(device="d0", target=self._file(), sync=sync, format="qcow2"))

    async def do_backup(self) -> None:
        sync = self._chance.choice([MirrorSyncMode.FULL, MirrorSyncMode.TOP])
        await self._qmp.drive_backup(DriveBackup(device="d0", target=self._file(), sync=sync, format="qcow2"))

    async def do_complete(self) -> None:
        await self._qmp.block_job_complete("d0")

    async def do_cancel(self) -> None:
        await self._qmp.block_job_cancel("d0", force=self._chance.random() < 0.5)

    async def do_pause_of_a_job(self) -> None:
        await self._qmp.block_job_pause("d0")
        await asyncio.sleep(self._chance.random() / 10)
        await self._qmp.block_job_resume("d0")

    async def do_limit(self) -> None:
        rate, operations = self._chance.choice([(MIB, 0), (0, 50), (0, 0)])
        await self._limit(rate, operations)

    async def _limit(self, rate: int, operations: int) -> None:
        await self._qmp.block_set_io_throttle(
            BlockIOThrottle(
                device="d0", bps=rate, bps_rd=0, bps_wr=0, iops=operations, iops_rd=0, iops_wr=0, group="group"
            )
        )

    async def do_resize(self) -> None:
        await self._qmp.block_resize(self._chance.choice([4, 5, 6]) * MIB, device="d0")

    async def do_eject(self) -> None:
        await self._qmp.eject("cd0")

    async def do_change(self) -> None:
        name = self._chance.choice(DISCS)
        await self._qmp.blockdev_change_medium(str(self._directory / f"{name}.iso"), device="cd0", format="raw")

    async def do_tray(self) -> None:
        await self._qmp.blockdev_open_tray(id="optical")
        await self._qmp.blockdev_close_tray(id="optical")

    async def do_stop_of_the_machine(self) -> None:
        await self._qmp.stop()
        await asyncio.sleep(self._chance.random() / 20)
        await self._qmp.cont()

    async def do_questions(self) -> None:
        await self._qmp.query_blockstats(query_nodes=True)
        await self._qmp.query_named_block_nodes(flat=True)
        await self._qmp.human_monitor_command("info block -v")

    async def end(self) -> None:
        """No limits, no jobs."""
        await self._limit(0, 0)
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


async def mend(vm: varan.Machine, listener: EventListener, seen: Counter[str]) -> None:
    """Let the machine go on after errors, none of which comes twice."""
    async for event in listener:
        seen[event.NAME] += 1
        if isinstance(event, DeviceTrayMoved):
            seen["open" if event.tray_open else "closed"] += 1
        if isinstance(event, BlockIoError) and event.action is BlockErrorAction.STOP:
            async with asyncio.timeout(PATIENCE):
                while vm.status is not RunState.IO_ERROR:
                    await asyncio.sleep(0.005)
            await vm.qmp.cont()


def the_machine(directory: Path) -> MachineSpec:
    initrd = directory / "initrd"
    modules = ("virtio_pci", "virtio_blk", "ata_piix", "sr_mod", "isofs")
    initrd.write_bytes(make_initrd(READER + WRITER, need_busybox(), modules=modules))
    stop = BlockdevOnError.STOP
    disk = DriveSpec("d0", {"driver": "qcow2", "file.filename": str(directory / CHAIN[-1])}, rerror=stop, werror=stop)
    disc = DriveSpec("cd0", {"driver": "raw", "file.filename": str(directory / "a.iso"), "read-only": True})
    return MachineSpec(
        memory=256 * MIB,
        accelerators=(("unicorn", {}),),
        boot=BootSpec(kernel=str(need_kernel()), initrd=str(initrd), append=APPEND),
        serials=("serial0",),
        drives=(disk, disc),
        devices=(
            DeviceSpec("virtio-blk-pci", "disk", settings={"drive": "d0"}),
            DeviceSpec("ide-cd", "optical", "ide.1", {"drive": "cd0"}),
        ),
    )


async def test_the_guest_notices_nothing_of_what_is_done_to_its_disks(tmp_path: Path) -> None:
    await make_chain(tmp_path, CHAIN, size=4 * MIB)
    for number, name in enumerate(DISCS, 1):
        make_disc(tmp_path / f"{name}.iso", number)
    seen: Counter[str] = Counter()
    async with varan.Machine(spec=the_machine(tmp_path)) as vm, vm.qmp.listen() as listener:
        mending = asyncio.create_task(mend(vm, listener, seen))
        await vm.start()
        await vm.serial.expect("ROUND 1", timeout=PATIENCE)
        operations = Operations(vm, tmp_path, random.Random(SEED))

        def all_seen() -> bool:
            lines = {line.strip() for line in vm.serial.text.splitlines()}
            return (
                {"DISC 1", "DISC 2", "DISC none"} <= lines
                and {"BLOCK_IO_ERROR", "open"} <= set(seen)
                and set(operations.kinds) == set(operations.done)
            )

        async with asyncio.timeout(150):
            while sum(operations.done.values()) < COUNT or not all_seen():
                await operations.one()
                await asyncio.sleep(0.05)
                assert not mending.done() or mending.exception() is None
        await operations.end()
        # All of the records that there are, once more.
        await goes_on(vm, rounds=20)
        text = vm.serial.text
        mending.cancel()
    assert "WRONG" not in text
