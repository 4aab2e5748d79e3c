"""Limits of drives while all sorts of things happen to the machine: nothing hangs, and nothing is lost."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path
from typing import Any

import pytest

import varan
from varan.errors import VaranError
from varan.machine.spec import BootSpec, DeviceSpec, DriveSpec, MachineSpec

PATIENCE = 30
SECTOR = 512
LENGTH = 64 * SECTOR
NONE = {"bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0}
DRIVES = ("d0", "d1")


class Life:
    """A machine with two drives, and requests that come as a guest's would."""

    def __init__(self, vm: varan.Machine, folder: Path, source: random.Random) -> None:
        self.vm, self.folder, self.source = vm, folder, source
        self.requests: list[asyncio.Task[None]] = []
        self.written: dict[str, dict[int, bytes]] = {name: {} for name in DRIVES}
        self.mirrors = 0

    def send(self) -> None:
        """Some requests, to sectors that no other one is about."""
        name = self.source.choice(DRIVES)
        backend = self.vm._whole.drives.backends[name]
        for _ in range(self.source.randrange(1, 6)):
            sector = self.source.randrange(64)
            if sector in self.written[name]:
                work = backend.read(sector * SECTOR, [memoryview(bytearray(SECTOR))])
            else:
                data = self.written[name][sector] = self.source.randbytes(SECTOR)
                work = backend.write(sector * SECTOR, [memoryview(data)])
            self.requests.append(asyncio.create_task(work))

    async def limit(self) -> None:
        rates = self.source.choice([{}, {"bps": 1}, {"iops_rd": 1}, {"bps_wr": 1}, {"iops": 1000}, {"bps": 10**6}])
        group = self.source.choice([{}, {"group": "g"}, {"group": "h"}])
        await self.qmp("block_set_io_throttle", device=self.source.choice(DRIVES), **{**NONE, **rates, **group})

    async def qmp(self, name: str, **arguments: Any) -> None:
        """A command, which may be refused."""
        try:
            await self.vm.qmp.execute(name, arguments)
        except VaranError:
            return

    async def mirror(self) -> None:
        self.mirrors += 1
        await self.qmp(
            "drive-mirror",
            device=self.source.choice(DRIVES),
            target=str(self.folder / f"mirror{self.mirrors}"),
            sync="full",
            format="raw",
        )

    async def act(self) -> None:
        acts = ("send", "send", "send", "limit", "limit", "stop", "cont", "mirror", "end", "drain", "pass")
        what = self.source.choice(acts)
        if what == "send":
            self.send()
        elif what == "limit":
            await self.limit()
        elif what in ("stop", "cont"):
            await self.qmp(what)
        elif what == "mirror":
            await self.mirror()
        elif what == "end":
            device = self.source.choice(DRIVES)
            await self.qmp(self.source.choice(("block-job-cancel", "block-job-complete")), device=device)
        elif what == "drain":
            await self.vm._whole.drives.drain()
        await asyncio.sleep(self.source.choice((0, 0, 0.002)))


@pytest.mark.parametrize("seed", range(8))
async def test_nothing_hangs_and_nothing_is_lost(tmp_path: Path, seed: int) -> None:
    for name in DRIVES:
        (tmp_path / name).write_bytes(bytes(LENGTH))
    spec = MachineSpec(
        memory=16 << 20,
        boot=BootSpec(demo=True),
        drives=tuple(DriveSpec(name, {"driver": "raw", "file.filename": str(tmp_path / name)}) for name in DRIVES),
        devices=tuple(DeviceSpec("virtio-blk-pci", settings={"drive": name}) for name in DRIVES),
    )
    async with asyncio.timeout(PATIENCE), varan.Machine(spec=spec) as vm:
        life = Life(vm, tmp_path, random.Random(seed))
        for _ in range(60):
            await life.act()
        for name in DRIVES:
            await life.qmp("block_set_io_throttle", device=name, **NONE)
        await asyncio.gather(*life.requests)
        for name, sectors in life.written.items():
            backend = vm._whole.drives.backends[name]
            for sector, data in sectors.items():
                found = bytearray(SECTOR)
                await backend.read(sector * SECTOR, [memoryview(found)])
                assert found == data


async def test_a_machine_ends_with_requests_that_wait(tmp_path: Path) -> None:
    (tmp_path / "d0").write_bytes(bytes(LENGTH))
    spec = MachineSpec(
        memory=16 << 20,
        boot=BootSpec(demo=True),
        drives=(DriveSpec("d0", {"driver": "raw", "file.filename": str(tmp_path / "d0")}, limits={"bps-total": 1}),),
        devices=(DeviceSpec("virtio-blk-pci", settings={"drive": "d0"}),),
    )
    async with asyncio.timeout(PATIENCE), varan.Machine(spec=spec) as vm:
        backend = vm._whole.drives.backends["d0"]
        requests = [asyncio.create_task(backend.write(0, [memoryview(b"x" * SECTOR)])) for _ in range(5)]
        await asyncio.sleep(0)
    await asyncio.gather(*requests)
    assert (tmp_path / "d0").read_bytes()[:SECTOR] == b"x" * SECTOR
