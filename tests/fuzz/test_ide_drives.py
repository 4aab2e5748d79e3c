"""Whatever a guest does to a channel with a disk and an optical drive, nothing raises, nothing grows, the drives go on
answering, and what is saved loads."""

from __future__ import annotations

import random
import tempfile
from pathlib import Path

import msgspec
import pytest
from tests.support.ide_driver import BUFFER, TABLE, IdeRig

from varan.block import medium
from varan.core.state import decode, encode
from varan.devices.ide import ata, mmc
from varan.devices.ide import registers as r
from varan.devices.ide.ata_transfers import TRANSFERS

STEPS = 1500
STATE_LIMIT = 200_000
"""Bytes of JSON that no drive's state outgrows."""
COMMANDS = [*TRANSFERS, *ata._COMMANDS, r.PACKET, r.DEVICE_RESET, r.IDENTIFY_PACKET, r.EXECUTE_DIAGNOSTIC]
PACKETS = list(mmc._HANDLERS)
SMALL = (0, 1, 2, 3, 8, 255)


async def make(folder: Path) -> IdeRig:
    rig = IdeRig()
    (folder / "disk").write_bytes(bytes(256 * 512))
    (folder / "disc").write_bytes(bytes(64 * 2048))
    await rig.add_disk({"driver": "raw", "discard": "unmap", "file.filename": str(folder / "disk")})
    await rig.add_optical(folder / "disc", unit=1)
    return rig


def some_access(rig: IdeRig, source: random.Random) -> None:
    """Registers with likely values, mostly."""
    choice = source.randrange(16)
    if choice < 5:
        value = source.choice(SMALL) if source.random() < 0.8 else source.randrange(256)
        rig.ports.write(0x1F0 + source.randrange(1, 7), 1, value)
    elif choice == 5:
        rig.put(r.DEVICE, source.choice((0, r.DEV, r.LBA, r.LBA | r.DEV, source.randrange(256))))
    elif choice < 8:
        rig.put(r.COMMAND, source.choice(COMMANDS) if source.random() < 0.9 else source.randrange(256))
    elif choice < 10:
        width, count = source.choice((1, 2, 4)), source.choice((1, 6, 300, 5000))
        for _ in range(count):
            rig.ports.read(0x1F0, width)
    elif choice == 10:
        packet = bytes((source.choice(PACKETS), *(source.choice(SMALL) for _ in range(11))))
        rig.give(packet, source.choice((1, 2, 4)))
    elif choice == 11:
        for _ in range(source.choice((1, 200, 5000))):
            rig.ports.write(0x1F0, source.choice((1, 2, 4)), source.getrandbits(32) & 0xFF)
    elif choice == 12:
        rig.ports.write(0x3F6, 1, source.choice((0, 0, 0, r.NIEN, r.SRST, r.HOB)))
    elif choice == 13:
        addresses = (BUFFER, BUFFER + 0x10000, 0, 0x9000_0000, 0xFFFF_FFFE, TABLE)
        rig.describe(
            *((source.choice(addresses), source.choice((0, 2, 512, 4096))) for _ in range(source.randrange(1, 9)))
        )
    else:
        rig.master.write(
            source.randrange(8), source.choice((1, 2, 4)), source.choice((1, 9, 0, 8, source.getrandbits(32)))
        )


@pytest.mark.parametrize("seed", range(12))
async def test_random_guests(seed: int) -> None:
    source = random.Random(seed)
    with tempfile.TemporaryDirectory() as folder:
        rig = await make(Path(folder))
        drives = [drive for drive in rig.channel.drives if drive is not None]
        for drive in drives:
            drive.inline = bool(seed % 2)
        for _ in range(STEPS):
            some_access(rig, source)
            if source.random() < 0.3:
                await rig.settle()
            if source.random() < 0.02:
                await host_does_something(rig, source, Path(folder))
        await rig.settle()
        for drive in drives:
            saved = encode(drive.save())
            assert len(msgspec.json.encode(saved)) < STATE_LIMIT
            drive.load(decode(drive.state_type, saved))
            assert encode(drive.save()) == saved
            drive.reset()
        rig.channel.reset()
        rig.master.reset()
        rig.select(0)
        assert len(await rig.read(0x20, 0, 1)) == 512
        await rig.close()


async def host_does_something(rig: IdeRig, source: random.Random, folder: Path) -> None:
    drive = rig.channel.drives[1]
    assert drive is not None
    if drive.backend.present:
        medium.open_tray(drive.backend, "cd", force=True)
        await medium.remove_medium(drive.backend, "cd")
    else:
        medium.open_tray(drive.backend, "cd", force=True)
        options = {"driver": "raw", "read-only": True, "file.filename": str(folder / "disc")}
        node = await rig.graph.open(options, user=None)
        medium.insert_medium(drive.backend, node)
        rig.graph.disown(node)
        medium.close_tray(drive.backend, "cd")


@pytest.mark.parametrize("seed", range(120))
async def test_states_that_cannot_be_do_no_harm(seed: int, tmp_path: Path) -> None:
    source = random.Random(seed)
    rig = await make(tmp_path)
    for unit, drive in enumerate(rig.channel.drives):
        assert drive is not None
        state = drive.state_type(
            phase=source.randrange(10),
            command=source.choice(COMMANDS),
            left=source.choice((0, 1, 65536)),
            lba=source.choice((0, 255, 1 << 48)),
            status=source.choice((0x50, 0x58, 0xD0)),
            buffer=bytearray(source.choice((0, 12, 512, 513))),
            end=source.choice((0, 12, 512, 65536)),
            position=source.choice((0, 12, 512, 65536)),
        )
        drive.load(decode(drive.state_type, encode(state)))
        rig.channel.state.device = r.DEV if unit else 0
        drive.resume()
        await rig.settle()
        for _ in range(30):
            some_access(rig, source)
        await rig.settle()
    await rig.close()
