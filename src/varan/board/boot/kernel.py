"""A Linux kernel image as the loader sees it, whatever the format of its file."""

from __future__ import annotations

from dataclasses import dataclass

LOWEST = 1 << 20
"""Nothing is loaded below 1 MiB: page tables, zero page and command line live there."""
HIGHEST = 1 << 32
"""The identity map's end."""


@dataclass(frozen=True, slots=True)
class LoadSegment:
    """`size` bytes from `offset` in the file go to physical `address`; zeros follow up to `memory_size` bytes."""

    offset: int
    size: int
    address: int
    memory_size: int


@dataclass(frozen=True, slots=True)
class KernelImage:
    """What it takes to start a kernel.

    `entry` is its 64-bit entry point and `end` the end of the memory it uses before it reads the memory map (physical
    addresses). `header` is the setup header for the zero page from offset 0x1f1. `command_line_limit` is in bytes
    without the terminating NUL. An initrd must end at or below `initrd_limit`.
    """

    segments: tuple[LoadSegment, ...]
    entry: int
    end: int
    header: bytes
    command_line_limit: int
    initrd_limit: int
