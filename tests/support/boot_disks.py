"""A disk and a disc that firmware boots: each says on the debug console what it came from, and halts."""

from __future__ import annotations

import struct
from pathlib import Path

DEBUG_PORT = 0xE9
SECTOR, BLOCK = 512, 2048
CATALOG, IMAGE, BLOCKS = 19, 20, 24

_CODE = bytes.fromhex(
    "31c08ed8"  # xor ax, ax; mov ds, ax
    "be167c"  # mov si, the text behind the code, which is at 0000:7c00
    "ac84c07406"  # lodsb; test al, al; jz over
    "bae900ee"  # mov dx, 0xe9; out dx, al
    "ebf5"  # the next one
    "faf4ebfc"  # over: cli; hlt; again
)


def boot_sector(text: str) -> bytes:
    """Prints `text` and a newline."""
    code = _CODE + text.encode() + b"\n\0"
    return code.ljust(SECTOR - 2, b"\0") + b"\x55\xaa"


def make_boot_disk(path: Path, text: str) -> None:
    """A disk of 1 MiB."""
    path.write_bytes(boot_sector(text).ljust(1 << 20, b"\0"))


def make_boot_disc(path: Path, text: str) -> None:
    """A disc with a boot catalog (El Torito 1.0) that leads to an image without emulation, and nothing else."""
    disc = bytearray(BLOCKS * BLOCK)

    def put(block: int, offset: int, data: bytes) -> None:
        disc[block * BLOCK + offset : block * BLOCK + offset + len(data)] = data

    put(16, 0, b"\x01CD001\x01")
    put(17, 0, b"\0CD001\x01EL TORITO SPECIFICATION")
    put(17, 0x47, struct.pack("<I", CATALOG))
    put(18, 0, b"\xffCD001\x01")
    validation = bytearray(b"\x01".ljust(30, b"\0") + b"\x55\xaa")
    struct.pack_into("<H", validation, 28, -sum(struct.unpack("<16H", validation)) & 0xFFFF)
    put(CATALOG, 0, bytes(validation))
    put(CATALOG, 32, struct.pack("<BBHBBHI", 0x88, 0, 0, 0, 0, BLOCK // SECTOR, IMAGE))
    put(IMAGE, 0, boot_sector(text))
    path.write_bytes(disc)
