"""Direct boot of a Linux kernel by its 64-bit boot protocol (Documentation/arch/x86/boot.rst, zero-page.rst).

Physical memory when the kernel starts:

    0x001000  page tables (identity map of 4 GiB)     0x020000  command line
    0x007000  GDT; stack below 0x8000                 kernel    where its header asks for it, at or above 1 MiB
    0x010000  zero page                               initrd    as high below 4 GiB as the kernel allows
    0x09fc00  ACPI's root pointer                     tables    at the end of the memory below 4 GiB
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from typing import NamedTuple

from varan.accel.state import CpuState
from varan.board.boot import bzimage, e820, elf, longmode, sniff
from varan.board.boot.acpi.install import RSDP_ADDRESS, AcpiArea
from varan.board.boot.acpi.table import Table
from varan.board.boot.base import BadImage, BootError, Placed
from varan.board.boot.files import BootFile
from varan.board.boot.kernel import KernelImage
from varan.core.memory import PAGE_SIZE, MemorySpace

ZERO_PAGE = 0x10000
COMMAND_LINE = 0x20000
COMMAND_LINE_ROOM = e820.EBDA - COMMAND_LINE - 1

LOADER_UNDEFINED = 0xFF
E820_MAX = 128
RSI = 6


Tables = Callable[[], Sequence[Table]]
"""Gives the ACPI tables, at each reset anew: devices come and go."""


class InitrdPlace(NamedTuple):
    """Physical address and size of the initrd; both 0 without one."""

    address: int
    size: int


class LinuxBoot:
    """A kernel (bzImage or ELF vmlinux), perhaps an initrd, and a command line."""

    is_firmware = False

    def __init__(
        self, memory: MemorySpace, kernel: str, initrd: str | None = None, append: str = "", acpi: Tables | None = None
    ) -> None:
        """Open and check the files, and that they fit into `memory` with the tables of `acpi`. Raises BootError."""
        self._file = BootFile(kernel, "kernel")
        self._image = load_image(self._file)
        self._initrd = BootFile(initrd, "initrd") if initrd else None
        self._command_line = self._check_command_line(append)
        entries = e820.memory_map(memory)
        self._tables = acpi
        self._acpi = AcpiArea.plan(entries) if acpi is not None else None
        self._place_initrd(self._reserved(entries))

    def install(self, memory: MemorySpace) -> CpuState:
        """Copy everything to its place. Raises BootError."""
        entries = self._reserved(e820.memory_map(memory))
        place = self._place_initrd(entries)
        for segment in self._image.segments:
            self._file.copy(memory, segment.address, segment.offset, segment.size)
            _zero(memory, segment.address + segment.size, segment.memory_size - segment.size)
        if self._initrd is not None:
            self._initrd.copy(memory, place.address, 0, place.size)
        longmode.put(memory, COMMAND_LINE, self._command_line + b"\0")
        longmode.put(memory, ZERO_PAGE, zero_page(self._image.header, place, entries, self._acpi is not None))
        if self._acpi is not None and self._tables is not None:
            self._acpi.install(memory, self._tables())
        state = longmode.enter(memory, self._image.entry)
        state.gprs[RSI] = ZERO_PAGE
        return state

    def wake(self, memory: MemorySpace) -> CpuState | None:
        """Where the kernel left word in the FACS."""
        return self._acpi.wake(memory) if self._acpi is not None else None

    def placed(self, memory: MemorySpace) -> list[Placed]:
        """Kernel, initrd, command line and zero page."""
        placed = [Placed(segment.address, segment.size, self._file.path) for segment in self._image.segments]
        if self._initrd is not None:
            place = self._place_initrd(self._reserved(e820.memory_map(memory)))
            placed.append(Placed(place.address, place.size, self._initrd.path))
        placed.append(Placed(ZERO_PAGE, PAGE_SIZE, "zero page"))
        placed.append(Placed(COMMAND_LINE, len(self._command_line) + 1, "command line"))
        return placed

    def _reserved(self, entries: list[e820.Entry]) -> list[e820.Entry]:
        return self._acpi.reserve(entries) if self._acpi is not None else entries

    def _check_command_line(self, append: str) -> bytes:
        try:
            line = append.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError as error:
            raise BootError(f"the kernel command line is not text: {error.reason} at {error.start}") from None
        limit = min(self._image.command_line_limit, COMMAND_LINE_ROOM)
        if b"\0" in line:
            raise BootError("the kernel command line contains a NUL character")
        if len(line) > limit:
            raise BootError(
                f"the kernel command line has {len(line)} bytes; kernel '{self._file.path}' takes {limit} at most"
            )
        return line

    def _place_initrd(self, entries: list[e820.Entry]) -> InitrdPlace:
        """Where the initrd goes: page-aligned, above the kernel, below RAM's end and the kernel's limit."""
        top = e820.ram_top(entries)
        size = self._initrd.size if self._initrd else 0
        lowest = _page_up(self._image.end)
        if lowest + _page_up(size) > top:
            raise BootError(self._too_little_memory(size, e820.usable(entries)))
        if self._initrd is None:
            return InitrdPlace(0, 0)
        address = (min(top, self._image.initrd_limit) - size) // PAGE_SIZE * PAGE_SIZE
        if address < lowest:
            raise BootError(
                f"initrd '{self._initrd.path}' ({size} bytes) does not fit: kernel '{self._file.path}' ends at "
                f"{lowest:#x} and wants it below {self._image.initrd_limit:#x}"
            )
        return InitrdPlace(address, size)

    def _too_little_memory(self, initrd_size: int, present: int) -> str:
        needed = -(-(_page_up(self._image.end) + _page_up(initrd_size)) // e820.MIB)
        parts = f"kernel '{self._file.path}' ends at {-(-self._image.end // e820.MIB)} MiB"
        if self._initrd is not None:
            parts += f", initrd '{self._initrd.path}' has {-(-initrd_size // e820.MIB)} MiB"
        has = -(-present // e820.MIB)
        return f"too little memory: {parts}; they need at least {needed} MiB, the machine has {has} MiB"


def load_image(file: BootFile) -> KernelImage:
    """Recognize and check a kernel file. Raises BootError."""
    head = file.read(0, bzimage.HEAD_SIZE)
    try:
        if elf.is_elf(head):
            return elf.parse(head, file.size, file.read)
        if bzimage.is_bzimage(head):
            return bzimage.parse(head, file.size)
        raise BadImage(sniff.describe(head, file.size))
    except BadImage as problem:
        raise BootError(f"kernel '{file.path}' {problem}") from None


def zero_page(header: bytes, initrd: InitrdPlace, entries: list[e820.Entry], acpi: bool = False) -> bytes:
    """struct boot_params: the kernel's own setup header, filled in, the memory map, and where the RSDP lies."""
    page = bytearray(PAGE_SIZE)
    page[bzimage.HEADER : bzimage.HEADER + len(header)] = header
    page[0x210] = LOADER_UNDEFINED
    page[0x211] |= bzimage.LOADED_HIGH
    struct.pack_into("<H", page, 0x1FA, 0xFFFF)  # vid_mode: "normal"
    struct.pack_into("<II", page, 0x218, initrd.address, initrd.size)
    struct.pack_into("<I", page, 0x228, COMMAND_LINE)
    if acpi:
        struct.pack_into("<Q", page, 0x70, RSDP_ADDRESS)
    page[0x1E8] = min(len(entries), E820_MAX)
    table = e820.encode(entries[:E820_MAX])
    page[0x2D0 : 0x2D0 + len(table)] = table
    return bytes(page)


def _zero(memory: MemorySpace, address: int, length: int) -> None:
    """Clear RAM without making the host allocate zeros of that length."""
    chunk = bytes(min(length, 1 << 20))
    while length:
        count = min(length, len(chunk))
        longmode.put(memory, address, chunk[:count])
        address, length = address + count, length - count


def _page_up(value: int) -> int:
    return -(-value // PAGE_SIZE) * PAGE_SIZE
