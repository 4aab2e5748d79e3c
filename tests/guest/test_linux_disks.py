"""Linux guests with virtio disks: what they read is what the host's image holds, and the other way round."""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.initrd import make_initrd
from tests.support.kernel import need_busybox, need_kernel

import varan
import varan.block
from varan.machine.spec import BootSpec, DeviceSpec, DriveSpec, MachineSpec, ObjectSpec

pytestmark = pytest.mark.linux

MIB = 1 << 20
PATIENCE = 90
MODULES = ("virtio_pci", "virtio_blk")

Disk = Mapping[str, Any]
Boot = Callable[..., Any]


def spec(folder: Path, script: str, disks: Sequence[Disk], modules: Sequence[str], **settings: Any) -> MachineSpec:
    """A machine that runs `script` in its initrd; disk N has `settings`. There is an I/O thread `io1`."""
    initrd = folder / "initrd"
    initrd.write_bytes(make_initrd(f"{script}\necho THE-END", need_busybox(), modules=modules))
    append = "console=ttyS0 panic=-1 quiet no_timer_check " + settings.pop("append", "")
    return MachineSpec(
        memory=256 * MIB,
        accelerators=(("unicorn", {}),),
        boot=BootSpec(kernel=str(need_kernel()), initrd=str(initrd), append=append),
        serials=("serial0",),
        objects=(ObjectSpec("iothread", "io1"),),
        drives=tuple(DriveSpec(f"drive{number}", disk) for number, disk in enumerate(disks)),
        devices=tuple(
            DeviceSpec("virtio-blk-pci", settings={"drive": f"drive{number}", **settings})
            for number in range(len(disks))
        ),
    )


async def run(described: MachineSpec) -> str:
    """What the guest prints up to its end."""
    async with varan.Machine(spec=described) as vm:
        await vm.start()
        await vm.serial.expect("THE-END", timeout=PATIENCE)
        return vm.serial.text.partition("THE-END")[0].replace("\r", "")


@pytest.fixture
def boot(tmp_path: Path) -> Boot:
    """Boots a script with disks and settings of their devices; what it prints."""

    async def boot(script: str, *disks: Disk, modules: Sequence[str] = MODULES, **settings: Any) -> str:
        return await run(spec(tmp_path, script, disks, modules, **settings))

    return boot


def make_image(path: Path, seed: int = 0, size: int = 8 * MIB) -> bytes:
    """A raw image of random bytes; the bytes."""
    data = random.Random(seed).randbytes(size)
    path.write_bytes(data)
    return data


def raw(path: Path, **options: Any) -> Disk:
    return {"driver": "raw", "file.filename": str(path), **options}


PATTERNS = """
md5sum < /dev/vda
dd if=/dev/vda bs=4k skip=100 count=3 2>/dev/null | md5sum
seq 1 60000 | dd of=/dev/vda bs=64k seek=16 conv=notrunc,fsync 2>/dev/null
seq 1 999 | dd of=/dev/vda bs=512 seek=3 conv=notrunc,fsync 2>/dev/null
md5sum < /dev/vda
"""
TURNS = [
    pytest.param({}, id="split"),
    pytest.param({"packed": True}, id="packed"),
    pytest.param({"event_idx": False}, id="no-event-index"),
    pytest.param({"indirect_desc": False, "packed": True, "event_idx": False}, id="packed-plain"),
    pytest.param({"vectors": 0}, id="intx"),
    pytest.param({"disable-modern": True}, id="legacy"),
    pytest.param({"disable-legacy": "on", "num-queues": 4}, id="modern-4-queues"),
    pytest.param({"iothread": "io1", "num-queues": 2, "packed": True}, id="io-thread"),
]


@pytest.mark.parametrize("settings", TURNS)
async def test_guest_and_host_see_the_same_bytes(boot: Boot, tmp_path: Path, settings: dict[str, Any]) -> None:
    path = tmp_path / "disk.raw"
    data = bytearray(make_image(path))
    seen = (await boot(PATTERNS, raw(path), **settings)).split()[::2]
    expected = [hashlib.md5(data).hexdigest(), hashlib.md5(data[100 * 4096 : 103 * 4096]).hexdigest()]
    for offset, last in ((1 * MIB, 60000), (3 * 512, 999)):
        text = "".join(f"{number}\n" for number in range(1, last + 1)).encode()
        data[offset : offset + len(text)] = text
    assert seen == [*expected, hashlib.md5(data).hexdigest()]
    assert path.read_bytes() == data


async def test_the_guest_finds_what_the_device_says(boot: Boot, tmp_path: Path) -> None:
    make_image(tmp_path / "disk.raw")
    script = "echo; cd /sys/block/vda; cat size ro serial; echo; cat queue/logical_block_size queue/write_cache"
    settings = {"serial": "VARAN-1", "logical_block_size": 4096, "physical_block_size": 4096, "write-cache": "off"}
    words = (await boot(script, raw(tmp_path / "disk.raw"), **settings)).split()
    assert words == [str(8 * MIB // 512), "0", "VARAN-1", "4096", "write", "through"]


async def test_two_disks_one_of_them_read_only(boot: Boot, tmp_path: Path) -> None:
    first, second = make_image(tmp_path / "a.raw", 1, MIB), make_image(tmp_path / "b.raw", 2, MIB)
    script = """
cat /sys/block/vda/ro /sys/block/vdb/ro
md5sum < /dev/vda
md5sum < /dev/vdb
dd if=/dev/zero of=/dev/vdb bs=4k count=1 2>&1 | grep -o 'not permitted'
dd if=/dev/vdb of=/dev/vda bs=64k conv=fsync 2>/dev/null
"""
    disks = raw(tmp_path / "a.raw"), raw(tmp_path / "b.raw", **{"read-only": True})
    words = (await boot(script, *disks, iothread="io1")).split()
    assert words[:2] == ["0", "1"]
    assert words[2:6:2] == [hashlib.md5(data).hexdigest() for data in (first, second)]
    assert words[6:] == ["not", "permitted"]
    assert (tmp_path / "a.raw").read_bytes() == second


async def test_discards_reach_the_image(boot: Boot, tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    data = bytearray(make_image(path))
    before = path.stat().st_blocks
    await boot("blkdiscard -o 1M -l 4M /dev/vda; sync", raw(path, discard="unmap"))
    data[1 * MIB : 5 * MIB] = bytes(4 * MIB)
    assert path.read_bytes() == data
    assert path.stat().st_blocks * 512 <= before * 512 - 4 * MIB


async def test_a_qcow2_image_over_a_backing_file(boot: Boot, tmp_path: Path) -> None:
    base, top = tmp_path / "base.raw", tmp_path / "top.qcow2"
    data = bytearray(make_image(base))
    await varan.block.create(str(top), len(data), format="qcow2", backing_file=str(base), backing_fmt="raw")
    write = "seq 1 9999 | dd of=/dev/vda bs=4k seek=77 conv=notrunc,fsync 2>/dev/null"
    script = f"md5sum < /dev/vda; {write}; md5sum < /dev/vda"
    seen = (await boot(script, {"driver": "qcow2", "file.filename": str(top)})).split()[::2]
    before = hashlib.md5(data).hexdigest()
    text = "".join(f"{number}\n" for number in range(1, 10000)).encode()
    data[77 * 4096 : 77 * 4096 + len(text)] = text
    assert seen == [before, hashlib.md5(data).hexdigest()]
    assert hashlib.md5(base.read_bytes()).hexdigest() == before
    async with varan.block.open(str(top), format="qcow2", read_only=True) as image:
        assert await image.read(0, len(data)) == data


async def test_a_file_system_is_made_and_used(boot: Boot, tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(32 * MIB))
    script = """
mke2fs /dev/vda >/dev/null 2>&1
mkdir /mnt
for turn in 1 2; do
    mount -t ext4 /dev/vda /mnt || mount -t ext2 /dev/vda /mnt
    seq 1 50000 >> /mnt/numbers
    umount /mnt
    echo 3 > /proc/sys/vm/drop_caches
done
mount -t ext4 /dev/vda /mnt
md5sum < /mnt/numbers
umount /mnt
"""
    text = await boot(script, raw(path), modules=(*MODULES, "ext4"))
    numbers = "".join(f"{number}\n" for number in range(1, 50001)).encode() * 2
    assert text.split()[-2] == hashlib.md5(numbers).hexdigest()


TRANSPORT = DeviceSpec("virtio-mmio")
MMIO = ("virtio_mmio", "virtio_blk")


async def test_disks_over_memory_mapped_registers(tmp_path: Path) -> None:
    paths = tmp_path / "a.raw", tmp_path / "b.raw"
    before = [make_image(path, seed) for seed, path in enumerate(paths, 1)]
    script = f"readlink -f /sys/block/vda/device; {PATTERNS} md5sum < /dev/vdb"
    drives = [DriveSpec(f"drive{number}", raw(path)) for number, path in enumerate(paths)]
    devices = [
        DeviceSpec("virtio-blk-device", f"disk{number}", settings={"drive": f"drive{number}"}) for number in (0, 1)
    ]
    described = spec(tmp_path, script, [], MMIO)
    described = replace(described, drives=tuple(drives), devices=(TRANSPORT, TRANSPORT, TRANSPORT, *devices))
    async with varan.Machine(spec=described) as vm:
        await vm.start()
        await vm.serial.expect("THE-END", timeout=PATIENCE)
        seen = vm.serial.text
    assert "LNRO0005:00" in seen
    for data in (*before, paths[0].read_bytes()):
        assert hashlib.md5(data).hexdigest() in seen.split()
    assert paths[0].read_bytes() != before[0]


async def test_memory_mapped_registers_lie_where_the_user_says(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    data = make_image(path)
    transport = DeviceSpec("virtio-mmio", settings={"addr": "0xfeb00000", "irq": "5"})
    disk = DeviceSpec("virtio-blk-device", settings={"drive": "drive0"})
    described = spec(tmp_path, "cat /proc/iomem /proc/interrupts; md5sum < /dev/vda", [], MMIO)
    described = replace(described, drives=(DriveSpec("drive0", raw(path)),), devices=(transport, disk))
    seen = await run(described)
    assert re.search(r"feb00000-feb001ff : LNRO0005:00", seen)
    assert re.search(r"^ *5: .*virtio0", seen, re.MULTILINE)
    assert hashlib.md5(data).hexdigest() in seen.split()


async def test_a_reset_in_the_middle_of_reading(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    data = make_image(path, size=16 * MIB)
    async with varan.Machine(spec=spec(tmp_path, "echo GO; md5sum < /dev/vda", [raw(path)], MODULES)) as vm:
        await vm.start()
        await vm.serial.expect("GO", timeout=PATIENCE)
        await vm.reset()
        await vm.serial.expect("GO", timeout=PATIENCE)
        await vm.serial.expect("THE-END", timeout=PATIENCE)
        assert hashlib.md5(data).hexdigest() in vm.serial.text


async def test_a_disk_is_taken_away_while_the_guest_reads_it(tmp_path: Path) -> None:
    path = tmp_path / "disk.raw"
    make_image(path)
    script = """
while dd if=/dev/vda of=/dev/null bs=64k iflag=direct 2>/dev/null; do echo READ; done &
while [ -e /sys/block/vda ]; do usleep 100000; done
echo GONE
"""
    described = spec(tmp_path, script, [raw(path)], MODULES)
    described = replace(described, devices=(DeviceSpec("virtio-blk-pci", "disk", settings={"drive": "drive0"}),))
    async with varan.Machine(spec=described) as vm:
        await vm.start()
        await vm.serial.expect("READ", timeout=PATIENCE)
        await vm.qmp.device_del("disk")
        await vm.serial.expect("GONE", timeout=PATIENCE)
