"""The built-in guest programs as bytes, and where things in them are. docs/guest.md describes what they do.

Memory of the demonstration guest (physical addresses):

    0x001000  page tables and GDT, from the loader     0x030000  test range of a machine with less than 3 MiB
    0x010000  the program (`LOAD_ADDRESS`)             0x200000  test range: from here to the end of memory
"""

from __future__ import annotations

import functools
import struct
from pathlib import Path

LOAD_ADDRESS = 0x10000
MEMORY_END = 0x80000
"""The demonstration guest needs RAM from 0 to here."""
TEST_START = 0x200000
"""Where `mem`, `dirty` and tests may overwrite memory, up to its end."""
PATTERN = 0x9E3779B97F4A7C15
"""`mem` stores A * PATTERN, modulo 2**64, in the quadword at address A."""
PROMPT = b"varan> "

NOTHING_ADDRESS = 0x7C00
ROM_CHECKSUM = 7
"""Where the option ROM has the byte that makes its bytes add up to 0 modulo 256."""

MAGIC = b"VARANDEM"
SYMBOLS = ("start", "end_of_memory", "ticks", "nmi_count", "dirty_total", "idle_wait", "spin_loop", "line")
"""What the quadwords of the header, after the magic, are the addresses of. Counters are 64-bit."""


@functools.cache
def demo() -> bytes:
    """The demonstration guest, to be loaded at LOAD_ADDRESS and entered at `entry`."""
    return _read("demo.bin")


@functools.cache
def nothing() -> bytes:
    """Real-mode code for NOTHING_ADDRESS that says that there is nothing to boot."""
    return _read("nothing.bin")


@functools.cache
def linux_rom() -> bytes:
    """An option ROM that starts the kernel that the firmware configuration device holds."""
    rom = bytearray(_read("linuxrom.bin"))
    rom[ROM_CHECKSUM] = -sum(rom) & 0xFF
    return bytes(rom)


def symbols(program: bytes | None = None) -> dict[str, int]:
    """Addresses in the demonstration guest by the names in SYMBOLS."""
    header = demo() if program is None else program
    if header[: len(MAGIC)] != MAGIC:
        raise ValueError("not the demonstration guest")
    return dict(zip(SYMBOLS, struct.unpack_from(f"<{len(SYMBOLS)}Q", header, len(MAGIC)), strict=True))


def entry(program: bytes | None = None) -> int:
    """The address at which the demonstration guest starts."""
    return symbols(program)["start"]


def checksum(size: int, start: int = TEST_START) -> int:
    """What `mem` reports for `size` bytes from `start`."""
    count = size // 8
    addresses = count * start + 8 * (count * (count - 1) // 2)
    return addresses * PATTERN % (1 << 64)


def _read(name: str) -> bytes:
    return Path(__file__).with_name(name).read_bytes()
