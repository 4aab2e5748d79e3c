"""vmlinux: a kernel as an ELF executable (System V ABI, chapters 4 and 5)."""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from typing import NamedTuple

from varan.board.boot.base import BadImage
from varan.board.boot.kernel import HIGHEST, LOWEST, KernelImage, LoadSegment

MAGIC = b"\x7fELF"
HEADER_SIZE = 64
PROGRAM_HEADER_SIZE = 56
MAX_PROGRAM_HEADERS = 128

PT_LOAD = 1
PT_INTERP = 3
EM_X86_64 = 62
MACHINES = {
    2: "SPARC",
    3: "32-bit x86",
    8: "MIPS",
    20: "PowerPC",
    21: "64-bit PowerPC",
    22: "S/390",
    40: "32-bit ARM",
    183: "arm64",
    243: "RISC-V",
}

COMMAND_LINE_LIMIT = 2047
"""COMMAND_LINE_SIZE of x86 kernels without the NUL; an ELF file does not say it."""
INITRD_LIMIT = 0x80000000
BOOT_PROTOCOL = 0x20F
KERNEL_ALIGNMENT = 0x1000000


class ProgramHeader(NamedTuple):
    type: int
    flags: int
    offset: int
    virtual: int
    physical: int
    file_size: int
    memory_size: int
    align: int


def is_elf(head: bytes) -> bool:
    """Whether the file that starts with `head` is an ELF file."""
    return head[:4] == MAGIC


def parse(head: bytes, file_size: int, read: Callable[[int, int], bytes]) -> KernelImage:
    """The image in a file of `file_size` bytes that starts with `head`; `read(offset, length)` gets more of it.

    Raises BadImage.
    """
    if len(head) < HEADER_SIZE:
        raise BadImage("is a truncated ELF file: it ends within its header")
    _check_kind(head)
    headers = _program_headers(head, read)
    if any(header.type == PT_INTERP for header in headers):
        raise BadImage("is an ordinary ELF program, not a kernel")
    loads = sorted((h for h in headers if h.type == PT_LOAD and h.memory_size), key=lambda h: h.physical)
    if not loads:
        raise BadImage("is an ELF file with nothing to load (PT_LOAD)")
    for load in loads:
        _check_segment(load, file_size)
    for before, after in itertools.pairwise(loads):
        if before.physical + before.memory_size > after.physical:
            raise BadImage(f"is a damaged ELF file: its segments overlap at {after.physical:#x}")
    return KernelImage(
        segments=tuple(LoadSegment(h.offset, h.file_size, h.physical, h.memory_size) for h in loads),
        entry=_entry(struct.unpack_from("<Q", head, 24)[0], loads),
        end=loads[-1].physical + loads[-1].memory_size,
        header=_setup_header(),
        command_line_limit=COMMAND_LINE_LIMIT,
        initrd_limit=INITRD_LIMIT,
    )


def _check_kind(head: bytes) -> None:
    elf_class, byte_order = head[4], head[5]
    order = ">" if byte_order == 2 else "<"
    kind, machine = struct.unpack_from(order + "HH", head, 16)
    if machine != EM_X86_64:
        raise BadImage(f"is an ELF file for {MACHINES.get(machine, f'machine type {machine}')}, not for x86-64")
    if elf_class != 2 or byte_order != 1:
        raise BadImage("is not a 64-bit little-endian ELF file")
    if kind not in (2, 3):
        raise BadImage("is an ELF file, but not an executable (a kernel module, an object file or a core dump?)")


def _program_headers(head: bytes, read: Callable[[int, int], bytes]) -> list[ProgramHeader]:
    (table,) = struct.unpack_from("<Q", head, 32)
    entry_size, count = struct.unpack_from("<HH", head, 54)
    if count > MAX_PROGRAM_HEADERS or (count and entry_size != PROGRAM_HEADER_SIZE) or table >= 1 << 63:
        raise BadImage(f"is a damaged ELF file: {count} program headers of {entry_size} bytes")
    data = read(table, count * PROGRAM_HEADER_SIZE)
    if len(data) < count * PROGRAM_HEADER_SIZE:
        raise BadImage("is a truncated ELF file: it ends within its program headers")
    return [ProgramHeader._make(fields) for fields in struct.iter_unpack("<IIQQQQQQ", data)]


def _check_segment(segment: ProgramHeader, file_size: int) -> None:
    end = segment.offset + segment.file_size
    if end > file_size:
        raise BadImage(f"is a truncated ELF file: a segment ends at {end}, the file has {file_size} bytes")
    if segment.file_size > segment.memory_size:
        raise BadImage("is a damaged ELF file: a segment has more bytes in the file than in memory")
    if not LOWEST <= segment.physical <= segment.physical + segment.memory_size <= HIGHEST:
        raise BadImage(
            f"wants {segment.memory_size} bytes at physical {segment.physical:#x}; "
            "a kernel loads between 1 MiB and 4 GiB"
        )


def _entry(entry: int, loads: list[ProgramHeader]) -> int:
    """The physical entry point: Linux links it as a physical address, others as a virtual one."""
    for load in loads:
        if load.physical <= entry < load.physical + load.memory_size:
            return entry
    for load in loads:
        if load.virtual <= entry < load.virtual + load.memory_size:
            return entry - load.virtual + load.physical
    raise BadImage(f"is an ELF file whose entry point {entry:#x} lies in none of its segments")


def _setup_header() -> bytes:
    """What a bzImage's header would have told the kernel about its loader (offsets are the zero page's)."""
    page = bytearray(0x268)
    struct.pack_into("<HI", page, 0x1FE, 0xAA55, 0)
    page[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", page, 0x206, BOOT_PROTOCOL)
    struct.pack_into("<I", page, 0x230, KERNEL_ALIGNMENT)
    return bytes(page[0x1F1:])
