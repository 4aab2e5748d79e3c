from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.fake_machine import FakeMachine
from tests.support.removable import TrayDevice

from varan.api.events import DeviceTrayMoved, Event
from varan.api.values import BlockdevChangeReadOnlyMode, MirrorSyncMode
from varan.commands import block_core, block_jobs, block_keys
from varan.commands import block_media as commands
from varan.errors import (
    DeviceEncrypted,
    DeviceInUse,
    DeviceLocked,
    DeviceNotFound,
    DeviceNotRemovable,
    GenericError,
    InvalidBlockFormat,
    OpenFileFailed,
    QmpError,
)
from varan.machine.spec import DriveSpec

SECTOR = 2048


@pytest.fixture
def discs(tmp_path: Path) -> list[str]:
    """Three images of 10, 20 and 30 sectors."""
    paths = [tmp_path / name for name in ("a.iso", "b.iso", "c.iso")]
    for number, path in enumerate(paths, 1):
        path.write_bytes(bytes([number]) * SECTOR * 10 * number)
    return [str(path) for path in paths]


@pytest.fixture
async def moves(machine: FakeMachine) -> list[tuple[str, str, bool]]:
    """What DEVICE_TRAY_MOVED has told."""
    seen: list[tuple[str, str, bool]] = []

    def listen(event: Event, seconds: int, microseconds: int) -> None:
        if isinstance(event, DeviceTrayMoved):
            seen.append((event.device, event.id, event.tray_open))

    machine.events.subscribe(listen)
    return seen


@pytest.fixture
async def drive(machine: FakeMachine, moves: Any) -> TrayDevice:
    """Device `cdrom` on the empty drive `cd0`."""
    await machine.drives.open(DriveSpec("cd0", None, retained={"read-only": "on"}))
    return plug(machine, "cdrom", "cd0")


def plug(machine: FakeMachine, id: str, backend: str, **more: Any) -> TrayDevice:
    device = TrayDevice(id, **more)
    machine.tree.peripheral.add_child(id, device)
    device.use(machine.drives.find(backend))
    return device


async def refused(awaitable: Awaitable[None], error: type[QmpError]) -> str:
    with pytest.raises(error) as raised:
        await awaitable
    return str(raised.value)


async def first_byte(machine: FakeMachine, name: str = "cd0") -> int:
    buffer = bytearray(512)
    await machine.drives.find(name).read(0, [memoryview(buffer)])
    return buffer[0]


async def test_a_drive_is_named_by_itself_or_its_device(machine: FakeMachine, drive: TrayDevice) -> None:
    both = "Need exactly one of 'device' and 'id'"
    assert await refused(commands.eject(machine), GenericError) == both
    assert await refused(commands.eject(machine, "cd0", "cdrom"), GenericError) == both
    assert await refused(commands.eject(machine, "cdrom"), DeviceNotFound) == "Device 'cdrom' not found"
    assert await refused(commands.eject(machine, id="cd0"), DeviceNotFound) == "Device 'cd0' not found"
    await refused(commands.eject(machine, id="/machine/nothing"), DeviceNotFound)
    await commands.blockdev_open_tray(machine, id=drive.path)
    assert drive.tray_open
    machine.tree.peripheral.add_child("other", TrayDevice("other"))
    without = "Device does not have a block device backend"
    assert await refused(commands.eject(machine, id="other"), GenericError) == without


async def test_eject_takes_the_medium_and_leaves_the_tray_open(
    machine: FakeMachine, drive: TrayDevice, moves: list[Any], discs: list[str]
) -> None:
    await commands.blockdev_change_medium(machine, discs[0], "cd0")
    assert await first_byte(machine) == 1
    moves.clear()
    await commands.eject(machine, "cd0")
    assert moves == [("cd0", "cdrom", True)]
    assert not machine.drives.find("cd0").present
    assert machine.drives.graph.nodes == {}
    await commands.eject(machine, id="cdrom")
    assert len(moves) == 1
    await commands.blockdev_close_tray(machine, "cd0")
    await commands.blockdev_close_tray(machine, "cd0")
    assert moves[1:] == [("cd0", "cdrom", False)]


async def test_a_locked_medium_stays_until_it_is_forced(
    machine: FakeMachine, drive: TrayDevice, moves: list[Any], discs: list[str]
) -> None:
    await commands.blockdev_change_medium(machine, discs[0], "cd0")
    drive.locked = True
    moves.clear()
    drive.told.clear()
    text = "Device 'cd0' is locked and force was not specified, wait for tray to open and try again"
    assert await refused(commands.eject(machine, "cd0"), DeviceLocked) == text
    await refused(commands.blockdev_change_medium(machine, discs[1], "cd0"), DeviceLocked)
    await commands.blockdev_open_tray(machine, "cd0")
    assert drive.told == ["eject"] * 3
    assert not moves
    assert await first_byte(machine) == 1
    await commands.blockdev_change_medium(machine, discs[1], "cd0", force=True)
    assert not drive.locked
    assert await first_byte(machine) == 2
    assert moves == [("cd0", "cdrom", True), ("cd0", "cdrom", False)]


async def test_a_medium_moves_only_through_an_open_tray(
    machine: FakeMachine, drive: TrayDevice, discs: list[str]
) -> None:
    closed = "Tray of device 'cdrom' is not open"
    assert await refused(commands.blockdev_remove_medium(machine, "cdrom"), GenericError) == closed
    options = {"driver": "raw", "node-name": "m", "read-only": True}
    await block_core.blockdev_add(machine, options | {"file": {"driver": "file", "filename": discs[0]}})
    closed = "Tray of the device is not open"
    assert await refused(commands.blockdev_insert_medium(machine, "cdrom", "m"), GenericError) == closed
    await commands.blockdev_open_tray(machine, "cd0")
    missing = "Node 'nix' not found"
    assert await refused(commands.blockdev_insert_medium(machine, "cdrom", "nix"), GenericError) == missing
    await commands.blockdev_insert_medium(machine, "cdrom", "m")
    taken = "Node 'm' is already in use"
    assert await refused(commands.blockdev_insert_medium(machine, "cdrom", "m"), GenericError) == taken
    await block_core.blockdev_add(machine, options | {"node-name": "n", "driver": "null-co"})
    full = "There already is a medium in the device"
    assert await refused(commands.blockdev_insert_medium(machine, "cdrom", "n"), GenericError) == full
    await refused(block_core.blockdev_del(machine, "m"), GenericError)
    await commands.blockdev_close_tray(machine, "cd0")
    assert await first_byte(machine) == 1
    await commands.eject(machine, "cd0")
    await block_core.blockdev_del(machine, "m")


async def test_a_medium_that_cannot_be_opened_changes_nothing(
    machine: FakeMachine, drive: TrayDevice, moves: list[Any], discs: list[str], tmp_path: Path
) -> None:
    await commands.blockdev_change_medium(machine, discs[0], "cd0", format="raw")
    moves.clear()
    missing = f"{tmp_path}/nix.iso"
    text = f"Could not open '{missing}': No such file or directory"
    assert await refused(commands.blockdev_change_medium(machine, missing, "cd0"), OpenFileFailed) == text
    text = "Unknown driver 'nix'"
    assert await refused(commands.change(machine, "cd0", discs[1], "nix"), InvalidBlockFormat) == text
    assert not moves
    assert await first_byte(machine) == 1


async def test_an_image_that_wants_a_key_is_refused_or_gets_it_later(
    machine: FakeMachine, drive: TrayDevice, tmp_path: Path
) -> None:
    from varan import block

    path = f"{tmp_path}/private.qcow2"
    options = {"encrypt.format": "luks", "encrypt.key-secret": "s", "encrypt.iter-time": "10"}
    await block.create(path, 1 << 20, format="qcow2", secrets={"s": b"x"}, **options)
    await refused(commands.blockdev_change_medium(machine, path, "cd0"), DeviceEncrypted)
    assert machine.drives.graph.nodes == {}
    await refused(commands.change(machine, "cd0", path), DeviceEncrypted)
    node = machine.drives.backends["cd0"].node
    assert node is not None
    assert node.locked
    await block_keys.block_passwd(machine, "x", "cd0")
    assert not node.locked


async def test_whether_the_next_medium_can_be_written_follows_the_last_unless_given(
    machine: FakeMachine, drive: TrayDevice, discs: list[str]
) -> None:
    mode = BlockdevChangeReadOnlyMode
    backend = machine.drives.find("cd0")
    for given, expected in ((None, True), (mode.READ_WRITE, False), (None, False), (mode.READ_ONLY, True)):
        await commands.blockdev_change_medium(machine, discs[0], "cd0", read_only_mode=given)
        assert backend.read_only is expected
    await commands.blockdev_change_medium(machine, discs[0], "cd0", read_only_mode=mode.READ_WRITE)
    await commands.eject(machine, "cd0")
    await commands.blockdev_change_medium(machine, discs[1], "cd0", read_only_mode=mode.RETAIN)
    assert not backend.read_only


async def test_a_disk_that_stays_is_not_ejected(machine: FakeMachine, discs: list[str]) -> None:
    await machine.drives.open(DriveSpec("hd0", {"filename": discs[0]}, "raw"))
    device = TrayDevice("disk")
    machine.tree.peripheral.add_child("disk", device)
    machine.drives.find("hd0").attach("device 'disk'", write=True, device=device)
    text = "Device 'hd0' is not removable"
    for refusal in (
        commands.eject(machine, "hd0", force=True),
        commands.change(machine, "hd0", discs[1]),
        commands.blockdev_open_tray(machine, "hd0"),
        commands.blockdev_close_tray(machine, "hd0"),
    ):
        assert await refused(refusal, DeviceNotRemovable) == text
    text = "Device 'disk' is not removable"
    assert await refused(commands.blockdev_remove_medium(machine, "disk"), DeviceNotRemovable) == text


async def test_a_drive_that_no_device_uses_has_no_tray(machine: FakeMachine, discs: list[str], moves: Any) -> None:
    await machine.drives.open(DriveSpec("lone", {"filename": discs[0]}, "raw"))
    await commands.blockdev_open_tray(machine, "lone")
    await commands.change(machine, "lone", discs[1])
    assert await first_byte(machine, "lone") == 2
    await commands.eject(machine, "lone")
    await commands.blockdev_close_tray(machine, "lone")
    assert not machine.drives.find("lone").present
    assert not moves


async def test_a_device_without_a_tray_is_told_of_the_medium(
    machine: FakeMachine, discs: list[str], moves: Any
) -> None:
    await machine.drives.open(DriveSpec("f0", {"filename": discs[0]}, "raw"))
    floppy = plug(machine, "floppy", "f0", has_tray=False)
    await commands.blockdev_change_medium(machine, discs[1], id="floppy")
    assert floppy.told == ["unload", "load"]
    await commands.blockdev_remove_medium(machine, "floppy")
    assert floppy.told == ["unload", "load", "unload"]
    assert not moves


async def test_a_device_without_a_named_drive_is_named_by_its_id(
    machine: FakeMachine, discs: list[str], moves: list[Any]
) -> None:
    device = TrayDevice("cd9")
    machine.tree.peripheral.add_child("cd9", device)
    device.use(machine.drives.empty())
    await commands.blockdev_open_tray(machine, id="cd9")
    await commands.blockdev_change_medium(machine, discs[2], id="cd9", format="raw")
    assert moves == [("", "cd9", True), ("", "cd9", False)]
    (backend,) = machine.drives
    assert (backend.length, backend.read_only) == (30 * SECTOR, True)
    await backend.detach()


async def test_a_medium_that_a_job_works_on_stays(machine: FakeMachine, drive: TrayDevice, discs: list[str]) -> None:
    await commands.blockdev_change_medium(machine, discs[0], "cd0", format="raw")
    await block_core.blockdev_add(machine, {"driver": "null-co", "node-name": "t", "size": 10 * SECTOR})
    await block_jobs.blockdev_mirror(machine, "cd0", "t", MirrorSyncMode.FULL, job_id="j", speed=1)
    busy = "is busy: block device is in use by block job: mirror"
    assert busy in await refused(commands.eject(machine, "cd0"), DeviceInUse)
    assert busy in await refused(commands.change(machine, "cd0", discs[1]), DeviceInUse)
    assert not drive.tray_open
    await block_jobs.block_job_cancel(machine, "j", force=True)
    while machine.jobs.jobs:
        await asyncio.sleep(0.001)
    await commands.eject(machine, "cd0")


async def test_a_job_that_begins_meanwhile_keeps_the_medium(
    machine: FakeMachine, drive: TrayDevice, discs: list[str]
) -> None:
    await commands.blockdev_change_medium(machine, discs[0], "cd0", format="raw")
    await block_core.blockdev_add(machine, {"driver": "null-co", "node-name": "t", "size": 10 * SECTOR})
    async with machine.drives.graph.changing:
        starting = asyncio.create_task(
            block_jobs.blockdev_mirror(machine, "cd0", "t", MirrorSyncMode.FULL, job_id="j", speed=1)
        )
        await asyncio.sleep(0.01)
        ejecting = asyncio.create_task(commands.eject(machine, "cd0"))
        await asyncio.sleep(0.01)
        assert not ejecting.done()
    await starting
    assert "in use by block job" in await refused(ejecting, DeviceInUse)
    assert await first_byte(machine) == 1
    await block_jobs.block_job_cancel(machine, "j", force=True)
    while machine.jobs.jobs:
        await asyncio.sleep(0.001)
    await commands.eject(machine, "cd0")


async def test_the_medium_goes_when_what_is_under_way_has_ended(
    machine: FakeMachine, drive: TrayDevice, discs: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await commands.blockdev_change_medium(machine, discs[0], "cd0", format="raw")
    backend = machine.drives.find("cd0")
    node = backend.node
    assert node is not None
    going = asyncio.Event()
    read: Callable[..., Awaitable[None]] = node.read

    async def slow(offset: int, buffers: Any) -> None:
        await going.wait()
        await read(offset, buffers)

    monkeypatch.setattr(node, "read", slow)
    reading = asyncio.create_task(first_byte(machine))
    await asyncio.sleep(0)
    ejecting = asyncio.create_task(commands.eject(machine, "cd0"))
    await asyncio.sleep(0.01)
    assert not ejecting.done()
    going.set()
    await ejecting
    assert await reading == 1


async def test_a_drive_without_a_medium_is_told_only_what_it_can_keep(machine: FakeMachine) -> None:
    with pytest.raises(Exception, match="a drive without a medium has no option 'lazy-refcounts'"):
        await machine.drives.open(DriveSpec("d", None, retained={"lazy-refcounts": "on"}))
