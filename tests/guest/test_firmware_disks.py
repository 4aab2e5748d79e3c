"""SeaBIOS boots from IDE disks and optical drives, in the order that the command line says."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.support.boot_disks import DEBUG_PORT, make_boot_disc, make_boot_disk
from tests.support.need import need

from varan.board.bootorder import BootOrder
from varan.embed.console import Console
from varan.machine.machine import Machine
from varan.machine.spec import BootSpec, DeviceSpec, DriveSpec, MachineSpec

FIRMWARE = Path("/usr/share/seabios/bios-256k.bin")
PATIENCE = 60
CONSOLE = DeviceSpec("isa-debugcon", settings={"iobase": DEBUG_PORT, "chardev": "debug"})


@pytest.fixture
def drives(tmp_path: Path) -> dict[str, DriveSpec]:
    make_boot_disk(tmp_path / "hd.raw", "FROM-DISK")
    make_boot_disc(tmp_path / "cd.iso", "FROM-DISC")
    names = {"hd": "hd.raw", "cd": "cd.iso"}
    return {
        id: DriveSpec(id, {"driver": "raw", "file.filename": str(tmp_path / name), "read-only": id == "cd"})
        for id, name in names.items()
    }


@pytest.mark.parametrize(
    ("present", "order", "text"),
    [
        ("hd", "cad", "FROM-DISK"),
        ("cd", "cad", "FROM-DISC"),
        ("hd cd", "cad", "FROM-DISK"),
        ("hd cd", "dc", "FROM-DISC"),
    ],
)
async def test_seabios_boots(drives: dict[str, DriveSpec], present: str, order: str, text: str) -> None:
    need(FIRMWARE.exists(), f"{FIRMWARE} is not installed (Debian package seabios)")
    ids = present.split()
    console = Console("debug")
    spec = MachineSpec(
        memory=64 << 20,
        boot=BootSpec(firmware=str(FIRMWARE)),
        boot_order=BootOrder(order),
        drives=tuple(drives[id] for id in ids),
        devices=(
            CONSOLE,
            *(DeviceSpec(f"ide-{id}", bus=f"ide.{int(id == 'cd')}", settings={"drive": id}) for id in ids),
        ),
    )
    machine = Machine(spec, {"debug": console})
    await machine.open()
    try:
        await machine.start()
        assert (await console.expect(re.compile("FROM-DIS[KC]\n"), timeout=PATIENCE))[0] == f"{text}\n"
    finally:
        await machine.close()
