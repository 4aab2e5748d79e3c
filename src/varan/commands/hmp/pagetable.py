"""A walk over a guest's page tables (SDM volume 3, chapter 4): every translation in force, lowest address first.

The tables are the guest's and untrusted: they may point anywhere, also at themselves. A walk looks at no more than
`MAX_TABLES` tables; `Walk.truncated` tells whether that was too few.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from varan.accel.state import CpuState
from varan.core.memory import PAGE_SIZE, MemorySpace

MAX_TABLES = 8192

CR0_PG = 1 << 31
CR4_PSE = 1 << 4
CR4_PAE = 1 << 5
CR4_LA57 = 1 << 12
EFER_LMA = 1 << 10

PRESENT, WRITABLE, USER, ACCESSED, DIRTY, LARGE, GLOBAL = 1, 2, 4, 1 << 5, 1 << 6, 1 << 7, 1 << 8
CACHE_DISABLE, WRITE_THROUGH = 1 << 4, 1 << 3
NO_EXECUTE = 1 << 63
_ADDRESS = 0x000FFFFFFFFFF000
_INHERITED = WRITABLE | USER


class Mapping(NamedTuple):
    """One page: where it is seen, where it is, its bytes, its entry, and `rights`: USER, WRITABLE and NO_EXECUTE
    with those of the tables above taken in."""

    virtual: int
    physical: int
    size: int
    entry: int
    rights: int


class Range(NamedTuple):
    """Adjacent pages with the same rights."""

    start: int
    end: int
    rights: int


class _Level(NamedTuple):
    """How one level of tables divides addresses: the lowest address bit it decides, and whether pages end here."""

    shift: int
    leaf: bool


class Walk:
    """An iterable over the pages that `state` maps. Reads tables as it goes."""

    def __init__(self, memory: MemorySpace, state: CpuState) -> None:
        self._memory = memory
        self._state = state
        self.tables = 0
        """Tables looked at so far."""
        self.truncated = False
        # The upper half of the uppermost table of 64-bit paging holds the addresses that begin with ones.
        self._sign_shift = (48 if state.cr4 & CR4_LA57 else 39) if state.efer & EFER_LMA else None

    @property
    def paging(self) -> bool:
        """Whether the CPU translates at all."""
        return bool(self._state.cr0 & CR0_PG)

    def __iter__(self) -> Iterator[Mapping]:
        state = self._state
        if not self.paging:
            return iter(())
        if state.efer & EFER_LMA:
            shifts = [48, 39, 30, 21, 12] if state.cr4 & CR4_LA57 else [39, 30, 21, 12]
            levels = [_Level(shift, shift <= 30) for shift in shifts]
            return self._wide(state.cr3 & _ADDRESS, levels, 512, 0, _INHERITED)
        if state.cr4 & CR4_PAE:
            levels = [_Level(30, False), _Level(21, True), _Level(12, True)]
            return self._wide(state.cr3 & 0xFFFFFFE0, levels, 4, 0, _INHERITED)
        return self._narrow()

    def _take_table(self) -> bool:
        if self.tables >= MAX_TABLES:
            self.truncated = True
            return False
        self.tables += 1
        return True

    def _wide(self, table: int, levels: list[_Level], count: int, base: int, above: int) -> Iterator[Mapping]:
        """Tables of 8-byte entries."""
        if not self._take_table():
            return
        level, deeper = levels[0], levels[1:]
        # The four entries of a PAE page-directory-pointer table have no rights of their own.
        rightless = count == 4
        for index, entry in _present(struct.unpack(f"<{count}Q", self._memory.read_bytes(table, 8 * count))):
            virtual = base | index << level.shift
            if level.shift == self._sign_shift and index >= 256:
                virtual |= (1 << 64) - (1 << level.shift + 9)
            rights = above if rightless else above & entry & _INHERITED | (above | entry) & NO_EXECUTE
            if level.leaf and (not deeper or entry & LARGE):
                size = 1 << level.shift
                yield Mapping(virtual, entry & _ADDRESS & ~(size - 1), size, entry, rights)
            elif deeper:
                yield from self._wide(entry & _ADDRESS, deeper, 512, virtual, rights)

    def _narrow(self) -> Iterator[Mapping]:
        """The two levels of 4-byte entries of 32-bit paging."""
        large_pages = bool(self._state.cr4 & CR4_PSE)
        if not self._take_table():
            return
        for upper, directory in _present(self._narrow_table(self._state.cr3 & 0xFFFFF000)):
            if directory & LARGE and large_pages:
                physical = directory & 0xFFC00000 | (directory >> 13 & 0xFF) << 32
                yield Mapping(upper << 22, physical, 1 << 22, directory, directory & _INHERITED)
                continue
            if not self._take_table():
                return
            for lower, entry in _present(self._narrow_table(directory & 0xFFFFF000)):
                rights = directory & entry & _INHERITED
                yield Mapping(upper << 22 | lower << 12, entry & 0xFFFFF000, PAGE_SIZE, entry, rights)

    def _narrow_table(self, address: int) -> tuple[int, ...]:
        return struct.unpack("<1024I", self._memory.read_bytes(address, PAGE_SIZE))


def _present(entries: Iterable[int]) -> list[tuple[int, int]]:
    return [(index, entry) for index, entry in enumerate(entries) if entry & PRESENT]


def ranges(mappings: Iterable[Mapping]) -> Iterator[Range]:
    """`mappings` with neighbours of equal rights joined."""
    current: Range | None = None
    for mapping in mappings:
        if current is not None and current.end == mapping.virtual and current.rights == mapping.rights:
            current = current._replace(end=mapping.virtual + mapping.size)
            continue
        if current is not None:
            yield current
        current = Range(mapping.virtual, mapping.virtual + mapping.size, mapping.rights)
    if current is not None:
        yield current
