"""`ide-hd` and `ide-cd` as users ask for them."""

from __future__ import annotations

import json
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import varan
from varan.embed.local import LocalClient
from varan.errors import VaranError
from varan.machine.machine import Machine
from varan.machine.spec import BootSpec, DeviceSpec, DriveSpec, MachineSpec


@pytest.fixture
def image(tmp_path: Path) -> str:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(1 << 20))
    return str(path)


def machine(image: str, *devices: DeviceSpec) -> varan.Machine:
    drives = (
        DriveSpec("hd", {"driver": "raw", "file.filename": image}),
        DriveSpec("ro", {"driver": "raw", "file.filename": image, "read-only": True}),
        DriveSpec("empty", None),
    )
    spec = MachineSpec(memory=16 << 20, boot=BootSpec(demo=True), drives=drives, devices=devices)
    return varan.Machine(spec=spec)


def hd(**settings: Any) -> DeviceSpec:
    return DeviceSpec("ide-hd", "disk", settings={"drive": "hd", **settings})


@pytest.fixture
async def vm(image: str) -> AsyncIterator[varan.Machine]:
    settings = {"model": "LIZARD", "ver": "9.9", "wwn": "0x5000c50015ea71aa", "physical_block_size": "4096"}
    more = {"rotation_rate": "1", "write-cache": "off", "heads": "4"}
    async with machine(
        image,
        hd(serial="S-1", **settings, **more),
        DeviceSpec("ide-cd", "cd", bus="ide.1", settings={"unit": "1"}),
    ) as vm:
        yield vm


async def hmp(vm: varan.Machine, line: str) -> str:
    return (await vm.qmp.human_monitor_command(line)).replace("\r\n", "\n")


async def test_settings_show_in_what_the_disk_says(vm: varan.Machine) -> None:
    await hmp(vm, "o /b 0x1f6 0xa0")
    await hmp(vm, "o /b 0x1f7 0xec")
    words = [int((await hmp(vm, "i /h 0x1f0")).split("=")[1], 16) for _ in range(256)]
    text = struct.pack(">256H", *words)
    assert text[20:40].decode().strip() == "S-1"
    assert text[46:54].decode().strip() == "9.9"
    assert text[54:94].decode().strip() == "LIZARD"
    assert words[108:112] == [0x5000, 0xC500, 0x15EA, 0x71AA]
    assert words[106] == 0x6003
    assert words[217] == 1
    assert words[3] == 4
    assert not words[85] & 0x20


async def test_they_are_on_the_buses_of_the_controller(vm: varan.Machine) -> None:
    tree = await hmp(vm, "info qtree")
    for text in ("bus: ide.0", "bus: ide.1", 'dev: ide-hd, id "disk"', 'dev: ide-cd, id "cd"', "dev: piix3-ide"):
        assert text in tree
    assert await hmp(vm, "qom-get /machine/peripheral/cd serial") == '"VR00004"\n'
    assert await hmp(vm, "qom-get /machine/peripheral/disk unit") == "0\n"
    assert "IDE controller: PCI device 8086:7010" in await hmp(vm, "info pci")


async def test_a_drive_that_was_given_none_gets_media(vm: varan.Machine, tmp_path: Path) -> None:
    (tmp_path / "disc.iso").write_bytes(bytes(4096))
    await vm.qmp.blockdev_change_medium(str(tmp_path / "disc.iso"), id="cd", format="raw")
    (shown,) = [info for info in await vm.qmp.query_block() if info.removable and info.qdev == "cd"]
    assert (shown.device, shown.tray_open, shown.locked) == ("", False, False)
    await vm.qmp.eject(id="cd")
    (shown,) = [info for info in await vm.qmp.query_block() if info.removable and info.qdev == "cd"]
    assert shown.tray_open


async def test_a_saved_machine_keeps_trays_and_registers() -> None:
    def make() -> Machine:
        drives = (DeviceSpec("ide-cd", "cd"), DeviceSpec("ide-cd", "other"))
        return Machine(MachineSpec(memory=16 << 20, boot=BootSpec(demo=True), devices=drives))

    first, second = make(), make()
    for one in (first, second):
        await one.open()
    try:
        await LocalClient(first).execute("blockdev-open-tray", {"id": "other"})
        first.ports.write(0x1F6, 1, 0xB0)
        first.ports.write(0x1F3, 1, 0x5A)
        with first.lock, second.lock:
            second.board.load(json.loads(json.dumps(first.board.save())))
        shown = {info["qdev"]: info["tray_open"] for info in await LocalClient(second).execute("query-block")}
        assert shown == {"cd": False, "other": True}
        assert (second.ports.read(0x1F6, 1), second.ports.read(0x1F3, 1)) == (0xB0, 0x5A)
    finally:
        for one in (first, second):
            await one.close()


REFUSED = {
    "No drive specified": [DeviceSpec("ide-hd")],
    "Device needs media, but drive is empty": [DeviceSpec("ide-hd", settings={"drive": "empty"})],
    "Block node is read-only": [DeviceSpec("ide-hd", settings={"drive": "ro"})],
    "Property 'ide-cd.drive' can't find value 'zz'": [DeviceSpec("ide-cd", settings={"drive": "zz"})],
    "Can't create IDE unit 2, bus supports only 2 units": [hd(unit="2")],
    "IDE unit 0 is in use": [hd(), DeviceSpec("ide-cd", bus="ide.0", settings={"unit": "0"})],
    "logical_block_size must be 512 for IDE": [hd(logical_block_size="4096")],
    "physical_block_size is a power of two": [hd(physical_block_size="1000")],
    "cyls must be between 1 and 65535": [hd(cyls="70000")],
    "serial has up to 20 characters": [hd(serial="s" * 21)],
    "Device 'ide-hd' can't go on PCI bus": [DeviceSpec("ide-hd", bus="pci.0", settings={"drive": "hd"})],
    "No 'IDE' bus found for device 'ide-cd'": [DeviceSpec("ide-cd")] * 5,
}


@pytest.mark.parametrize("text", REFUSED)
async def test_what_cannot_be_is_refused(image: str, text: str) -> None:
    with pytest.raises(VaranError) as raised:
        async with machine(image, *REFUSED[text]):
            pass
    assert text in str(raised.value)


async def test_drives_do_not_come_while_the_guest_runs(vm: varan.Machine) -> None:
    assert "does not support hotplugging" in await hmp(vm, "device_add ide-cd,bus=ide.0")
