"""The few hundred bytes of machine code that stand between the library and the interpreter (x86-64 hosts).

They are called by the library while guest code runs, where Python would be too slow (exceptions, interrupts, SYSCALL)
or impossible (a fault during delivery leaves by longjmp, which must not cross the interpreter). The code page is never
writable; functions it calls and the flags it shares with Python lie in a data page behind it.
"""

from __future__ import annotations

import ctypes
import functools
import mmap
import platform
import sys
from ctypes import c_uint8, c_uint32, c_uint64

from varan.accel.base import AcceleratorError
from varan.accel.unicorn.assembly import CODE, ENTRIES
from varan.accel.unicorn.library import Library

PAGE = 0x1000
OFFERED = 0x100
"""Set in `Shared.offer` beside a vector."""

_CALLED = {
    "do_interrupt": "x86_cpu_do_interrupt_x86_64",
    "hardware_interrupt": "do_interrupt_x86_hardirq_x86_64",
    "condition_codes": "helper_cc_compute_all_x86_64",
    "update_hflags": "x86_update_hflags_x86_64",
    "raise_exception": "helper_raise_exception_x86_64",
    "library_tlb_fill": "x86_cpu_tlb_fill_x86_64",
    "flush_tlb": "tlb_flush_x86_64",
}


class Shared(ctypes.Structure):
    """The data page: functions to call, then what Python and the code tell each other."""

    page_marks: int
    page_count: int
    clock_leaves: int
    board: int
    apic_base: int
    apic_base_written: int
    stop: int
    stopped: int
    nmi: int
    mark: int
    others: int
    pause_stops: int
    offer: int
    windows: int
    port_read: int
    port_write: int
    data_read: int
    data_write: int
    _fields_ = (
        *((name, c_uint64) for name in _CALLED),
        ("page_marks", c_uint64),
        ("page_count", c_uint64),
        ("clock_leaves", c_uint64),
        ("board", c_uint64),
        ("apic_base", c_uint64),
        ("apic_base_written", c_uint64),
        ("stop", c_uint8),
        ("stopped", c_uint8),
        ("nmi", c_uint8),
        ("mark", c_uint8),
        ("others", c_uint8),
        ("pause_stops", c_uint8),
        ("offer", c_uint32),
        ("windows", c_uint64),
        ("port_read", c_uint64),
        ("port_write", c_uint64),
        ("data_read", c_uint64),
        ("data_write", c_uint64),
    )


_Exchange = ctypes.PYFUNCTYPE(c_uint32, ctypes.c_void_p, c_uint32)
_OFFER_AT: int = Shared.offer.offset  # type: ignore[attr-defined]


def available() -> bool:
    """Whether the code is for this host."""
    return platform.machine() in ("x86_64", "AMD64") and sys.platform == "linux"


@functools.cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def map_code(code: bytes) -> tuple[mmap.mmap, int]:
    """A page that holds `code`, executable and read-only, and a data page behind it; where they lie.

    Raises AcceleratorError where the host allows no such memory.
    """
    mapping = mmap.mmap(-1, 2 * PAGE, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    mapping[: len(code)] = code
    base = ctypes.addressof(c_uint8.from_buffer(mapping))
    readable_executable = mmap.PROT_READ | mmap.PROT_EXEC
    if _libc().mprotect(ctypes.c_void_p(base), ctypes.c_size_t(PAGE), readable_executable):
        raise AcceleratorError("the host forbids executable memory")
    return mapping, base


class MachineCode:
    """One vCPU's copy of the code and its data page. Raises AcceleratorError where the host allows no such memory."""

    def __init__(self, library: Library) -> None:
        self._mapping, self._base = map_code(CODE)
        self.shared = Shared.from_buffer(self._mapping, PAGE)
        for member, name in _CALLED.items():
            setattr(self.shared, member, library.address(name))
        self.shared_address = self._base + PAGE
        self._offer = self.shared_address + _OFFER_AT
        self._exchange = _Exchange(self.entry("exchange"))

    def entry(self, name: str) -> int:
        """The address of one of ENTRIES."""
        return self._base + ENTRIES[name]

    def exchange_offer(self, value: int) -> int:
        """Put `value` into `Shared.offer` and return what was there, in one step."""
        return self._exchange(self._offer, value)  # type: ignore[no-any-return]
