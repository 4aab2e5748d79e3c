"""Optical drives: packets, media that come and go, trays and locks."""

from __future__ import annotations

import json
import random
import struct
from collections.abc import AsyncIterator, Awaitable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from tests.support.ide_driver import CommandError, IdeRig, PacketError

from varan.block import medium
from varan.core.state import decode, encode
from varan.devices.ide import mmc
from varan.devices.ide import registers as r
from varan.devices.ide.atapi import AtapiDrive, AtapiState

BLOCKS = 100
NO_MEDIUM, TRAY_OPEN = (2, 0x3A, 1), (2, 0x3A, 2)
BAD_FIELD, BAD_COMMAND = (5, 0x24, 0), (5, 0x20, 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "disc.iso"
    path.write_bytes(random.Random(2).randbytes(BLOCKS * 2048))
    return path


@pytest.fixture
async def rig() -> AsyncIterator[IdeRig]:
    rig = IdeRig()
    yield rig
    await rig.close()


@pytest.fixture(params=[True, False], ids=["inline", "loop"])
async def drive(request: pytest.FixtureRequest, rig: IdeRig, path: Path) -> AtapiDrive:
    """A drive with a disc, whose news after power-on have been heard."""
    drive = await rig.add_optical(path)
    drive.inline = request.param
    assert await refused(rig.packet(mmc.TEST_UNIT_READY)) == (6, 0x29, 0)
    return drive


async def refused(packet: Awaitable[bytes]) -> tuple[int, int, int]:
    with pytest.raises(PacketError) as raised:
        await packet
    return raised.value.sense


def read_10(lba: int, count: int) -> tuple[int, ...]:
    return (mmc.READ_10, 0, *lba.to_bytes(4, "big"), 0, *count.to_bytes(2, "big"))


def bytes_of(path: Path, lba: int, count: int) -> bytes:
    return path.read_bytes()[lba * 2048 : (lba + count) * 2048]


async def eject(rig: IdeRig, drive: AtapiDrive, **more: Any) -> None:
    medium.open_tray(drive.backend, "cd", **more)
    await medium.remove_medium(drive.backend, "cd")


async def insert(rig: IdeRig, drive: AtapiDrive, path: Path) -> None:
    node = await rig.graph.open({"driver": "raw", "read-only": True, "file.filename": str(path)}, user=None)
    medium.insert_medium(drive.backend, node)
    rig.graph.disown(node)
    medium.close_tray(drive.backend, "cd")


async def test_drivers_see_a_packet_device(rig: IdeRig, drive: AtapiDrive) -> None:
    for code in (r.IDENTIFY, 0x20):
        with pytest.raises(CommandError) as raised:
            await rig.command(code)
        assert raised.value.error == r.ABRT
        assert [rig.get(offset) for offset in range(2, 6)] == [1, 1, 0x14, 0xEB]
    await rig.command(r.IDENTIFY_PACKET)
    words = struct.unpack("<256H", rig.take(512))
    assert words[0] == 0x85C0
    assert sum(struct.pack("<256H", *words)) & 0xFF == 0
    assert not rig.status & r.DRQ
    await rig.command(r.DEVICE_RESET)
    assert rig.status == 0
    assert [rig.get(offset) for offset in range(1, 6)] == [1, 1, 1, 0x14, 0xEB]
    for code in (r.NOP, 0x30, 0xE7, 0xFF):
        with pytest.raises(CommandError):
            await rig.command(code)


@pytest.mark.parametrize("limit", [0xFFFE, 0xFFFF, 2048, 4096, 3000, 2])
async def test_blocks_come_through_the_data_port(rig: IdeRig, drive: AtapiDrive, path: Path, limit: int) -> None:
    count = 1 if limit == 2 else 70
    assert await rig.packet(*read_10(7, count), limit=limit) == bytes_of(path, 7, count)
    packet = (mmc.READ_12, 0, *(9).to_bytes(4, "big"), *(3).to_bytes(4, "big"))
    assert await rig.packet(*packet, limit=2048) == bytes_of(path, 9, 3)


async def test_blocks_come_by_bus_master(rig: IdeRig, drive: AtapiDrive, path: Path) -> None:
    assert await rig.packet(*read_10(7, 20), dma=20 * 2048) == bytes_of(path, 7, 20)
    answer = await rig.packet(mmc.READ_CAPACITY, dma=8)
    assert struct.unpack(">II", answer) == (BLOCKS - 1, 2048)


async def test_user_data_of_a_track(rig: IdeRig, drive: AtapiDrive, path: Path) -> None:
    assert await rig.packet(mmc.READ_CD, 0, 0, 0, 0, 4, 0, 0, 2, 0x10) == bytes_of(path, 4, 2)
    assert await rig.packet(mmc.READ_CD, 0, 0, 0, 0, 4, 0, 0, 2, 0x00) == b""
    assert await refused(rig.packet(mmc.READ_CD, 0, 0, 0, 0, 4, 0, 0, 2, 0xF8)) == BAD_FIELD


async def test_blocks_there_are_not_are_out_of_range(rig: IdeRig, drive: AtapiDrive) -> None:
    for lba, count in ((BLOCKS, 1), (BLOCKS - 1, 2), (0xFFFFFFFF, 1)):
        assert await refused(rig.packet(*read_10(lba, count))) == (5, 0x21, 0)
    assert await rig.packet(*read_10(BLOCKS, 0)) == b""
    assert await rig.packet(mmc.SEEK_10, 0, 0, 0, 0, BLOCKS - 1) == b""
    assert await refused(rig.packet(mmc.SEEK_10, 0, 0, 0, 0, BLOCKS)) == (5, 0x21, 0)


async def test_a_drive_says_what_it_is(rig: IdeRig, drive: AtapiDrive) -> None:
    answer = await rig.packet(mmc.INQUIRY, 0, 0, 0, 36)
    assert answer[:2] == b"\x05\x80"
    assert answer[8:] == b"VARAN   TESTDRIVE       1.0 "
    assert await rig.packet(mmc.INQUIRY, 0, 0, 0, 5) == answer[:5]
    assert await refused(rig.packet(mmc.INQUIRY, 1, 0x83, 0, 36)) == BAD_FIELD
    assert await refused(rig.packet(0xD8)) == BAD_COMMAND


async def test_contents_are_one_data_track(rig: IdeRig, drive: AtapiDrive) -> None:
    answer = await rig.packet(mmc.READ_TOC, 0, 0, 0, 0, 0, 0, 0, 200)
    assert answer == bytes((0, 18, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0, 0, 0x14, 0xAA, 0, 0, 0, 0, BLOCKS))
    by_time = await rig.packet(mmc.READ_TOC, 2, 0, 0, 0, 0, 0xAA, 0, 200)
    assert by_time == bytes((0, 10, 1, 1, 0, 0x14, 0xAA, 0, 0, 0, (BLOCKS + 150) // 75, (BLOCKS + 150) % 75))
    session = await rig.packet(mmc.READ_TOC, 0, 1, 0, 0, 0, 0, 0, 200)
    assert session == bytes((0, 10, 1, 1, 0, 0x14, 1, 0, 0, 0, 0, 0))
    raw = await rig.packet(mmc.READ_TOC, 2, 2, 0, 0, 0, 0, 0, 200)
    assert [raw[4 + 11 * at + 3] for at in range(4)] == [0xA0, 0xA1, 0xA2, 1]
    for field, form in ((2, 0), (0, 3)):
        assert await refused(rig.packet(mmc.READ_TOC, 0, form, 0, 0, 0, field, 0, 200)) == BAD_FIELD
    disc = await rig.packet(mmc.READ_DISC_INFORMATION, 0, 0, 0, 0, 0, 0, 0, 34)
    assert disc[:8] == bytes((0, 32, 0x0E, 1, 1, 1, 1, 0x20))


async def test_what_it_can_do(rig: IdeRig, drive: AtapiDrive) -> None:
    answer = await rig.packet(mmc.GET_CONFIGURATION, 0, 0, 0, 0, 0, 0, 1, 0)
    assert struct.unpack_from(">IHH", answer) == (len(answer) - 4, 0, mmc.PROFILE_CD)
    one = await rig.packet(mmc.GET_CONFIGURATION, 2, 0, 3, 0, 0, 0, 1, 0)
    assert one[8:] == bytes((0, 3, 3, 4, 0x29, 0, 0, 0))
    assert await refused(rig.packet(mmc.GET_CONFIGURATION, 3, 0, 3, 0, 0, 0, 1, 0)) == BAD_FIELD
    page = await rig.packet(mmc.MODE_SENSE_10, 0, 0x2A, 0, 0, 0, 0, 1, 0)
    assert int.from_bytes(page[:2], "big") == len(page) - 2
    assert (page[2], page[8], page[14]) == (1, 0x2A, 0x29)
    assert len(await rig.packet(mmc.MODE_SENSE_10, 0, 0x3F, 0, 0, 0, 0, 1, 0)) > len(page)
    assert not any((await rig.packet(mmc.MODE_SENSE_10, 0, 0x6A, 0, 0, 0, 0, 1, 0))[10:])
    assert await refused(rig.packet(mmc.MODE_SENSE_10, 0, 0xEA, 0, 0, 0, 0, 1, 0)) == (5, 0x39, 0)
    assert await refused(rig.packet(mmc.MODE_SENSE_10, 0, 0x05, 0, 0, 0, 0, 1, 0)) == BAD_FIELD
    assert await rig.packet(mmc.SET_CD_SPEED) == b""


async def event(rig: IdeRig) -> tuple[int, int]:
    """(what has happened, status) of the medium."""
    answer = await rig.packet(mmc.GET_EVENT, 1, 0, 0, 0x10, 0, 0, 0, 8)
    assert answer[:4] == bytes((0, 6, 4, 0x10))
    return answer[4], answer[5]


async def test_users_take_the_medium_and_the_guest_notices(rig: IdeRig, drive: AtapiDrive, path: Path) -> None:
    assert await event(rig) == (0, 2)
    await eject(rig, drive)
    assert await refused(rig.packet(mmc.TEST_UNIT_READY)) == TRAY_OPEN
    assert await refused(rig.packet(*read_10(0, 1))) == TRAY_OPEN
    assert await event(rig) == (3, 1)
    assert await event(rig) == (0, 1)
    medium.close_tray(drive.backend, "cd")
    assert await refused(rig.packet(mmc.READ_CAPACITY)) == NO_MEDIUM
    medium.open_tray(drive.backend, "cd")
    await insert(rig, drive, path)
    assert await event(rig) == (2, 2)
    assert await refused(rig.packet(mmc.TEST_UNIT_READY)) == (6, 0x28, 0)
    assert await rig.packet(mmc.TEST_UNIT_READY) == b""
    assert await rig.packet(*read_10(3, 1)) == bytes_of(path, 3, 1)


async def test_what_has_to_be_told_waits_for_packets_that_ask(rig: IdeRig, path: Path) -> None:
    await rig.add_optical(path)
    assert len(await rig.packet(mmc.INQUIRY, 0, 0, 0, 36)) == 36
    assert await event(rig) == (0, 2)
    sense = await rig.packet(mmc.REQUEST_SENSE, 0, 0, 0, 18)
    assert (sense[2], sense[12]) == (6, 0x29)
    assert await rig.packet(mmc.TEST_UNIT_READY) == b""


async def test_a_guest_moves_the_tray(rig: IdeRig, drive: AtapiDrive, path: Path) -> None:
    moves: list[bool] = []
    drive.backend.on_tray = lambda backend, is_open: moves.append(is_open)
    await rig.packet(mmc.START_STOP, 0, 0, 0, 2)
    await rig.packet(mmc.START_STOP, 0, 0, 0, 2)
    await rig.settle()
    assert moves == [True]
    assert drive.tray_open
    assert (await rig.packet(mmc.MECHANISM_STATUS, 0, 0, 0, 0, 0, 0, 0, 0, 8))[1] == 0x10
    assert await refused(rig.packet(mmc.TEST_UNIT_READY)) == TRAY_OPEN
    await rig.packet(mmc.START_STOP, 0, 0, 0, 3)
    await rig.settle()
    assert moves == [True, False]
    assert await refused(rig.packet(mmc.TEST_UNIT_READY)) == (6, 0x28, 0)
    assert await rig.packet(*read_10(3, 1)) == bytes_of(path, 3, 1)


async def test_a_guest_that_plays_with_the_tray_does_not_flood_the_host(rig: IdeRig, drive: AtapiDrive) -> None:
    moves: list[bool] = []
    drive.backend.on_tray = lambda backend, is_open: moves.append(is_open)
    for number in range(1001):
        drive.move_tray(number % 2 == 0)
    assert len(rig.posted) == 1
    await rig.settle()
    assert len(moves) <= 16
    assert moves[-1] is drive.tray_open is True
    assert all(before != after for before, after in pairwise(moves))


async def test_a_lock_keeps_the_medium_until_the_guest_lets_go(rig: IdeRig, drive: AtapiDrive) -> None:
    await rig.packet(mmc.PREVENT_ALLOW, 0, 0, 0, 1)
    assert drive.locked
    assert await refused(rig.packet(mmc.START_STOP, 0, 0, 0, 2)) == (5, 0x53, 2)
    with pytest.raises(Exception, match="Device 'cd' is locked"):
        await eject(rig, drive)
    assert await event(rig) == (1, 2)
    await rig.packet(mmc.PREVENT_ALLOW, 0, 0, 0, 0)
    await rig.packet(mmc.START_STOP, 0, 0, 0, 2)
    assert drive.tray_open


async def test_force_ends_a_lock(rig: IdeRig, drive: AtapiDrive) -> None:
    await rig.packet(mmc.PREVENT_ALLOW, 0, 0, 0, 1)
    await eject(rig, drive, force=True)
    assert not drive.locked
    assert drive.tray_open


async def test_a_reset_unlocks_and_leaves_the_tray(rig: IdeRig, drive: AtapiDrive) -> None:
    await rig.packet(mmc.PREVENT_ALLOW, 0, 0, 0, 1)
    await eject(rig, drive, force=True)
    drive.state.locked = True
    drive.reset()
    assert drive.tray_open
    assert not drive.locked


async def test_a_drive_may_begin_empty(rig: IdeRig, path: Path) -> None:
    drive = await rig.add_optical(None)
    assert await refused(rig.packet(mmc.TEST_UNIT_READY)) == (6, 0x29, 0)
    assert await refused(rig.packet(*read_10(0, 1))) == NO_MEDIUM
    assert struct.unpack_from(">H", await rig.packet(mmc.GET_CONFIGURATION, 0, 0, 0, 0, 0, 0, 1, 0), 6) == (0,)
    medium.open_tray(drive.backend, "cd")
    await insert(rig, drive, path)
    assert await refused(rig.packet(mmc.TEST_UNIT_READY)) == (6, 0x28, 0)
    assert await rig.packet(*read_10(0, 1)) == bytes_of(path, 0, 1)


async def test_a_disc_that_cannot_be_read_is_told(rig: IdeRig, path: Path) -> None:
    faulty = {"file.inject-error.0.event": "read_aio", "file.inject-error.0.sector": 40}
    options = {"driver": "raw", "read-only": True, "file.driver": "blkdebug", "file.image.filename": str(path)}
    drive = await rig.add_optical(None)
    medium.open_tray(drive.backend, "cd")
    node = await rig.graph.open(options | faulty, user=None)
    medium.insert_medium(drive.backend, node)
    rig.graph.disown(node)
    medium.close_tray(drive.backend, "cd")
    await refused(rig.packet(mmc.TEST_UNIT_READY))
    assert await refused(rig.packet(*read_10(10, 1))) == (3, 0x11, 0)
    assert await refused(rig.packet(*read_10(8, 4), dma=8192)) == (3, 0x11, 0)
    assert await rig.packet(*read_10(11, 4)) == bytes_of(path, 11, 4)


async def test_a_saved_drive_goes_on_in_the_middle_of_a_reply(rig: IdeRig, drive: AtapiDrive, path: Path) -> None:
    await rig.command(r.PACKET, 2048 << 8)
    rig.give(bytes(read_10(3, 2)).ljust(12, b"\0"))
    await rig.settle()
    head = rig.take(1000)
    saved = json.loads(json.dumps(encode(drive.save())))
    drive.reset()
    drive.load(decode(AtapiState, saved))
    head += rig.take(1048)
    await rig.wait()
    assert head + rig.take(2048) == bytes_of(path, 3, 2)
    await rig.wait()
    assert not rig.status & r.DRQ


async def test_overlapped_packets_are_aborted(rig: IdeRig, drive: AtapiDrive) -> None:
    with pytest.raises(CommandError):
        await rig.command(r.PACKET, features=2)
