"""drive_add and drive_del, and drives that go with their devices."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec import UNSET

import varan
from varan.api.events import DeviceDeleted
from varan.machine.spec import BootSpec, DeviceSpec, DriveSpec, MachineSpec


@pytest.fixture
async def vm(tmp_path: Path) -> AsyncIterator[varan.Machine]:
    """A machine with drive d0, which device v0 uses, and room for others."""
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(name.encode() * 4096)
    spec = MachineSpec(
        memory=16 << 20,
        boot=BootSpec(demo=True),
        drives=(DriveSpec("d0", {"driver": "raw", "file.filename": str(tmp_path / "a")}),),
        devices=(DeviceSpec("virtio-blk-pci", "v0", settings={"drive": "d0"}),),
    )
    async with varan.Machine(spec=spec) as machine:
        yield machine


async def hmp(vm: varan.Machine, line: str) -> str:
    return (await vm.qmp.human_monitor_command(line)).replace("\r\n", "\n")


async def drives(vm: varan.Machine) -> list[tuple[str, bool]]:
    """The drives by name, and whether there is a medium."""
    return [(info.device, info.inserted is not UNSET) for info in await vm.qmp.query_block()]


async def test_a_drive_is_added_for_a_device_to_come(vm: varan.Machine, tmp_path: Path) -> None:
    assert await hmp(vm, f"drive_add 0 if=none,id=z,file={tmp_path}/b,format=raw,bps=1000,werror=stop") == "OK\n"
    backend = vm._whole.drives.backends["z"]
    assert backend.limits is not None
    assert backend.policy.write.value == "stop"
    assert await hmp(vm, "device_add virtio-blk-pci,id=hot,drive=z") == ""
    assert ("z", True) in await drives(vm)
    assert await hmp(vm, "drive_add 0 if=none") == "OK\n"
    assert ("none0", False) in await drives(vm)


async def test_a_node_is_added_and_taken_away(vm: varan.Machine, tmp_path: Path) -> None:
    assert await hmp(vm, f"drive_add -n 0 driver=raw,node-name=n,file.driver=file,file.filename={tmp_path}/b") == ""
    assert "n" in vm._whole.drives.graph.nodes
    assert await hmp(vm, "drive_del n") == ""
    assert "n" not in vm._whole.drives.graph.nodes


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("drive_add 0 if=none,id=d0", "Duplicate ID 'd0' for drive"),
        ("drive_add 0 if=virtio,id=x", "Can't hot-add drive to type 7"),
        ("drive_add 0 id=x", "Can't hot-add drive to type 1"),
        ("drive_add -n 0 driver=null-co", "'node-name' needs to be specified"),
        ("drive_add 0 if=none,id=x,iops_size=4096", "iops size requires an iops value to be set"),
        ("drive_del nope", "Device 'nope' not found"),
    ],
)
async def test_mistakes_are_told(vm: varan.Machine, line: str, why: str) -> None:
    assert await hmp(vm, line) == f"Error: {why}\n"
    assert await drives(vm) == [("d0", True)]


async def test_a_device_keeps_an_empty_back_end_when_its_drive_goes(vm: varan.Machine) -> None:
    node = vm._whole.drives.backends["d0"].node
    assert node is not None
    assert await hmp(vm, "drive_del d0") == ""
    assert await drives(vm) == [("", False)]
    assert vm._whole.drives.graph.nodes == {}, "the image is closed"
    assert await hmp(vm, "drive_del d0") == "Error: Device 'd0' not found\n"
    (backend,) = vm._whole.drives
    assert not backend.read_now(0, [memoryview(bytearray(512))])
    with pytest.raises(varan.VaranError, match="no medium"):
        await backend.read(0, [memoryview(bytearray(512))])


async def test_a_drive_in_a_job_stays(vm: varan.Machine, tmp_path: Path) -> None:
    await vm.qmp.execute(
        "drive-mirror", {"device": "d0", "target": f"{tmp_path}/copy", "sync": "full", "format": "raw", "speed": 1}
    )
    assert "Node 'd0' is busy: block device is in use by block job: mirror" in await hmp(vm, "drive_del d0")
    await vm.qmp.execute("block-job-cancel", {"device": "d0", "force": True})


async def test_a_drive_goes_with_its_device_and_a_node_does_not(vm: varan.Machine, tmp_path: Path) -> None:
    node = {"driver": "raw", "node-name": "n", "file": {"driver": "file", "filename": f"{tmp_path}/b"}}
    await vm.qmp.execute("blockdev-add", node)
    await vm.qmp.execute("device_add", {"driver": "virtio-blk-pci", "id": "v1", "drive": "n"})
    machine = vm._whole
    async with vm.qmp.listen() as listener:
        for id in ("v0", "v1"):
            device = machine.tree.peripheral.children[id]
            machine.peripherals.ejected(device)
            async with asyncio.timeout(10):
                async for event in listener:
                    if isinstance(event, DeviceDeleted) and event.device == id:
                        break
    assert await drives(vm) == []
    assert {node.filename for node in machine.drives.graph.nodes.values()} == {f"{tmp_path}/b"}
