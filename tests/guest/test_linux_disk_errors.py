"""A Linux guest writes records to a disk whose host runs out of space, or fails.

The machine stops, and goes on when that is mended. The guest sees no error, and all of its records are there.
"""

from __future__ import annotations

import asyncio
import hashlib
import resource
import subprocess
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.initrd import make_initrd
from tests.support.kernel import need_busybox, need_kernel
from tests.support.linux_guest import until
from tests.support.need import need, need_tool

import varan
import varan.block
from varan.api.events import BlockIoError, DeviceDeleted, Stop
from varan.api.values import BlockDeviceIoStatus, BlockdevOnError, BlockErrorAction, IoOperationType, RunState
from varan.embed.local import EventListener
from varan.machine.spec import BootSpec, DeviceSpec, DriveSpec, MachineSpec

pytestmark = [pytest.mark.linux, pytest.mark.timeout(180)]

MIB = 1 << 20
PATIENCE = 90
RECORD = 64 << 10
WRITERS, RECORDS = 3, 16
DISKS: dict[str, tuple[str, tuple[str, ...], DeviceSpec]] = {
    "virtio": (
        "vda",
        ("virtio_pci", "virtio_blk"),
        DeviceSpec("virtio-blk-pci", "disk", settings={"drive": "d0", "num-queues": 2}),
    ),
    "ide": ("sda", ("ata_piix", "sd_mod"), DeviceSpec("ide-hd", settings={"drive": "d0"})),
}
"""What Linux calls it, its modules, and the device."""
SCRIPT = f"""
until test -b /dev/DISK; do sleep 0.1; done
write() {{
    i=0
    while [ $i -lt {RECORDS} ]; do
        at=$(($1 * {RECORDS} + i)); i=$((i + 1))
        seq $((at * 1000)) 999999 | head -c {RECORD} > /tmp/record$1
        dd if=/tmp/record$1 of=/dev/DISK bs=64k seek=$at conv=notrunc,fsync oflag=direct 2>/dev/null || echo GUEST-ERROR
    done
}}
for writer in 0 1 2; do write $writer & done
wait
dmesg | grep -i 'error' && echo GUEST-ERROR
dd if=/dev/DISK bs=64k count={WRITERS * RECORDS} iflag=direct 2>/dev/null | md5sum
echo THE-END
"""


def expected() -> bytes:
    """What is on the disk in the end."""
    records = []
    for at in range(WRITERS * RECORDS):
        numbers = range(at * 1000, at * 1000 + RECORD // 2)
        records.append("".join(f"{number}\n" for number in numbers).encode()[:RECORD])
    return b"".join(records)


@asynccontextmanager
async def writing(
    folder: Path, source: dict[str, Any], kind: str = "virtio", **policies: BlockdevOnError
) -> AsyncIterator[tuple[varan.Machine, EventListener]]:
    """A guest that writes its records to `source`."""
    name, modules, device = DISKS[kind]
    initrd = folder / "initrd"
    initrd.write_bytes(make_initrd(SCRIPT.replace("DISK", name), need_busybox(), modules=modules))
    spec = MachineSpec(
        memory=256 * MIB,
        accelerators=(("unicorn", {}),),
        boot=BootSpec(kernel=str(need_kernel()), initrd=str(initrd), append="console=ttyS0 panic=-1 quiet"),
        serials=("serial0",),
        drives=(DriveSpec("d0", source, **policies),),
        devices=(device,),
    )
    async with varan.Machine(spec=spec) as vm, vm.qmp.listen() as listener:
        await vm.start()
        yield vm, listener


async def stopped(vm: varan.Machine, listener: EventListener) -> BlockIoError:
    """The machine has stopped for an error: the first one."""
    error = await until(listener, BlockIoError)
    assert error.action is BlockErrorAction.STOP
    assert error.device == "d0"
    await until(listener, Stop)
    assert (await vm.qmp.query_status()).status is RunState.IO_ERROR
    return error


async def finished(vm: varan.Machine) -> None:
    """The guest has written and read its records, and saw no error."""
    await vm.serial.expect("THE-END", timeout=PATIENCE)
    text = vm.serial.text
    assert "GUEST-ERROR" not in text
    assert hashlib.md5(expected()).hexdigest() in text


@contextmanager
def small_file_system(folder: Path, size: int) -> Iterator[Path]:
    """A file system of `size` bytes."""
    place = folder / "small"
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(place)], check=False, capture_output=True
    )
    need(mounted.returncode == 0, "file systems can only be mounted by root")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


@pytest.mark.parametrize(("format", "kind"), [("raw", "virtio"), ("qcow2", "virtio"), ("raw", "ide")])
async def test_a_full_file_system_stops_the_machine_until_there_is_space(
    tmp_path: Path, format: str, kind: str
) -> None:
    with small_file_system(tmp_path, 4 * MIB) as small:
        image, filler = str(small / "disk"), small / "filler"
        await varan.block.create(image, 8 * MIB, format=format)
        filler.write_bytes(bytes(3 * MIB))
        async with writing(tmp_path, {"driver": format, "file.filename": image}, kind) as (vm, listener):
            for left in (2 * MIB, 0):
                error = await stopped(vm, listener)
                assert (error.operation, error.nospace) == (IoOperationType.WRITE, True)
                assert error.reason == "No space left on device"
                with filler.open("r+b") as file:
                    file.truncate(left)
                await vm.resume()
            await finished(vm)
        async with varan.block.open(image, format=format, read_only=True) as disk:
            assert await disk.read(0, WRITERS * RECORDS * RECORD) == expected()


async def test_a_full_disk_of_the_host_stops_the_machine_until_there_is_space(tmp_path: Path) -> None:
    device, place = tmp_path / "device", tmp_path / "ext4"
    device.write_bytes(bytes(8 * MIB))
    place.mkdir()
    subprocess.run(
        [need_tool("mke2fs", "e2fsprogs"), "-q", "-t", "ext4", "-O", "^has_journal", str(device)], check=True
    )
    mounted = subprocess.run(["mount", "-o", "loop", str(device), str(place)], check=False, capture_output=True)
    need(mounted.returncode == 0, "file systems can only be mounted by root")
    try:
        image, filler = str(place / "disk"), place / "filler"
        await varan.block.create(image, 8 * MIB, format="raw")
        filler.write_bytes(bytes(5 * MIB))
        async with writing(tmp_path, {"driver": "raw", "file.filename": image}) as (vm, listener):
            assert (await stopped(vm, listener)).nospace is True
            filler.unlink()
            await vm.resume()
            await finished(vm)
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


async def test_space_can_be_made_elsewhere(tmp_path: Path) -> None:
    """By a snapshot: what failed goes to another image, in another place."""
    with small_file_system(tmp_path, MIB) as small:
        image, above = str(small / "disk"), str(tmp_path / "above.qcow2")
        await varan.block.create(image, 8 * MIB, format="raw")
        async with writing(tmp_path, {"driver": "raw", "file.filename": image}) as (vm, listener):
            await stopped(vm, listener)
            await vm.qmp.blockdev_snapshot_sync(device="d0", snapshot_file=above, format="qcow2")
            await vm.resume()
            await finished(vm)
        async with varan.block.open(above, format="qcow2", read_only=True) as disk:
            assert await disk.read(0, WRITERS * RECORDS * RECORD) == expected()


async def test_without_space_made_it_stops_again(tmp_path: Path) -> None:
    with small_file_system(tmp_path, MIB) as small:
        image = str(small / "disk")
        await varan.block.create(image, 8 * MIB, format="raw")
        async with writing(tmp_path, {"driver": "raw", "file.filename": image}) as (vm, listener):
            await stopped(vm, listener)
            await vm.resume()
            await stopped(vm, listener)
            subprocess.run(["mount", "-o", f"remount,size={8 * MIB}", str(small)], check=True)
            await vm.resume()
            await finished(vm)


async def test_a_file_that_may_not_grow_wants_for_space_too(tmp_path: Path) -> None:
    image = str(tmp_path / "disk")
    await varan.block.create(image, 8 * MIB, format="qcow2")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    source = {"driver": "qcow2", "file.filename": image}
    async with writing(tmp_path, source) as (vm, listener):
        resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, before[1]))
        try:
            assert (await stopped(vm, listener)).reason == "File too large"
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
        await vm.resume()
        await finished(vm)


@pytest.mark.parametrize("kind", DISKS)
@pytest.mark.parametrize("iotype", ["read", "write", "flush"])
async def test_faults_of_the_disk_are_tried_again_as_often_as_they_come(tmp_path: Path, iotype: str, kind: str) -> None:
    base = tmp_path / "base"
    base.write_bytes(bytes(8 * MIB))
    image = str(tmp_path / "disk")
    await varan.block.create(image, 8 * MIB, format="qcow2", backing_file=str(base), backing_fmt="raw")
    rules = [{"event": "none", "iotype": iotype, "errno": "EIO", "once": True}] * 4
    faulty = {"driver": "blkdebug", "inject-error": rules}
    if iotype == "read":
        # The guest reads through the backing file whose reads fail.
        below = {"driver": "raw", "file": faulty | {"image.filename": str(base)}}
        source: dict[str, Any] = {"driver": "qcow2", "file.filename": image, "backing": below}
    else:
        source = {"driver": "qcow2", "file": faulty | {"image.filename": image}}
    stop = {"rerror": BlockdevOnError.STOP, "werror": BlockdevOnError.STOP}
    operation = IoOperationType.READ if iotype == "read" else IoOperationType.WRITE
    async with writing(tmp_path, source, kind, **stop) as (vm, listener):
        ended = asyncio.create_task(finished(vm))
        failures = 0
        while True:
            stop_seen = asyncio.create_task(until(listener, BlockIoError))
            await asyncio.wait([ended, stop_seen], return_when=asyncio.FIRST_COMPLETED)
            if not stop_seen.done():
                stop_seen.cancel()
                break
            assert stop_seen.result().operation is operation
            failures += 1
            await vm.resume()
        await ended
        # Each stop flushes the disks: flushes and writes of metadata meet faults, too.
        assert failures == len(rules) if iotype == "read" else 0 < failures <= len(rules)


async def broken(folder: Path) -> dict[str, Any]:
    """A disk whose first write fails."""
    image = str(folder / "disk")
    await varan.block.create(image, 8 * MIB, format="raw")
    rule = {"event": "none", "iotype": "write", "errno": "EIO", "once": True}
    return {"driver": "raw", "file": {"driver": "blkdebug", "image.filename": image, "inject-error": [rule]}}


async def test_a_reset_drops_what_waits(tmp_path: Path) -> None:
    async with writing(tmp_path, await broken(tmp_path), werror=BlockdevOnError.STOP) as (vm, listener):
        await stopped(vm, listener)
        await vm.qmp.system_reset()
        assert (await vm.qmp.query_status()).status is RunState.PRELAUNCH
        (disk,) = await vm.qmp.query_block()
        assert disk.io_status is BlockDeviceIoStatus.FAILED
        await vm.resume()
        (disk,) = await vm.qmp.query_block()
        assert disk.io_status is BlockDeviceIoStatus.OK
        await finished(vm)


async def test_a_disk_is_asked_for_while_its_requests_wait(tmp_path: Path) -> None:
    async with writing(tmp_path, await broken(tmp_path), werror=BlockdevOnError.STOP) as (vm, listener):
        await stopped(vm, listener)
        await vm.qmp.device_del("disk")
        await vm.resume()
        await until(listener, DeviceDeleted)
        assert await vm.qmp.query_block() == []


async def test_the_machine_ends_while_requests_wait(tmp_path: Path) -> None:
    async with writing(tmp_path, await broken(tmp_path), werror=BlockdevOnError.STOP) as (vm, listener):
        await stopped(vm, listener)
        await vm.qmp.quit()
        async with asyncio.timeout(PATIENCE):
            await vm.wait_closed()
