"""Which guest pages have held code: the table that the machine-code TLB fill keeps, a byte a page.

Stores to a marked page take the library's slow way. The table only grows by itself, while a guest reuses its pages for
data; so when it has grown by much, translations and marks are dropped together and built anew from what still runs.
"""

from __future__ import annotations

import ctypes
import mmap
import time
from collections.abc import Callable

from varan.accel.unicorn import layout
from varan.accel.unicorn.cpu import Engine
from varan.accel.unicorn.machinecode import MachineCode
from varan.core.memory import PAGE_SIZE

_INTERVAL = 15.0
"""Seconds between two looks at the table."""
_GROWTH = 4096
"""Pages that must have been marked since translations were dropped last, beyond as many as were then marked soon."""


class CodeMarks:
    """The table for `pages` guest pages, and the TLB fill that keeps it."""

    def __init__(
        self, engine: Engine, code: MachineCode, pages: int, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._engine = engine
        self._clock = clock
        self._table = mmap.mmap(-1, max(pages, 1), flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._pin = ctypes.c_uint8.from_buffer(self._table)
        self._address = ctypes.addressof(self._pin)
        self._due = clock() + _INTERVAL
        self._working_set = 0
        self._settling = True
        code.shared.page_marks = self._address
        code.shared.page_count = pages
        engine.replace_method(layout.CLASS_TLB_FILL, code.entry("tlb_fill"))

    def count(self) -> int:
        """How many pages are marked."""
        return self._table[:].count(1)

    def any(self, start: int, end: int) -> bool:
        """Whether code may have been translated from the guest-physical bytes from `start` to before `end`."""
        return self._table.find(b"\1", start // PAGE_SIZE, (end - 1) // PAGE_SIZE + 1) >= 0

    def tend(self) -> None:
        """Look, when it is time, whether the table has grown too much. The vCPU's thread, no guest code running."""
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
        engine = self._engine
        engine.library.flush_code(engine.pointer)
        ctypes.memset(self._address, 0, len(self._table))
        engine.library.flush_tlb(engine.pointer)
        self._settling = True
