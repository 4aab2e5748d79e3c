"""Which guest pages have held code: the table that the machine-code TLB fill keeps, a byte a page, one for all CPUs.

Stores to a marked page take the library's slow way. The table only grows by itself, while a guest reuses its pages for
data; so when it has grown by much, translations and marks are dropped together and built anew from what still runs.

Each CPU's engine has translations of its own, and the library drops only those of the CPU that stores. So a store to
a page where another CPU has run code is noted on the board (`interposed.py`), and before the others run again they
drop what they have of that page. All CPUs take turns on one thread: the one that stores runs alone until then.
"""

from __future__ import annotations

import ctypes
import mmap
import time
from collections.abc import Callable
from ctypes import c_uint32, c_uint64

from varan.accel.base import AcceleratorError
from varan.accel.unicorn import layout
from varan.accel.unicorn.cpu import Engine
from varan.accel.unicorn.machinecode import MachineCode, Shared
from varan.core.memory import PAGE_SIZE

_INTERVAL = 15.0
"""Seconds between two looks at the table."""
_GROWTH = 4096
"""Pages that must have been marked since translations were dropped last, beyond as many as were then marked soon."""
BOARD_ROOM = 4096
_RUNS = 8
_GROUPS = 7
"""CPUs with a mark of their own; those above share the last one. The eighth bit says that a page is on the board."""
_ALL_GROUPS = (1 << _GROUPS) - 1
QUEUED = 1 << _GROUPS

RamRun = tuple[int, int, int]
"""First guest-physical address, one past the last, and the ram address of the first."""


class _Run(ctypes.Structure):
    _fields_ = (("end", c_uint64), ("shift", c_uint64))


class Noticeboard(ctypes.Structure):
    """What machine code tells: fast entries that became wrong, pages with code that were stored to."""

    generation: int
    count: int
    _fields_ = (
        ("generation", c_uint64),
        ("count", c_uint64),
        ("runs", _Run * _RUNS),
        ("pages", c_uint32 * BOARD_ROOM),
    )


def _mark(index: int) -> int:
    return 1 << min(index, _GROUPS - 1)


class CodeMarks:
    """The table for guest RAM that lies in `runs`, and the CPUs whose TLB fill keeps it."""

    def __init__(self, runs: list[RamRun], clock: Callable[[], float] = time.monotonic) -> None:
        """Raises AcceleratorError for memory in more pieces than the machine code can tell apart."""
        self._engines: dict[int, Engine] = {}
        self._clock = clock
        self._pages = max((end for _, end, _ in runs), default=0) // PAGE_SIZE
        self._table = mmap.mmap(-1, max(self._pages, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._pin = ctypes.c_uint8.from_buffer(self._table)
        self._address = ctypes.addressof(self._pin)
        self._due = clock() + _INTERVAL
        self._working_set = 0
        self._settling = True
        self.board = Noticeboard()
        self._set_runs(runs)

    def _set_runs(self, runs: list[RamRun]) -> None:
        """Tell the board how ram addresses become guest-physical ones."""
        found: list[tuple[int, int]] = []
        for start, end, ram in sorted(runs, key=lambda run: run[2]):
            if found and found[-1][1] == start - ram:
                found.pop()
            found.append((ram + end - start, start - ram))
        if len(found) >= _RUNS:
            raise AcceleratorError(f"unicorn: guest memory lies in {len(found)} pieces, {_RUNS - 1} are possible")
        for place, (end, shift) in enumerate([*found, ((1 << 64) - 1, 0)]):
            self.board.runs[place].end, self.board.runs[place].shift = end, shift

    def attach(self, index: int, engine: Engine, code: MachineCode) -> None:
        """Keep the table for vCPU `index` too."""
        shared = code.shared
        shared.page_marks = self._address
        shared.page_count = self._pages
        shared.board = ctypes.addressof(self.board)
        shared.mark = _mark(index)
        engine.replace_method(layout.CLASS_TLB_FILL, code.entry("tlb_fill"))
        self._engines[index] = engine
        for other, each in self._engines.items():
            shared_page(each).others = self._others(other)

    def _others(self, index: int) -> int:
        if len(self._engines) < 2:
            return 0
        return _ALL_GROUPS if index >= _GROUPS - 1 else _ALL_GROUPS & ~_mark(index)

    def detach(self, index: int) -> None:
        """The vCPU's engine goes. Its marks stay: they only make stores slow."""
        self._engines.pop(index, None)

    def count(self) -> int:
        """How many pages are marked."""
        return len(self._table) - self._table[:].count(0)

    def stores(self) -> list[int] | None:
        """The pages (guest-physical addresses) on the board, which is wiped; None when there was no room for all."""
        board = self.board
        count = board.count
        pages = board.pages[:count]
        board.count = 0
        for page in pages:
            self._table[page] &= ~QUEUED
        return None if count >= BOARD_ROOM else [page * PAGE_SIZE for page in pages]

    def holds_code(self, index: int, address: int) -> bool:
        """Whether vCPU `index` may have translations of the page at a guest-physical address."""
        return bool(self._table[address // PAGE_SIZE] & _mark(index))

    def any(self, start: int, end: int) -> bool:
        """Whether code may have been translated from the guest-physical bytes from `start` to before `end`."""
        return bool(self._table[start // PAGE_SIZE : (end - 1) // PAGE_SIZE + 1].strip(b"\0"))

    def tend(self) -> None:
        """Look, when it is time, whether the table has grown too much. The vCPUs' thread, no guest code running."""
        now = self._clock()
        if now < self._due:
            return
        self._due = now + _INTERVAL
        marked = self.count()
        if self._settling:
            self._working_set, self._settling = marked, False
        elif marked > 2 * self._working_set + _GROWTH:
            self.clear()

    def clear(self) -> None:
        """Drop all translations and marks."""
        for engine in self._engines.values():
            engine.library.flush_code(engine.pointer)
        ctypes.memset(self._address, 0, len(self._table))
        for engine in self._engines.values():
            engine.library.flush_tlb(engine.pointer)
        self.board.count = 0
        self._settling = True


def shared_page(engine: Engine) -> Shared:
    """The data page that the engine's CPU shares with its machine code."""
    return Shared.from_address(engine.shared)
