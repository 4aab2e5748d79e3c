"""Disks: what a driver reads and writes is what the image holds."""

from __future__ import annotations

import asyncio
import json
import random
import struct
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.ide_driver import BUFFER, CommandError, IdeRig

from varan.api.values import BlockdevOnError
from varan.block.errorpolicy import ErrorPolicy
from varan.core import dataport
from varan.core.state import decode, encode
from varan.devices.ide import registers as r
from varan.devices.ide.ata import AtaDisk
from varan.devices.ide.ata_transfers import AtaState

SIZE = 1 << 20
SECTORS = SIZE // 512
READS = (0x20, 0x24, 0xC4, 0x29)
WRITES = (0x30, 0x34, 0xC5, 0x39)
EXTENDED = (0x24, 0x25, 0x29, 0x34, 0x35, 0x39, 0x3D, 0x42, 0xCE)
MULTIPLE = (0xC4, 0x29, 0xC5, 0x39, 0xCE)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(random.Random(1).randbytes(SIZE))
    return path


@pytest.fixture
async def rig() -> AsyncIterator[IdeRig]:
    rig = IdeRig()
    yield rig
    await rig.close()


@pytest.fixture(params=[True, False], ids=["inline", "loop"])
async def disk(request: pytest.FixtureRequest, rig: IdeRig, path: Path) -> AtaDisk:
    """Transfers are done on the vCPU's thread where possible, or all by the loop."""
    disk = await rig.add_disk({"driver": "raw", "discard": "unmap", "file.filename": str(path)})
    disk.inline = request.param
    return disk


def ext(code: int) -> dict[str, bool]:
    return {"extended": code in EXTENDED}


def bytes_of(path: Path, lba: int, count: int) -> bytes:
    return path.read_bytes()[lba * 512 : (lba + count) * 512]


def text(words: bytes, first: int, count: int) -> str:
    swapped = struct.unpack_from(f"<{count}H", words, 2 * first)
    return struct.pack(f">{count}H", *swapped).decode().rstrip()


async def identify(rig: IdeRig) -> tuple[bytes, tuple[int, ...]]:
    await rig.command(r.IDENTIFY)
    data = rig.take(512)
    return data, struct.unpack("<256H", data)


@pytest.mark.parametrize("code", READS)
async def test_the_data_port_gives_what_the_image_holds(rig: IdeRig, disk: AtaDisk, path: Path, code: int) -> None:
    block = 16 if code in MULTIPLE else 1
    assert await rig.read(code, 5, 35, block=block, **ext(code)) == bytes_of(path, 5, 35)
    assert rig.status == r.DRDY | r.DSC


@pytest.mark.parametrize("code", WRITES)
async def test_the_data_port_takes_what_the_image_gets(rig: IdeRig, disk: AtaDisk, path: Path, code: int) -> None:
    data = random.Random(code).randbytes(35 * 512)
    await rig.write(code, 1000, data, block=16 if code in MULTIPLE else 1, **ext(code))
    await rig.command(r.FLUSH_CACHE)
    assert bytes_of(path, 1000, 35) == data
    assert bytes_of(path, 1035, 1) != data[:512]


@pytest.mark.parametrize("width", [1, 2, 4])
async def test_the_data_port_has_any_width(rig: IdeRig, disk: AtaDisk, path: Path, width: int) -> None:
    await rig.command(0x20, 7, 1)
    assert rig.take(512, width) == bytes_of(path, 7, 1)
    await rig.command(0x30, 8, 1)
    rig.give(b"abcd" * 128, width)
    await rig.wait()
    assert await rig.read(0x20, 8, 1) == b"abcd" * 128


async def test_each_block_has_its_interrupt(rig: IdeRig, disk: AtaDisk) -> None:
    await rig.command(0x20, 0, 3)
    assert rig.wire.rises == 1
    for count in (2, 3, 3):
        rig.take(512)
        await rig.settle()
        assert rig.wire.rises == count
        rig.get(r.STATUS)
    before = rig.wire.rises
    await rig.command(0x30, 0, 2)
    assert rig.wire.rises == before  # the first block of a write is just asked for
    for _ in range(2):
        rig.give(bytes(512))
        await rig.wait()
    assert rig.wire.rises == before + 2


async def test_reading_the_status_ends_the_interrupt(rig: IdeRig, disk: AtaDisk) -> None:
    await rig.settle()
    rig.put(r.COMMAND, r.IDLE_IMMEDIATE[0])
    assert rig.wire.level == 1
    assert rig.status & r.DRDY
    assert rig.wire.level == 1
    rig.get(r.STATUS)
    assert rig.wire.level == 0


async def test_a_driver_may_do_without_interrupts(rig: IdeRig, disk: AtaDisk) -> None:
    rig.ports.write(0x3F6, 1, r.NIEN)
    await rig.command(r.IDLE_IMMEDIATE[0])
    assert rig.wire.rises == 0


@pytest.mark.parametrize("code", [0xC8, 0x25])
async def test_a_read_by_bus_master_fills_the_regions(rig: IdeRig, disk: AtaDisk, path: Path, code: int) -> None:
    rest = 256 * 512 - 512 - 0x3000 - 0x10000
    pieces = (BUFFER, 512), (BUFFER + 0x2000, 0x3000), (BUFFER + 0x10000, 0x10000), (BUFFER + 0x40000, rest)
    status = await rig.transfer(code, 9, 256, *pieces, to_memory=True, **ext(code))
    assert status & 0x07 == 0x04
    found = b"".join(bytes(rig.ram.view[address : address + size]) for address, size in pieces)
    assert found == bytes_of(path, 9, 256)
    assert sum(size for _, size in rig.written) == 256 * 512


@pytest.mark.parametrize("code", [0xCA, 0x35, 0x3D])
async def test_a_write_by_bus_master_takes_the_regions(rig: IdeRig, disk: AtaDisk, path: Path, code: int) -> None:
    data = random.Random(3).randbytes(64 * 512)
    rig.ram.view[BUFFER : BUFFER + len(data)] = data
    await rig.transfer(code, 100, 64, to_memory=False, **ext(code))
    await rig.command(r.FLUSH_CACHE_EXT)
    assert bytes_of(path, 100, 64) == data


async def test_the_bus_master_may_start_before_the_command(rig: IdeRig, disk: AtaDisk, path: Path) -> None:
    rig.describe((BUFFER, 512))
    rig.master.write(0, 1, 0x09)
    await rig.command(0xC8, 3, 1)
    assert bytes(rig.ram.view[BUFFER : BUFFER + 512]) == bytes_of(path, 3, 1)


async def test_a_longer_table_stays_active(rig: IdeRig, disk: AtaDisk) -> None:
    status = await rig.transfer(0xC8, 0, 1, (BUFFER, 1024), to_memory=True)
    assert status & 0x07 == 0x05


@pytest.mark.parametrize(
    "pieces", [((BUFFER, 512),), ((0x9000_0000, 512), (BUFFER, 256))], ids=["too short", "and nowhere"]
)
async def test_a_shorter_table_moves_nothing(rig: IdeRig, disk: AtaDisk, pieces: Any) -> None:
    rises = rig.wire.rises
    status = await rig.transfer(0xC8, 0, 2, *pieces, to_memory=True)
    assert status & 0x07 == 0
    assert rig.wire.rises == rises
    assert not rig.written


async def test_a_table_against_the_command_moves_nothing(rig: IdeRig, disk: AtaDisk) -> None:
    status = await rig.transfer(0xC8, 0, 2, to_memory=False)
    assert status & 0x07 == 0


async def test_without_leave_to_use_memory_nothing_moves(rig: IdeRig, disk: AtaDisk) -> None:
    rig.may_use_memory = False
    await rig.transfer(0xC8, 0, 2, to_memory=True)
    assert not rig.written


async def test_regions_without_memory_are_passed_over(rig: IdeRig, disk: AtaDisk, path: Path) -> None:
    await rig.transfer(0xC8, 0, 2, (0x9000_0000, 512), (BUFFER, 512), to_memory=True)
    assert bytes(rig.ram.view[BUFFER : BUFFER + 512]) == bytes_of(path, 1, 1)
    await rig.transfer(0xCA, 50, 2, (0x9000_0000, 512), (BUFFER, 512), to_memory=False)
    assert await rig.read(0x20, 50, 2) == bytes(512) + bytes_of(path, 1, 1)


async def test_a_stopped_transfer_leaves_memory_alone(rig: IdeRig, disk: AtaDisk) -> None:
    disk.inline = False
    rig.describe((BUFFER, 512))
    rig.master.write(0, 1, 0x08)
    rig.put(r.DEVICE, r.LBA)
    rig.put(r.SECTOR_COUNT, 1)
    rig.put(r.COMMAND, 0xC8)
    rig.master.write(0, 1, 0x09)
    assert rig.status & r.BSY
    rig.master.write(0, 1, 0)
    assert not rig.status & r.BSY
    await rig.settle()
    assert not rig.written
    assert await rig.read(0x20, 0, 1)


@pytest.mark.parametrize("code", [0x20, 0x24, 0x25, 0xC8, 0x30, 0x35, 0x40, 0x42])
async def test_sectors_there_are_not_are_not_found(rig: IdeRig, disk: AtaDisk, code: int) -> None:
    for lba, count in ((SECTORS, 1), (SECTORS - 1, 2), (0x0FFFFFFF, 1)):
        with pytest.raises(CommandError) as raised:
            await rig.command(code, lba, count, **ext(code))
        assert raised.value.error == r.IDNF


async def test_addresses_by_cylinder_head_and_sector(rig: IdeRig, disk: AtaDisk, path: Path) -> None:
    async def read(cylinder: int, head: int, sector: int) -> bytes:
        rig.put(r.DEVICE, head)
        for offset, value in ((2, 1), (3, sector), (4, cylinder & 0xFF), (5, cylinder >> 8)):
            rig.put(offset, value)
        rig.put(r.COMMAND, 0x20)
        await rig.wait()
        return rig.take(512)

    assert await read(1, 2, 3) == bytes_of(path, (1 * 8 + 2) * 16 + 2, 1)
    for place in ((0, 8, 1), (0, 0, 0), (0, 0, 17)):
        with pytest.raises(CommandError) as raised:
            await read(*place)
        assert raised.value.error == r.IDNF
    rig.put(r.DEVICE, 3)  # four heads
    rig.put(r.SECTOR_COUNT, 32)
    rig.put(r.COMMAND, r.INITIALIZE_PARAMETERS)
    assert await read(1, 2, 30) == bytes_of(path, (1 * 4 + 2) * 32 + 29, 1)


async def test_a_disk_says_what_it_is(rig: IdeRig, disk: AtaDisk) -> None:
    data, words = await identify(rig)
    assert sum(data) & 0xFF == 0
    assert (text(data, 10, 10), text(data, 23, 4), text(data, 27, 20)) == ("SN1", "1.0", "VARAN TESTDRIVE")
    assert words[1], words[3] == (4, 8)
    assert words[60] | words[61] << 16 == SECTORS
    assert words[100] == SECTORS
    assert words[83] & 0x0400
    assert words[85] & 0x20


async def test_the_registers_tell_the_size(rig: IdeRig, disk: AtaDisk) -> None:
    await rig.command(r.READ_NATIVE_MAX)
    assert (rig.get(3), rig.get(4), rig.get(5)) == (0xFF, 0x07, 0)
    await rig.command(r.READ_NATIVE_MAX_EXT, extended=True)
    assert (rig.get(3), rig.get(4), rig.get(5)) == (0xFF, 0x07, 0)


async def test_previous_contents_are_read_with_hob(rig: IdeRig, disk: AtaDisk) -> None:
    rig.put(r.LBA_LOW, 0x12)
    rig.put(r.LBA_LOW, 0x34)
    rig.ports.write(0x3F6, 1, r.HOB)
    assert rig.get(r.LBA_LOW) == 0x12
    rig.put(r.LBA_MID, 0)
    assert rig.get(r.LBA_LOW) == 0x34


async def test_settings_show_in_the_identity(rig: IdeRig, disk: AtaDisk) -> None:
    await rig.command(r.SET_FEATURES, count=0x22, features=r.SET_TRANSFER_MODE)
    await rig.command(r.SET_MULTIPLE, count=8)
    await rig.command(r.SET_FEATURES, features=r.CLEAR_WRITE_CACHE)
    _, words = await identify(rig)
    assert words[63] == 0x0407
    assert words[88] == 0x003F
    assert words[59] == 0x0108
    assert not words[85] & 0x20
    for code, more in ((r.SET_MULTIPLE, {"count": 3}), (r.SET_FEATURES, {"features": 0x03, "count": 0x27})):
        with pytest.raises(CommandError) as raised:
            await rig.command(code, **more)
        assert raised.value.error == r.ABRT
    await rig.command(r.SET_MULTIPLE, count=0)
    with pytest.raises(CommandError):
        await rig.command(0xC4, 0, 1)


async def test_sectors_are_verified_and_discarded(rig: IdeRig, disk: AtaDisk) -> None:
    await rig.command(0x40, 5, 100)
    ranges = struct.pack("<QQ", 8 | 8 << 48, 64 | 16 << 48).ljust(512, b"\0")
    rig.ram.view[BUFFER : BUFFER + 512] = ranges
    await rig.transfer(r.DATA_SET_MANAGEMENT, 0, 1, to_memory=False, features=1, extended=True)
    assert await rig.read(0x20, 8, 8) == bytes(4096)
    assert await rig.read(0x20, 64, 16) == bytes(8192)
    assert await rig.read(0x20, 16, 1) != bytes(512)
    rig.ram.view[BUFFER : BUFFER + 8] = struct.pack("<Q", SECTORS - 1 | 2 << 48)
    with pytest.raises(CommandError):
        await rig.transfer(r.DATA_SET_MANAGEMENT, 0, 1, to_memory=False, features=1, extended=True)


async def test_what_a_disk_cannot_do_is_aborted(rig: IdeRig, disk: AtaDisk) -> None:
    for code in (r.NOP, r.PACKET, 0xB0, 0xFF, 0x06):
        with pytest.raises(CommandError) as raised:
            await rig.command(code)
        assert raised.value.error == r.ABRT
    await rig.command(r.CHECK_POWER[0])
    assert rig.get(r.SECTOR_COUNT) == 0xFF


async def test_a_software_reset_shows_the_signature(rig: IdeRig, disk: AtaDisk) -> None:
    await rig.command(0x20, 3, 2)
    rig.ports.write(0x3F6, 1, r.SRST)
    assert rig.status == r.BSY
    rig.ports.write(0x3F6, 1, 0)
    assert rig.status == r.DRDY | r.DSC
    assert [rig.get(offset) for offset in range(1, 6)] == [1, 1, 1, 0, 0]
    rig.put(r.COMMAND, r.EXECUTE_DIAGNOSTIC)
    assert rig.get(r.ERROR) == 1
    assert rig.wire.level == 1


async def test_a_request_that_a_reset_overtakes_counts_no_more(rig: IdeRig, disk: AtaDisk) -> None:
    disk.inline = False
    rig.put(r.DEVICE, r.LBA)
    rig.put(r.COMMAND, 0x20)
    rig.ports.write(0x3F6, 1, r.SRST)
    rig.ports.write(0x3F6, 1, 0)
    await rig.settle()
    assert rig.status == r.DRDY | r.DSC


async def test_a_guest_that_gives_up_requests_keeps_the_host_no_busier(rig: IdeRig, disk: AtaDisk) -> None:
    begun: list[object] = []
    read = disk.backend.read

    async def slow(offset: int, buffers: Any, **more: Any) -> None:
        begun.append(offset)
        await asyncio.sleep(0.01)
        await read(offset, buffers, **more)

    disk.backend.read = slow  # type: ignore[method-assign]
    disk.inline = False
    for _ in range(100):
        rig.put(r.DEVICE, r.LBA)
        rig.put(r.COMMAND, 0x20)
        while rig.posted:
            rig.posted.pop()()
        rig.ports.write(0x3F6, 1, r.SRST)
        rig.ports.write(0x3F6, 1, 0)
    await asyncio.sleep(0.05)
    assert len(begun) <= 2
    disk.backend.read = read  # type: ignore[method-assign]
    assert await rig.read(0x20, 0, 1)


async def test_a_write_does_not_overtake_one_that_was_given_up(rig: IdeRig, disk: AtaDisk, path: Path) -> None:
    write = disk.backend.write

    async def slow(*given: Any, **more: Any) -> None:
        await asyncio.sleep(0.01)
        await write(*given, **more)

    disk.backend.write = slow  # type: ignore[method-assign]
    disk.inline = False
    await rig.command(0x30, 5, 1)
    rig.give(b"1" * 512)
    rig.posted.pop()()
    rig.ports.write(0x3F6, 1, r.SRST)
    rig.ports.write(0x3F6, 1, 0)
    disk.inline = True
    rig.put(r.DEVICE, r.LBA)
    for offset, value in ((2, 1), (3, 5), (4, 0), (5, 0)):
        rig.put(offset, value)
    rig.put(r.COMMAND, 0x30)
    rig.give(b"2" * 512)
    while rig.status & r.BSY:
        await asyncio.sleep(0.01)
    await rig.command(r.FLUSH_CACHE)
    assert bytes_of(path, 5, 1) == b"2" * 512


async def test_device_0_answers_for_a_device_1_that_is_not_there(rig: IdeRig, disk: AtaDisk) -> None:
    rig.select(1)
    assert rig.status == 0
    assert rig.get(r.LBA_LOW) == 1
    rig.put(r.COMMAND, r.IDENTIFY)
    assert rig.get(r.STATUS) == 0
    rig.select(0)
    assert rig.get(r.STATUS) == r.DRDY | r.DSC


async def test_two_disks_share_a_channel(rig: IdeRig, disk: AtaDisk, tmp_path: Path, path: Path) -> None:
    (tmp_path / "other").write_bytes(b"\xee" * 8192)
    await rig.add_disk({"driver": "raw", "file.filename": str(tmp_path / "other")}, unit=1)
    rig.select(1)
    assert await rig.read(0x20, 0, 1) == b"\xee" * 512
    assert await rig.transfer(0xC8, 0, 2, to_memory=True) & 4
    rig.select(0)
    assert await rig.read(0x20, 0, 1) == bytes_of(path, 0, 1)


async def test_a_bad_sector_is_reported_where_it_is(rig: IdeRig, path: Path) -> None:
    await rig.add_disk(faulty(path, "read_aio"))
    for lba, code in ((40, 0x20), (42, 0xC8)):
        with pytest.raises(CommandError) as raised:
            if code == 0x20:
                await rig.read(code, lba, 4)
            else:
                await rig.transfer(code, lba, 4, to_memory=True)
        assert raised.value.error == r.UNC
        assert rig.get(r.LBA_LOW) == 42
    assert await rig.read(0x20, 43, 4) == bytes_of(path, 43, 4)


async def test_a_saved_disk_goes_on_in_the_middle_of_a_block(rig: IdeRig, disk: AtaDisk, path: Path) -> None:
    await rig.command(0xC4, 5, 20)
    head = rig.take(16 * 512 - 100)
    saved = json.loads(json.dumps(encode(disk.save())))
    disk.reset()
    disk.load(decode(AtaState, saved))
    head += rig.take(100)
    await rig.wait()
    assert head + rig.take(4 * 512) == bytes_of(path, 5, 20)


async def test_what_is_lent_goes_through_the_data_port_once(rig: IdeRig, disk: AtaDisk, path: Path) -> None:
    await rig.command(0x20, 7, 2)
    head = rig.take(10)
    string = rig.ports.read_string(0x1F0, 2, 200)
    assert head + string + rig.take(512 - 410) == bytes_of(path, 7, 1)
    await rig.wait()
    assert rig.ports.read_string(0x1F0, 4, 128) == bytes_of(path, 8, 1)
    assert await rig.wait() == r.DRDY | r.DSC


async def test_a_disk_that_has_lent_bytes_is_saved_with_those_that_have_gone(
    rig: IdeRig, disk: AtaDisk, path: Path
) -> None:
    await rig.command(0x20, 7, 1)
    head = rig.ports.read_string(0x1F0, 2, 100)
    saved = disk.save()
    assert saved.position == 200
    disk.reset()
    disk.load(saved)
    assert head + rig.take(312) == bytes_of(path, 7, 1)


async def test_a_reset_ends_what_is_lent(rig: IdeRig, disk: AtaDisk, path: Path) -> None:
    await rig.command(0x20, 7, 1)
    rig.ports.read_string(0x1F0, 2, 100)
    window = rig.ports.windows[0]
    assert window.open_for == dataport.READS
    rig.ports.write(0x3F6, 1, r.SRST)
    assert window.open_for == dataport.CLOSED
    rig.ports.write(0x3F6, 1, 0)
    assert await rig.read(0x20, 8, 1) == bytes_of(path, 8, 1)


async def test_a_request_that_was_cut_off_is_done_again(rig: IdeRig, disk: AtaDisk, path: Path) -> None:
    disk.inline = False
    rig.describe((BUFFER, 1024))
    rig.master.write(0, 1, 0x09)
    rig.put(r.DEVICE, r.LBA)
    rig.put(r.SECTOR_COUNT, 2)
    rig.put(r.LBA_LOW, 9)
    rig.put(r.COMMAND, 0xC8)
    saved = disk.save()
    await rig.settle()
    rig.written.clear()
    rig.ram.view[BUFFER : BUFFER + 1024] = bytes(1024)
    disk.load(saved)
    await rig.settle()
    assert rig.status & r.BSY
    assert not rig.written
    disk.resume()
    await rig.wait()
    assert bytes(rig.ram.view[BUFFER : BUFFER + 1024]) == bytes_of(path, 9, 2)


def faulty(path: Path, event: str, once: bool = False) -> dict[str, Any]:
    """Requests that touch sector 42 fail."""
    rule = {"file.inject-error.0.event": event, "file.inject-error.0.sector": 42, "file.inject-error.0.once": once}
    return {"driver": "raw", "file.driver": "blkdebug", "file.image.filename": str(path), **rule}


@pytest.mark.parametrize(
    ("code", "event"), [(0x20, "read_aio"), (0xC8, "read_aio"), (0x30, "write_aio"), (0xCA, "write_aio")]
)
async def test_an_error_that_stops_the_machine_is_tried_again(rig: IdeRig, path: Path, code: int, event: str) -> None:
    disk = await rig.add_disk(faulty(path, event, once=True))
    disk.backend.policy = ErrorPolicy(BlockdevOnError.STOP, BlockdevOnError.STOP)
    errors: list[bool] = []
    disk.backend.on_error = lambda backend, error, is_read, action: errors.append(is_read)
    rig.describe((BUFFER, 512))
    rig.put(r.DEVICE, r.LBA)
    for offset, value in ((2, 1), (3, 42), (4, 0), (5, 0)):
        rig.put(offset, value)
    rig.put(r.COMMAND, code)
    if code == 0x30:
        rig.give(b"w" * 512)
    rig.master.write(0, 1, 9 if code == 0xC8 else 1)
    await rig.settle()
    assert errors == [event == "read_aio"]
    assert rig.status & r.BSY
    saved = disk.save()
    disk.load(saved)
    disk.backend.retry()
    await rig.wait()
    if code == 0x20:
        assert rig.take(512) == bytes_of(path, 42, 1)
    elif code == 0xC8:
        assert bytes(rig.ram.view[BUFFER : BUFFER + 512]) == bytes_of(path, 42, 1)
    else:
        await rig.command(r.FLUSH_CACHE)
        assert bytes_of(path, 42, 1) == (b"w" if code == 0x30 else b"\0") * 512


async def test_an_error_may_be_ignored(rig: IdeRig, path: Path) -> None:
    disk = await rig.add_disk(faulty(path, "write_aio"))
    disk.backend.policy = ErrorPolicy(BlockdevOnError.REPORT, BlockdevOnError.IGNORE)
    before = bytes_of(path, 42, 1)
    await rig.write(0x30, 42, bytes(512))
    assert bytes_of(path, 42, 1) == before
    disk.backend.policy = ErrorPolicy()
    with pytest.raises(CommandError) as raised:
        await rig.write(0x30, 42, bytes(512))
    assert raised.value.error == r.ABRT


async def test_a_disk_that_has_grown_says_so(rig: IdeRig, disk: AtaDisk, path: Path) -> None:
    node = disk.backend.node
    assert node is not None
    await node.truncate(2 * SIZE, "off", exact=True)
    _, words = await identify(rig)
    assert words[100] == 2 * SECTORS
    assert await rig.read(0x20, SECTORS, 1) == bytes(512)
