"""x86 page tables: from a linear address to a physical one (SDM volume 3, chapter 4).

Pure: physical memory is a function that reads it. What an access may do with the page is the caller's to judge, from
the rights that all levels together grant.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

PhysicalRead = Callable[[int, int], int]
"""(physical address, size in bytes) -> little-endian value"""

CR0_PE, CR0_WP, CR0_PG = 1 << 0, 1 << 16, 1 << 31
CR4_PSE, CR4_PAE, CR4_LA57, CR4_SMAP = 1 << 4, 1 << 5, 1 << 12, 1 << 21
EFER_LMA, EFER_NXE = 1 << 10, 1 << 11

PRESENT, WRITABLE, USER, ACCESSED, DIRTY, LARGE = 1 << 0, 1 << 1, 1 << 2, 1 << 5, 1 << 6, 1 << 7
NO_EXECUTE = 1 << 63

_ADDRESS = 0x000F_FFFF_FFFF_F000


class Controls(NamedTuple):
    """The registers that choose the paging mode."""

    cr0: int
    cr3: int
    cr4: int
    efer: int


class Walk(NamedTuple):
    """Where a linear address leads, the rights all levels grant, and the entries used: (address, size), leaf last."""

    physical: int
    writable: bool
    user: bool
    executable: bool
    entries: tuple[tuple[int, int], ...]


def walk(read: PhysicalRead, controls: Controls, linear: int) -> Walk | None:
    """Follow the tables for `linear`; None where nothing is mapped. Changes nothing."""
    if not controls.cr0 & CR0_PG:
        return Walk(linear & 0xFFFF_FFFF, True, True, True, ())
    if not controls.cr4 & CR4_PAE:
        return _walk_32bit(read, controls, linear & 0xFFFF_FFFF)
    if controls.efer & EFER_LMA:
        levels = 5 if controls.cr4 & CR4_LA57 else 4
        top = 12 + 9 * levels - 1
        if (linear >> top) not in (0, (1 << (64 - top)) - 1):
            return None
        return _walk_64bit(read, controls, linear, levels, controls.cr3 & _ADDRESS)
    linear &= 0xFFFF_FFFF
    pointer = (controls.cr3 & 0xFFFF_FFE0) + (linear >> 30) * 8
    entry = read(pointer, 8)
    if not entry & PRESENT:
        return None
    return _walk_64bit(read, controls, linear, 2, entry & _ADDRESS)


def _walk_64bit(read: PhysicalRead, controls: Controls, linear: int, levels: int, table: int) -> Walk | None:
    rights = WRITABLE | USER
    no_execute = 0
    entries: list[tuple[int, int]] = []
    for level in range(levels, 0, -1):
        shift = 12 + 9 * (level - 1)
        at = table + (linear >> shift & 0x1FF) * 8
        entry = read(at, 8)
        if not entry & PRESENT:
            return None
        rights &= entry
        no_execute |= entry & NO_EXECUTE
        entries.append((at, 8))
        table = entry & _ADDRESS
        if level == 1 or (level <= 3 and entry & LARGE):
            offset = (1 << shift) - 1
            executable = not (no_execute and controls.efer & EFER_NXE)
            physical = (table & ~offset) | (linear & offset)
            return Walk(physical, bool(rights & WRITABLE), bool(rights & USER), executable, tuple(entries))
    return None


def _walk_32bit(read: PhysicalRead, controls: Controls, linear: int) -> Walk | None:
    at = (controls.cr3 & 0xFFFF_F000) + (linear >> 22) * 4
    entry = read(at, 4)
    if not entry & PRESENT:
        return None
    if entry & LARGE and controls.cr4 & CR4_PSE:
        # Bits 13-20 are bits 32-39 of the address (PSE-36).
        physical = (entry & 0xFFC0_0000) | (entry >> 13 & 0xFF) << 32 | (linear & 0x3F_FFFF)
        return Walk(physical, bool(entry & WRITABLE), bool(entry & USER), True, ((at, 4),))
    leaf_at = (entry & 0xFFFF_F000) + (linear >> 12 & 0x3FF) * 4
    leaf = read(leaf_at, 4)
    if not leaf & PRESENT:
        return None
    rights = entry & leaf
    physical = (leaf & 0xFFFF_F000) | (linear & 0xFFF)
    return Walk(physical, bool(rights & WRITABLE), bool(rights & USER), True, ((at, 4), (leaf_at, 4)))


def translate(read: PhysicalRead, controls: Controls, linear: int) -> int | None:
    """The physical address behind `linear`, None where nothing is mapped."""
    found = walk(read, controls, linear)
    return None if found is None else found.physical
