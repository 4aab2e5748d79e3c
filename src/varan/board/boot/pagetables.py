"""Page tables that map the first 4 GiB onto themselves (SDM volume 3, 4.5: four-level paging, 2 MiB pages)."""

from __future__ import annotations

import functools
import struct

GIGABYTES = 4
TABLE_SIZE = 4096
SIZE = (2 + GIGABYTES) * TABLE_SIZE
"""Bytes that `identity_map` returns."""

PRESENT_WRITABLE = 0x3
LARGE_PAGE = 0x80


@functools.cache
def identity_map(base: int) -> bytes:
    """The tables for physical address `base` (page-aligned): level 4 first, then level 3, then one directory per GiB.

    CR3 is to be `base`.
    """
    if base % TABLE_SIZE:
        raise ValueError(f"page tables at {base:#x} are not page-aligned")
    level4 = struct.pack("<Q", base + TABLE_SIZE | PRESENT_WRITABLE)
    directories = [base + (2 + index) * TABLE_SIZE | PRESENT_WRITABLE for index in range(GIGABYTES)]
    level3 = struct.pack(f"<{GIGABYTES}Q", *directories)
    pages = [page << 21 | LARGE_PAGE | PRESENT_WRITABLE for page in range(GIGABYTES * 512)]
    return level4.ljust(TABLE_SIZE, b"\0") + level3.ljust(TABLE_SIZE, b"\0") + struct.pack(f"<{len(pages)}Q", *pages)
