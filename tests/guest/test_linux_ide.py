"""Linux guests with IDE disks and optical drives: data, media, trays and locks."""

from __future__ import annotations

import asyncio
import hashlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from tests.support.initrd import make_initrd
from tests.support.iso_image import make_iso
from tests.support.kernel import need_busybox, need_kernel
from tests.support.linux_guest import APPEND, PATIENCE, until
from tests.support.tray_program import install

from varan.api.events import DeviceTrayMoved
from varan.embed.local import EventListener
from varan.embed.vm import Machine
from varan.errors import DeviceLocked
from varan.machine.spec import BootSpec, DeviceSpec, DriveSpec, MachineSpec

pytestmark = pytest.mark.linux

MIB = 1 << 20
MODULES = ("ata_piix", "sd_mod", "sr_mod", "isofs")
LOOP = """
echo GUEST-IS-READY
while read -r line; do
  eval "$line" 2>&1
  echo "DONE-$?"
done
"""


def make_image(path: Path, seed: int, size: int) -> bytes:
    data = random.Random(seed).randbytes(size)
    path.write_bytes(data)
    return data


def md5(data: bytes) -> str:
    return hashlib.md5(data).hexdigest()


async def ask(vm: Machine, line: str) -> str:
    """What a line prints in the guest's shell."""
    seen = len(vm.serial.text)
    vm.serial.send_line(line)
    async with asyncio.timeout(PATIENCE):
        while "DONE-" not in (text := vm.serial.text[seen:].replace("\r", "").removeprefix(line)):
            await asyncio.sleep(0.02)
    return text


@asynccontextmanager
async def guest(folder: Path, script: str, **sources: Path | None) -> AsyncIterator[tuple[Machine, EventListener]]:
    """A running machine with drives by id, those called `cd...` on the second channel and optical; its events."""
    initrd = folder / "initrd"
    initrd.write_bytes(make_initrd(script, need_busybox(), modules=MODULES))
    optical = [id.startswith("cd") for id in sources]
    spec = MachineSpec(
        memory=256 * MIB,
        accelerators=(("unicorn", {}),),
        boot=BootSpec(kernel=str(need_kernel()), initrd=str(initrd), append=APPEND),
        serials=("serial0",),
        drives=tuple(
            DriveSpec(id, {"driver": "raw", "file.filename": str(path), "read-only": cd})
            if path is not None
            else DriveSpec(id, None, retained={"read-only": True})
            for (id, path), cd in zip(sources.items(), optical, strict=True)
        ),
        devices=tuple(
            DeviceSpec("ide-cd" if cd else "ide-hd", f"dev-{id}", f"ide.{int(cd)}", {"drive": id})
            for id, cd in zip(sources, optical, strict=True)
        ),
    )
    async with Machine(spec=spec) as vm, vm.qmp.listen() as listener:
        await vm.start()
        if LOOP in script:
            await vm.serial.expect("GUEST-IS-READY", timeout=PATIENCE)
        yield vm, listener


BY_DATA_PORT = """
rmmod ata_piix
rmmod libata
insmod /modules/libata.ko force=pio4
insmod /modules/ata_piix.ko
until test -b /dev/sda; do sleep 0.1; done
"""


@pytest.mark.parametrize(("prelude", "mode"), [("", "XFER_MW_DMA_2"), (BY_DATA_PORT, "XFER_PIO_4")])
async def test_a_disk_keeps_what_the_guest_writes(tmp_path: Path, prelude: str, mode: str) -> None:
    data = make_image(tmp_path / "hd.raw", 1, 8 * MIB)
    script = f"""{prelude}
echo "MODES" $(cat /sys/class/ata_device/*/xfer_mode)
echo "BEFORE $(busybox md5sum < /dev/sda)"
dd if=/dev/sda of=/dev/sda bs=32k count=8 seek=100 2>/dev/null
dd if=/dev/zero of=/dev/sda bs=512 count=3 seek=9 conv=fsync 2>/dev/null
sync
echo 3 > /proc/sys/vm/drop_caches
echo "AFTER $(busybox md5sum < /dev/sda)"
cat /proc/partitions
echo THE-END
"""
    async with guest(tmp_path, script, hd=tmp_path / "hd.raw") as (vm, _):
        await vm.serial.expect("THE-END", timeout=PATIENCE)
        text = vm.serial.text
    expected = bytearray(data)
    expected[100 * 32768 : 108 * 32768] = data[: 8 * 32768]
    expected[9 * 512 : 12 * 512] = bytes(3 * 512)
    assert (tmp_path / "hd.raw").read_bytes() == expected
    assert f"BEFORE {md5(data)}" in text
    assert f"AFTER {md5(bytes(expected))}" in text
    assert "8192 sda" in text
    assert mode in next(line for line in text.splitlines() if line.startswith("MODES")).split()


async def test_discs_come_and_go(tmp_path: Path) -> None:
    first = make_image(tmp_path / "a.iso", 2, MIB)
    second = make_image(tmp_path / "b.iso", 3, 2 * MIB)
    async with guest(tmp_path, LOOP, cd0=None) as (vm, _):
        assert "No medium" in await ask(vm, "dd if=/dev/sr0 bs=2048 count=1 of=/dev/null")
        await vm.qmp.blockdev_change_medium(str(tmp_path / "a.iso"), device="cd0", format="raw")
        assert md5(first) in await ask(vm, "busybox md5sum < /dev/sr0")
        await vm.qmp.blockdev_change_medium(str(tmp_path / "b.iso"), id="dev-cd0", format="raw")
        assert md5(second) in await ask(vm, "busybox md5sum < /dev/sr0")
        await vm.qmp.eject("cd0")
        assert "No medium" in await ask(vm, "dd if=/dev/sr0 bs=2048 count=1 of=/dev/null")


async def test_a_disc_that_is_mounted_stays(tmp_path: Path) -> None:
    (tmp_path / "a.iso").write_bytes(make_iso({"HELLO.TXT": b"hello, disc\n", "OTHER.TXT": bytes(5000)}))
    async with guest(tmp_path, LOOP, cd0=tmp_path / "a.iso") as (vm, listener):
        assert "DONE-0" in await ask(vm, "mount -t iso9660 /dev/sr0 /tmp")
        assert "hello, disc" in await ask(vm, "cat /tmp/hello.txt")
        (info,) = await vm.qmp.query_block()
        assert (info.removable, info.locked, info.tray_open) == (True, True, False)
        with pytest.raises(DeviceLocked):
            await vm.qmp.eject("cd0")
        await vm.qmp.blockdev_open_tray("cd0")
        (info,) = await vm.qmp.query_block()
        assert not info.tray_open
        await ask(vm, "umount /tmp")
        (info,) = await vm.qmp.query_block()
        assert not info.locked
        await vm.qmp.eject("cd0")
        moved = await until(listener, DeviceTrayMoved)
        assert (moved.device, moved.id, moved.tray_open) == ("cd0", "dev-cd0", True)


async def test_the_guest_moves_the_tray(tmp_path: Path) -> None:
    data = make_image(tmp_path / "a.iso", 2, MIB)
    script = install("/bin/tray") + LOOP
    async with guest(tmp_path, script, cd0=tmp_path / "a.iso") as (vm, listener):
        assert "DONE-0" in await ask(vm, "tray")
        moved = await until(listener, DeviceTrayMoved)
        assert (moved.device, moved.id, moved.tray_open) == ("cd0", "dev-cd0", True)
        (info,) = await vm.qmp.query_block()
        assert info.tray_open
        assert "DONE-0" in await ask(vm, "tray in")
        moved = await until(listener, DeviceTrayMoved)
        assert not moved.tray_open
        assert md5(data) in await ask(vm, "busybox md5sum < /dev/sr0")
