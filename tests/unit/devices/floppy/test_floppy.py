"""Floppy drives of a machine: images in them, disks that come and go, what the machine is told of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.floppy_driver import BUFFER, DIR, DOR, FIFO, MSR

import varan
from varan.errors import VaranError
from varan.machine.spec import BootSpec, DeviceSpec, DriveSpec, MachineSpec

SECTOR = 512


@pytest.fixture
def disks(tmp_path: Path) -> Callable[[str, int], str]:
    """Makes an image of so many KiB whose bytes are its name's first letter."""

    def make(name: str, kib: int) -> str:
        path = tmp_path / name
        path.write_bytes(name[0].encode() * (kib << 10))
        return str(path)

    return make


def described(*devices: DeviceSpec, **images: str | None) -> MachineSpec:
    """A machine with these drives, on floppy drives of their own unless `devices` are given."""
    drives = tuple(
        DriveSpec(name, None if path is None else {"driver": "raw", "file.filename": path})
        for name, path in images.items()
    )
    given = devices or tuple(DeviceSpec("floppy", name, settings={"drive": name}) for name in images)
    return MachineSpec(memory=16 << 20, boot=BootSpec(demo=True), drives=drives, devices=given)


class Ports:
    """The guest's view of the controller, without a guest."""

    def __init__(self, vm: varan.Machine) -> None:
        self.machine = vm._whole

    def out(self, port: int, *values: int) -> None:
        with self.machine.lock:
            for value in values:
                self.machine.ports.write(port, 1, value)

    def read(self, port: int) -> int:
        with self.machine.lock:
            return self.machine.ports.read(port, 1)

    def command(self, *given: int) -> None:
        self.out(FIFO, *given)

    def start(self) -> None:
        self.out(DOR, 0x08, 0x3C)
        for _ in range(4):
            self.command(0x08)
            self.read(FIFO)
            self.read(FIFO)
        self.out(DIR, 0)
        self.command(0x03, 0xAF, 0x02)

    def arm(self, mode: int, count: int = SECTOR) -> None:
        self.out(0x0A, 6)
        self.out(0x0C, 0)
        self.out(0x04, 0, 0)
        self.out(0x05, count - 1 & 0xFF, count - 1 >> 8)
        self.out(0x81, BUFFER >> 16)
        self.out(0x0B, mode)
        self.out(0x0A, 2)

    async def sector(self, *, write: bytes | None = None, unit: int = 0) -> tuple[list[int], bytes]:
        """The first sector by DMA: status registers and data."""
        memory = self.machine.memory
        if write is not None:
            memory.write_ram(BUFFER, write)
        self.arm(0x4A if write is not None else 0x46)
        self.command(0xC5 if write is not None else 0xE6, unit, 0, 0, 1, 2, 18, 0x1B, 0xFF)
        async with asyncio.timeout(10):
            while self.read(MSR) & 0xC0 != 0xC0:
                await asyncio.sleep(0)
        results = []
        while self.read(MSR) & 0xD0 == 0xD0:
            results.append(self.read(FIFO))
        return results[:3], memory.read_bytes(BUFFER, SECTOR)

    def cmos(self, index: int) -> int:
        self.out(0x70, index)
        return self.read(0x71)


@pytest.fixture
async def vm(disks: Any) -> AsyncIterator[varan.Machine]:
    async with varan.Machine(spec=described(f0=disks("a", 1440))) as vm:
        yield vm


async def test_a_disk_is_read_and_written(vm: varan.Machine, tmp_path: Path) -> None:
    ports = Ports(vm)
    ports.start()
    assert await ports.sector() == ([0, 0, 0], b"a" * SECTOR)
    new = bytes(range(256)) * 2
    assert (await ports.sector(write=new))[0] == [0, 0, 0]
    assert (tmp_path / "a").read_bytes()[: SECTOR + 1] == new + b"a"


async def test_requests_that_must_wait_go_through_the_loop(vm: varan.Machine) -> None:
    await vm.qmp.execute(
        "block_set_io_throttle",
        {"device": "f0", "bps": 1 << 30, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0},
    )
    ports = Ports(vm)
    ports.start()
    assert await ports.sector() == ([0, 0, 0], b"a" * SECTOR)
    assert (await ports.sector(write=b"n" * SECTOR))[0] == [0, 0, 0]
    assert await ports.sector() == ([0, 0, 0], b"n" * SECTOR)


async def test_a_stop_waits_for_a_whole_transfer(vm: varan.Machine) -> None:
    await vm.qmp.execute(
        "block_set_io_throttle",
        {"device": "f0", "bps": 1, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0},
    )
    ports = Ports(vm)
    ports.start()
    ports.arm(0x46, 36 * SECTOR)
    ports.command(0xE6, 0, 0, 0, 1, 2, 18, 0x1B, 0xFF)
    await asyncio.sleep(0)
    await vm._whole.drain()
    assert ports.read(MSR) & 0xD0 == 0xD0, "there are results"
    assert vm._whole.memory.read_bytes(BUFFER, 36 * SECTOR) == b"a" * 36 * SECTOR


async def test_a_track_is_formatted_by_requests_that_wait(vm: varan.Machine, tmp_path: Path) -> None:
    await vm.qmp.execute(
        "block_set_io_throttle",
        {"device": "f0", "bps": 10**9, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0},
    )
    ports = Ports(vm)
    ports.start()
    vm._whole.memory.write_ram(BUFFER, bytes([0, 0, 1, 2]) * 255)
    ports.arm(0x4A, 1020)
    ports.command(0x4D, 0, 2, 255, 0x54, 0xE5)
    async with asyncio.timeout(20):
        while ports.read(MSR) & 0xC0 != 0xC0:
            await asyncio.sleep(0)
    assert (tmp_path / "a").read_bytes()[: SECTOR + 1] == b"\xe5" * SECTOR + b"a"


async def test_disks_come_and_go(vm: varan.Machine, disks: Any) -> None:
    ports = Ports(vm)
    ports.start()
    ports.command(0x0F, 0, 1)
    assert ports.read(DIR) == 0
    ports.command(0x08)
    ports.read(FIFO), ports.read(FIFO)
    await vm.qmp.execute("eject", {"device": "f0"})
    assert ports.read(DIR) == 0x80
    ports.command(0x07, 0)
    ports.command(0x08)
    ports.read(FIFO), ports.read(FIFO)
    assert (await ports.sector())[0] == [0x40, 0x01, 0]
    change = {"id": "f0", "filename": disks("b", 1440), "format": "raw", "read-only-mode": "read-only"}
    await vm.qmp.execute("blockdev-change-medium", change)
    assert ports.read(DIR) == 0x80
    assert await ports.sector() == ([0, 0, 0], b"b" * SECTOR)
    assert (await ports.sector(write=bytes(SECTOR)))[0] == [0x40, 0x02, 0]


async def test_a_disk_in_use_says_where_it_is(vm: varan.Machine) -> None:
    (info,) = await vm.qmp.query_block()
    assert (info.device, info.removable, info.locked, info.qdev) == ("f0", True, False, "f0")
    qtree = await vm.qmp.human_monitor_command("info qtree")
    assert "bus: floppy-bus.0" in qtree
    assert "dev: floppy" in qtree
    path = next(
        f"/machine/unattached/{entry.name}"
        for entry in await vm.qmp.qom_list("/machine/unattached")
        if entry.type == "child<isa-fdc>"
    )
    assert await vm.qmp.qom_get(path, "irq") == 6
    assert await vm.qmp.qom_get("/machine/peripheral/f0", "drive-type") == "144"


@pytest.mark.parametrize(
    ("kib", "kind", "cell"), [(1440, "144", 0x40), (720, "144", 0x40), (2880, "288", 0x50), (1200, "120", 0x20)]
)
async def test_the_cmos_tells_the_kind_of_drive(disks: Any, kib: int, kind: str, cell: int) -> None:
    async with varan.Machine(spec=described(f0=disks("a", kib))) as vm:
        ports = Ports(vm)
        assert await vm.qmp.qom_get("f0", "drive-type") == kind
        assert (ports.cmos(0x10), ports.cmos(0x14) & 0xC1) == (cell, 0x01)


async def test_the_cmos_tells_how_many_drives_there_are(disks: Any) -> None:
    async with varan.Machine(spec=described(f0=None, f1=disks("a", 1440))) as vm:
        ports = Ports(vm)
        assert (ports.cmos(0x10), ports.cmos(0x14) & 0xC1) == (0x54, 0x41)
        await vm.qmp.execute("system_reset")
        assert (ports.cmos(0x10), ports.cmos(0x14) & 0xC1) == (0x54, 0x41)
        ports.start()
        assert await ports.sector(unit=1) == ([1, 0, 0], b"a" * SECTOR)
    async with varan.Machine(spec=MachineSpec(memory=16 << 20, boot=BootSpec(demo=True))) as vm:
        ports = Ports(vm)
        assert (ports.cmos(0x10), ports.cmos(0x14) & 0xC1) == (0, 0)


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        ([{"unit": 2}], "Can't create floppy unit 2, bus supports only 2 units"),
        ([{}, {}, {}], "Can't create floppy unit 2, bus supports only 2 units"),
        ([{"unit": 0}, {"unit": 0}], "Floppy unit 0 is in use"),
        ([{"physical_block_size": 1024}], "Physical and logical block size must be 512 for floppy"),
        ([{"logical_block_size": 1024}], "logical_block_size > physical_block_size not supported"),
        ([{"drive": "nope"}], "Property 'floppy.drive' can't find value 'nope'"),
    ],
)
async def test_drives_that_cannot_be(settings: list[dict[str, Any]], why: str) -> None:
    spec = described(*(DeviceSpec("floppy", settings=one) for one in settings))
    with pytest.raises(VaranError) as refused:
        await varan.Machine(spec=spec).open()
    assert str(refused.value) == why


async def test_drives_do_not_come_while_the_guest_runs(vm: varan.Machine) -> None:
    with pytest.raises(VaranError, match="does not support hotplugging"):
        await vm.qmp.execute("device_add", {"driver": "floppy", "id": "late"})
