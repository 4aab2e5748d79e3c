"""The object tree, devices and ports on the human monitor."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import varan
from varan.machine.spec import BootSpec, DeviceSpec, MachineSpec


@pytest.fixture
async def vm() -> AsyncIterator[varan.Machine]:
    spec = MachineSpec(
        memory=16 << 20,
        boot=BootSpec(demo=True),
        devices=(DeviceSpec("isa-debugcon", "dbg", settings={"iobase": "0x402"}),),
    )
    async with varan.Machine(spec=spec) as machine:
        yield machine


async def hmp(vm: varan.Machine, line: str) -> str:
    return (await vm.qmp.human_monitor_command(line)).replace("\r\n", "\n")


ANSWERS = {
    "qom-list": "/\n",
    "qom-list /machine/peripheral": "type (string)\ndbg (child<isa-debugcon>)\n",
    "qom-list /nosuch": "Error: Device '/nosuch' not found\n",
    "qom-get dbg iobase": "1026\n",
    "qom-get dbg chardev": '""\n',
    "qom-get dbg realized": "true\n",
    "qom-get /machine memory": '{\n    "size": 16777216\n}\n',
    "qom-set dbg iobase 3": "Error: Attempt to set property 'iobase' on device 'dbg' (type 'isa-debugcon') "
    "after it was realized\n",
    "qom-set -j dbg iobase {": "Error: JSON parse error, Expecting property name enclosed in double quotes: line 1 "
    "column 2 (char 1)\n",
    "info qom-tree /machine/peripheral": "/peripheral (container)\n  /dbg (isa-debugcon)\n",
    "device_add nosuch": "Error: 'nosuch' is not a valid device model name\n",
    "device_add isa-serial,id=x": "Error: Bus 'isa.0' does not support hotplugging\n",
    "device_add ib700,help": "There are no options for ib700.\n",
    "device_del xx": "Error: Device 'xx' not found\n",
    "object_add rng-builtin": "Error: Parameter 'id' is missing\n",
    "object_add nosuch,id=x": "Error: Parameter 'qom-type' does not accept value 'nosuch'\n",
    "object_add rng-builtin,id=z": "",
    "object_del z": "Error: object 'z' not found\n",
    "i /b 0x402": "portb[0x0402] = 0xe9\n",
    "i /x 0x402": "portl[0x0402] = 0xffffffe9\n",
    "i 0x402": "portl[0x0402] = 0xffffffe9\n",
    "i /h 0x402": "portw[0x0402] = 0xffe9\n",
    "i /w 0x250": "portl[0x0250] = 0xffffffff\n",
    "i /g 0x70": "Error: a port access has 1, 2 or 4 bytes: /b, /h or /w\n",
}


@pytest.mark.parametrize("line", ANSWERS)
async def test_answer(vm: varan.Machine, line: str) -> None:
    assert await hmp(vm, line) == ANSWERS[line]


async def test_ports_reach_the_devices(vm: varan.Machine) -> None:
    assert await hmp(vm, "o /b 0x80 0x142") == ""
    assert await hmp(vm, "i /b 0x80") == "portb[0x0080] = 0x42\n"


async def test_qtree_shows_buses_devices_and_settings(vm: varan.Machine) -> None:
    shown = await hmp(vm, "info qtree")
    lines = [line.strip() for line in shown.splitlines()]
    assert shown.startswith("bus: main-system-bus\n  type System\n  dev: i440FX-pcihost")
    assert "    bus: pci.0\n      type PCI\n" in shown
    at = lines.index('dev: isa-debugcon, id "dbg"')
    assert lines[at + 1 : at + 3] == ["iobase = 1026 (0x402)", "readback = 233 (0xe9)"]
    assert lines.index("bus: isa.0") < at


async def test_lists_of_drivers_and_types_are_those_of_the_command_line(vm: varan.Machine) -> None:
    drivers = await hmp(vm, "info qdm")
    assert 'name "isa-serial", bus ISA, desc "16550A serial port"\n' in drivers
    assert drivers == await hmp(vm, "device_add help")
    assert "  secret\n" in await hmp(vm, "object_add help")
    assert "  filename=<string> " in await hmp(vm, "object_add rng-random,help")


async def test_object_made_on_the_monitor_is_in_the_tree(vm: varan.Machine) -> None:
    assert await hmp(vm, "object_add secret,id=s,data=x") == ""
    assert await hmp(vm, "qom-get s data") == '"x"\n'
    assert await hmp(vm, "object_del s") == ""


async def test_roms_are_what_the_boot_program_puts_into_memory(vm: varan.Machine, tmp_path: Path) -> None:
    shown = await hmp(vm, "info roms")
    assert shown.endswith('mem=ram name="demonstration guest"\n')
    address = int(shown.split()[0].removeprefix("addr="), 16)
    assert any(vm.memory.read(address, 16))
    (tmp_path / "bios").write_bytes(bytes(64 << 10))
    spec = MachineSpec(memory=16 << 20, boot=BootSpec(firmware=str(tmp_path / "bios")))
    async with varan.Machine(spec=spec) as other:
        assert (await hmp(other, "info roms")).splitlines() == [
            f'addr=00000000000f0000 size=0x010000 mem=ram name="{tmp_path}/bios"',
            f'addr=00000000ffff0000 size=0x010000 mem=rom name="{tmp_path}/bios"',
        ]
