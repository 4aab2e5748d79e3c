"""Media on the human monitor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import varan
from varan.machine.spec import BootSpec, DriveSpec, MachineSpec


@pytest.fixture
async def vm(tmp_path: Path) -> AsyncIterator[varan.Machine]:
    (tmp_path / "a.img").write_bytes(bytes(4096))
    spec = MachineSpec(memory=16 << 20, boot=BootSpec(demo=True), drives=(DriveSpec("d0", None),))
    async with varan.Machine(spec=spec) as machine:
        yield machine


async def hmp(vm: varan.Machine, line: str) -> str:
    return (await vm.qmp.human_monitor_command(line)).replace("\r\n", "\n")


async def test_media_are_exchanged(vm: varan.Machine, tmp_path: Path) -> None:
    assert "has no medium" in await hmp(vm, "block_stream d0")
    assert await hmp(vm, f"change d0 {tmp_path}/a.img raw read-only") == ""
    assert await hmp(vm, f"change d0 -f {tmp_path}/a.img raw read-write") == ""
    assert await hmp(vm, "block_stream d0") == ""
    while await hmp(vm, "info block-jobs") != "No active jobs\n":
        await asyncio.sleep(0.01)
    assert await hmp(vm, "eject -f d0") == ""
    assert "has no medium" in await hmp(vm, "block_stream d0")


async def test_mistakes_are_told(vm: varan.Machine, tmp_path: Path) -> None:
    assert await hmp(vm, "eject nix") == "Error: Device 'nix' not found\n"
    assert await hmp(vm, "change d0 /dev/null raw bogus") == "Error: invalid parameter value: bogus\n"
    assert await hmp(vm, "change vnc password") == "Error: there is no VNC server\n"
    missing = f"{tmp_path}/nix"
    assert await hmp(vm, f"change d0 {missing}") == f"Error: Could not open '{missing}': No such file or directory\n"
