"""Small files that look like kernels to a loader, and boards that are nothing but memory."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from varan.core.memory import GuestRam, MemorySpace

MIB = 1 << 20
GIB = 1 << 30


def ram(*pieces: tuple[int, int]) -> MemorySpace:
    """A memory space with RAM at each (base, size)."""
    space = MemorySpace()
    for base, size in pieces:
        space.map_ram(base, GuestRam(size))
    return space


@dataclass
class BzImage:
    """Fields of the setup header; `bytes(image)` makes the file: real-mode sectors, then `code`."""

    setup_sectors: int = 1
    version: int = 0x20F
    loadflags: int = 0x01
    xloadflags: int = 0x01
    initrd_max: int = 0x7FFFFFFF
    cmdline_size: int = 2047
    address: int = 0x1000000
    init_size: int = 2 * MIB
    code: bytes = b"\x90" * 0x1000
    syssize: int | None = None

    def __bytes__(self) -> bytes:
        setup = bytearray((self.setup_sectors + 1) * 512)
        setup[0x1F1] = self.setup_sectors
        syssize = -(-len(self.code) // 16) if self.syssize is None else self.syssize
        struct.pack_into("<I", setup, 0x1F4, syssize)
        struct.pack_into("<HBB4sH", setup, 0x1FE, 0xAA55, 0xEB, 0x6A, b"HdrS", self.version)
        setup[0x211] = self.loadflags
        struct.pack_into("<I", setup, 0x22C, self.initrd_max)
        struct.pack_into("<H", setup, 0x236, self.xloadflags)
        struct.pack_into("<I", setup, 0x238, self.cmdline_size)
        struct.pack_into("<QI", setup, 0x258, self.address, self.init_size)
        return bytes(setup) + self.code


@dataclass
class ElfSegment:
    """A program header and what it loads. `file_size` overrides what the header says of `data`."""

    physical: int
    data: bytes = b""
    memory_size: int = 0x1000
    virtual: int | None = None
    type: int = 1
    file_size: int | None = None


def elf(*segments: ElfSegment, entry: int = 0x1000000, machine: int = 62, kind: int = 2) -> bytes:
    """A 64-bit ELF executable with these program headers."""
    offset = 64 + 56 * len(segments)
    headers, contents = b"", b""
    for segment in segments:
        virtual = (segment.physical + 0xFFFFFFFF80000000) % (1 << 64) if segment.virtual is None else segment.virtual
        size = len(segment.data) if segment.file_size is None else segment.file_size
        at = offset + len(contents)
        headers += struct.pack(
            "<IIQQQQQQ", segment.type, 5, at, virtual, segment.physical, size, segment.memory_size, 0x1000
        )
        contents += segment.data
    identity = b"\x7fELF" + bytes([2, 1, 1]) + bytes(9)
    fields = (kind, machine, 1, entry, 64, 0, 0, 64, 56, len(segments), 64, 0, 0)
    return identity + struct.pack("<HHIQQQIHHHHHH", *fields) + headers + contents
