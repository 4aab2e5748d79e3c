"""A Linux kernel that firmware starts: an option ROM of Varan's takes it from the firmware configuration device.

The kernel's setup code goes to 10000h, its command line to 20000h and the kernel itself to 1 MiB, where the boot
protocol wants it (Documentation/arch/x86/boot.rst); the initrd goes as high as kernel and firmware allow.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable

from varan.board.boot import bzimage, e820
from varan.board.boot.base import BadImage, BootError
from varan.board.boot.files import BootFile
from varan.core.memory import PAGE_SIZE, MemorySpace

log = logging.getLogger("varan.machine")

ROM_FILE = "genroms/linuxboot.bin"
"""Firmware runs the option ROMs among the files below this folder."""
KERNEL_ADDRESS, KERNEL_SIZE, KERNEL = 0x07, 0x08, 0x11
INITRD_ADDRESS, INITRD_SIZE, INITRD = 0x0A, 0x0B, 0x12
LINE_ADDRESS, LINE_SIZE, LINE = 0x13, 0x14, 0x15
SETUP_ADDRESS, SETUP_SIZE, SETUP = 0x16, 0x17, 0x18
SETUP_PLACE, LINE_PLACE, KERNEL_PLACE = 0x10000, 0x20000, 0x100000
HEAP_END = LINE_PLACE - SETUP_PLACE - 0x200
CAN_USE_HEAP = 0x80
LOADER = 0xB0
"""The number that boot loaders of virtual machines have (type_of_loader)."""
FIRMWARE_ROOM = 1 << 20
"""Bytes at the end of the memory below 4 GiB where firmware has its tables."""

Content = Callable[[], bytes]


class FirmwareKernel:
    """A bzImage, perhaps an initrd, and a command line."""

    def __init__(self, kernel: str, initrd: str | None = None, append: str = "") -> None:
        """Open and check the files. Raises BootError."""
        self._kernel = BootFile(kernel, "kernel")
        head = self._kernel.read(0, bzimage.HEAD_SIZE)
        if not bzimage.is_bzimage(head):
            raise BootError(f"kernel '{kernel}' is no bzImage, and firmware starts no other")
        try:
            image = bzimage.parse(head, self._kernel.size)
        except BadImage as problem:
            raise BootError(f"kernel '{kernel}' {problem}") from None
        self._setup_size = image.segments[0].offset
        self._initrd_limit = image.initrd_limit
        self._initrd = BootFile(initrd, "initrd") if initrd else None
        self._line = append.encode("utf-8", "surrogateescape") + b"\0"
        if len(self._line) - 1 > image.command_line_limit:
            raise BootError(
                f"the kernel command line has {len(self._line) - 1} bytes; kernel '{kernel}' takes "
                f"{image.command_line_limit} at most"
            )

    def items(self, memory: MemorySpace) -> dict[int, Content]:
        """The numbered items of the firmware configuration device, for a machine with this memory."""
        kernel_size, initrd = self._kernel.size - self._setup_size, self._initrd
        initrd_size = initrd.size if initrd is not None else 0
        return {
            KERNEL_ADDRESS: _number(KERNEL_PLACE),
            KERNEL_SIZE: _number(kernel_size),
            KERNEL: lambda: _read(self._kernel, self._setup_size, kernel_size),
            INITRD_ADDRESS: lambda: struct.pack("<I", self._place_initrd(memory)),
            INITRD_SIZE: _number(initrd_size),
            INITRD: lambda: _read(initrd, 0, initrd_size) if initrd is not None else b"",
            LINE_ADDRESS: _number(LINE_PLACE),
            LINE_SIZE: _number(len(self._line)),
            LINE: lambda: self._line,
            SETUP_ADDRESS: _number(SETUP_PLACE),
            SETUP_SIZE: _number(self._setup_size),
            SETUP: lambda: self._setup(memory),
        }

    def _place_initrd(self, memory: MemorySpace) -> int:
        if self._initrd is None:
            return 0
        end = min(e820.ram_top(e820.memory_map(memory)) - FIRMWARE_ROOM, self._initrd_limit)
        return max(end - self._initrd.size, 0) // PAGE_SIZE * PAGE_SIZE

    def _setup(self, memory: MemorySpace) -> bytes:
        """The setup code with its header filled in."""
        setup = bytearray(_read(self._kernel, 0, self._setup_size).ljust(self._setup_size, b"\0"))
        setup[0x210] = LOADER
        setup[0x211] |= CAN_USE_HEAP
        struct.pack_into("<H", setup, 0x1FA, 0xFFFF)  # vid_mode: "normal"
        struct.pack_into("<II", setup, 0x218, self._place_initrd(memory), self._initrd.size if self._initrd else 0)
        struct.pack_into("<H", setup, 0x224, HEAP_END)
        struct.pack_into("<I", setup, 0x228, LINE_PLACE)
        return bytes(setup)


def _number(value: int) -> Content:
    data = struct.pack("<I", value)
    return lambda: data


def _read(file: BootFile, offset: int, length: int) -> bytes:
    """Part of a file; nothing, and a word to the user, when that has become impossible while the guest runs."""
    try:
        return file.read(offset, length)
    except BootError as error:
        log.error("the guest gets nothing: %s", error)
        return b""
