"""SeaBIOS starts what lies on a floppy disk, which then reads and writes the disk through the BIOS."""

from __future__ import annotations

from pathlib import Path

from tests.support.need import need

from varan.embed.console import Console
from varan.machine.machine import Machine
from varan.machine.spec import BootSpec, DeviceSpec, DriveSpec, MachineSpec

PATIENCE = 90
SECTOR = 512
FIRMWARE = Path("/usr/share/seabios/bios-256k.bin")

BOOT_SECTOR = bytes.fromhex(
    "31c08ed88ec08ed0 bc007c"  # ds = es = ss = 0, a stack below
    "b80402bb007eb90f00b600 cd13 7228"  # int 13h: read 4 sectors from 15 on to 0:7e00
    "b80103bb007eb9024fb600 cd13 7219"  # int 13h: write the first of them to sector 2 of cylinder 79
    "be007e ac84c07404e6e9ebf7"  # print up to a zero
    "a00084e6e9"  # and the first byte of the last sector
    "b00ae6e9faf4ebfd"  # a newline; halt
    "b021e6e9ebf2"  # an error: "!"
)


def make_disk(path: Path) -> bytes:
    """An image that boots; its text."""
    disk = bytearray(1440 << 10)
    disk[: len(BOOT_SECTOR)] = BOOT_SECTOR
    disk[510:512] = b"\x55\xaa"
    text = b"read from the disk, "
    disk[14 * SECTOR : 14 * SECTOR + len(text)] = text
    disk[17 * SECTOR] = ord("Z")
    path.write_bytes(disk)
    return text


async def test_a_floppy_disk_boots(tmp_path: Path) -> None:
    need(FIRMWARE.exists(), f"{FIRMWARE} is not installed (Debian package seabios)")
    path = tmp_path / "boot.img"
    text = make_disk(path)
    console = Console("debug")
    spec = MachineSpec(
        memory=64 << 20,
        boot=BootSpec(firmware=str(FIRMWARE)),
        drives=(DriveSpec("floppy0", {"driver": "raw", "file.filename": str(path)}),),
        devices=(
            DeviceSpec("floppy", settings={"drive": "floppy0"}),
            DeviceSpec("isa-debugcon", settings={"iobase": 0xE9, "chardev": "debug"}),
        ),
    )
    machine = Machine(spec, {"debug": console})
    await machine.open()
    try:
        await machine.start()
        await console.expect(text.decode() + "Z\n", timeout=PATIENCE)
    finally:
        await machine.close()
    assert path.read_bytes()[(79 * 36 + 1) * SECTOR :].startswith(text), "the BIOS wrote it"
