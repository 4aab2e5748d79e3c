"""bzImage, the file that kernel packages install as vmlinuz.

Format: Documentation/arch/x86/boot.rst of the Linux sources, "The Real-Mode Kernel Header".
"""

from __future__ import annotations

import struct

from varan.board.boot.base import BadImage
from varan.board.boot.kernel import HIGHEST, LOWEST, KernelImage, LoadSegment

HEADER = 0x1F1
HEADER_END = 0x290
"""Where the zero page goes on with other things, whatever length a header claims."""
HEAD_SIZE = 0x400
"""Bytes from the start of a file that hold every header."""
SECTOR = 512

LOADED_HIGH = 0x01
XLF_KERNEL_64 = 0x01
FIRST_WITH_XLOADFLAGS = 0x20C
ENTRY_64 = 0x200
"""The 64-bit entry point, from the start of the protected-mode code."""


def is_bzimage(head: bytes) -> bool:
    """Whether the file that starts with `head` carries the setup header's magic."""
    return head[0x202:0x206] == b"HdrS"


def parse(head: bytes, file_size: int) -> KernelImage:
    """The image whose file is `file_size` bytes long and starts with `head` (HEAD_SIZE bytes). Raises BadImage."""
    if len(head) < HEAD_SIZE:
        raise BadImage(f"is truncated: {file_size} bytes do not even hold its header")
    _check_kind(head)
    setup_size = ((head[HEADER] or 4) + 1) * SECTOR
    code_size = _protected_mode_size(head, setup_size, file_size)
    (init_size,) = struct.unpack_from("<I", head, 0x260)
    (address,) = struct.unpack_from("<Q", head, 0x258)
    memory_size = max(init_size, code_size)
    if not LOWEST <= address <= address + memory_size <= HIGHEST:
        raise BadImage(f"has a damaged header: it wants {memory_size} bytes at {address:#x}")
    command_line_limit, initrd_max = struct.unpack_from("<I", head, 0x238)[0], struct.unpack_from("<I", head, 0x22C)[0]
    return KernelImage(
        segments=(LoadSegment(setup_size, code_size, address, code_size),),
        entry=address + ENTRY_64,
        end=address + memory_size,
        header=head[HEADER : min(0x202 + head[0x201], HEADER_END)],
        command_line_limit=command_line_limit,
        initrd_limit=initrd_max + 1,
    )


def _check_kind(head: bytes) -> None:
    (version,) = struct.unpack_from("<H", head, 0x206)
    if not head[0x211] & LOADED_HIGH:
        raise BadImage("is a zImage, which loads below 1 MiB; build a bzImage")
    if version < FIRST_WITH_XLOADFLAGS:
        raise BadImage(
            f"speaks boot protocol {version >> 8}.{version & 0xFF:02d}, which has no 64-bit entry point "
            "(2.12 has: 64-bit kernels since Linux 3.8)"
        )
    (xloadflags,) = struct.unpack_from("<H", head, 0x236)
    if not xloadflags & XLF_KERNEL_64:
        raise BadImage("is a 32-bit kernel; give a 64-bit (amd64) one")


def _protected_mode_size(head: bytes, setup_size: int, file_size: int) -> int:
    """Bytes of the protected-mode code; the header counts them in paragraphs of 16, the last perhaps not full."""
    claimed = struct.unpack_from("<I", head, 0x1F4)[0] * 16
    present = max(file_size - setup_size, 0)
    if present + 15 < claimed or present <= ENTRY_64:
        raise BadImage(f"is truncated: its header says {setup_size + claimed} bytes, the file has {file_size}")
    return min(claimed, present) if claimed > ENTRY_64 else present
