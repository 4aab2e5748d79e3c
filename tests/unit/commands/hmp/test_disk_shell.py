"""qemu-io on the disks of a machine."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import varan
import varan.block
from varan.machine.spec import BlockdevSpec, BootSpec, DeviceSpec, DriveSpec, MachineSpec

REPORT = "512/512 bytes at offset 0\n512 bytes, 1 ops; "


@pytest.fixture
async def vm(tmp_path: Path) -> AsyncIterator[varan.Machine]:
    """Drive d0 (device v0), drive u0 (no device), node n0, an empty drive."""
    await varan.block.create(str(tmp_path / "top"), 1 << 20, format="qcow2")
    for name in ("u0", "n0"):
        (tmp_path / name).write_bytes(bytes(1 << 20))
    qcow2 = {"driver": "qcow2", "file.driver": "blkdebug", "file.image.filename": str(tmp_path / "top")}
    spec = MachineSpec(
        memory=16 << 20,
        boot=BootSpec(demo=True),
        blockdevs=(BlockdevSpec({"driver": "raw", "node-name": "n0", "file.filename": str(tmp_path / "n0")}),),
        drives=(
            DriveSpec("d0", qcow2),
            DriveSpec("u0", {"driver": "raw", "file.filename": str(tmp_path / "u0")}),
            DriveSpec("empty", None),
        ),
        devices=(DeviceSpec("virtio-blk-pci", "v0", settings={"drive": "d0"}),),
    )
    async with varan.Machine(spec=spec) as machine:
        yield machine


async def hmp(vm: varan.Machine, line: str) -> str:
    return (await vm.qmp.human_monitor_command(line)).replace("\r\n", "\n")


@pytest.mark.parametrize("disk", ["d0", "-d /machine/peripheral/v0/virtio-backend", "u0", "n0"])
async def test_disks_are_written_and_read(vm: varan.Machine, disk: str) -> None:
    assert (await hmp(vm, f'qemu-io {disk} "write -P 7 0 512"')).startswith(f"wrote {REPORT}")
    assert (await hmp(vm, f'qemu-io {disk} "read -P 7 0 512"')).startswith(f"read {REPORT}")
    wrong = await hmp(vm, f'qemu-io {disk} "read -P 8 0 512"')
    assert wrong.startswith("Pattern verification failed at offset 0, 512 bytes\n")
    assert (await hmp(vm, f'qemu-io {disk} "write -z -u 0 512"')).startswith(f"wrote {REPORT}")
    assert await hmp(vm, f'qemu-io {disk} "read -q -P 0 0 512"') == ""
    for backend in vm._whole.drives.backends.values():
        assert backend.user in (None, "device 'v0'"), "nobody has stayed behind"


async def test_what_can_be_looked_at(vm: varan.Machine) -> None:
    assert await hmp(vm, "qemu-io d0 length") == "1 MiB\n"
    assert (await hmp(vm, "qemu-io d0 info")).startswith("format name: qcow2\ncluster size: 64 KiB\n")
    assert await hmp(vm, "qemu-io d0 map") == "1 MiB (0x100000) bytes not allocated at offset 0 bytes (0x0)\n"
    assert await hmp(vm, 'qemu-io d0 "help length"') == "length  -- gets the length of the current file\n"


async def test_a_disk_that_grows_grows_for_its_device(vm: varan.Machine) -> None:
    assert await hmp(vm, 'qemu-io d0 "truncate 2M"') == ""
    assert vm._whole.drives.backends["d0"].length == 2 << 20
    assert "without preallocation" in await hmp(vm, 'qemu-io d0 "truncate -m full 3M"')


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ('qemu-io nope "read 0 1"', "Error: Cannot find device='nope' nor node-name='nope'\n"),
        ('qemu-io -d nope "read 0 1"', "Error: Device 'nope' not found\n"),
        ('qemu-io empty "read 0 1"', "No medium found\n"),
        ('qemu-io d0 "read 0 9M"', "read failed: Input/output error\n"),
        ('qemu-io d0 "frobnicate"', 'command "frobnicate" not found\n'),
        ('qemu-io d0 "open x"', 'command "open" not found\n'),
        ('qemu-io d0 "quit"', 'command "quit" not found\n'),
        ('qemu-io d0 "sigraise 9"', 'command "sigraise" not found\n'),
        ('qemu-io d0 ""', ""),
    ],
)
async def test_mistakes_are_told(vm: varan.Machine, line: str, text: str) -> None:
    assert await hmp(vm, line) == text


async def test_what_somebody_writes_is_not_written_by_another(vm: varan.Machine) -> None:
    (node,) = (info.inserted.node_name for info in await vm.qmp.query_block() if info.device == "d0")
    answer = await hmp(vm, f'qemu-io {node} "write 0 512"')
    assert answer.startswith("Error: ")
    assert "does not share" in answer


async def test_requests_stop_at_breakpoints_and_go_on(vm: varan.Machine) -> None:
    assert await hmp(vm, 'qemu-io d0 "break write_aio A"') == ""
    assert await hmp(vm, 'qemu-io d0 "aio_write -P 5 0 512"') == ""
    assert await hmp(vm, "qemu-io d0 aio_flush") == ""
    assert await hmp(vm, 'qemu-io d0 "resume A"') == "blkdebug: Resuming request 'A'\n"
    async with asyncio.timeout(10):
        while vm._whole.drives.backends["d0"].in_flight:
            await asyncio.sleep(0)
    assert await hmp(vm, 'qemu-io d0 "read -q -P 5 0 512"') == ""


async def test_aio_requests_are_waited_for(vm: varan.Machine) -> None:
    assert (await hmp(vm, 'qemu-io u0 "aio_write -P 9 0 512"')).startswith(f"wrote {REPORT}")
    assert (await hmp(vm, 'qemu-io u0 "aio_read -P 9 0 512"')).startswith(f"read {REPORT}")


async def test_a_command_ends_when_nobody_waits(vm: varan.Machine) -> None:
    from varan.commands.hmp.session import HmpSession

    task = asyncio.create_task(HmpSession(vm._whole).execute('qemu-io u0 "sleep 1000000"'))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert vm._whole.drives.backends["u0"].user is None
