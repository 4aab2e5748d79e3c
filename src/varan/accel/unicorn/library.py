"""The shared library inside the `unicorn` wheel, called directly.

The Python binding is not imported: it has no way to the functions that a full system needs, costs start-up time, and
wraps every callback twice. Beside the public `uc_` functions the library exports QEMU's own, with a suffix for the
guest's architecture; those are what makes a whole machine possible.

Calls that run guest code release the GIL; all others hold it, because they take less time than handing it over.
"""

from __future__ import annotations

import ctypes
import functools
import importlib.util
from collections.abc import Callable
from ctypes import c_bool, c_char_p, c_int, c_size_t, c_uint32, c_uint64, c_void_p
from pathlib import Path
from typing import Any

from varan.accel.base import AcceleratorError
from varan.accel.unicorn.frequency import Frequency

VERSION = (2, 1, 4)
"""The release whose structures `layout` describes."""

ARCH_X86 = 4
MODE_64 = 8
PROT_ALL = 7

HOOK_INTR = 1
HOOK_INSN = 2

INSN_CPUID = 113
INSN_IN = 218
INSN_OUT = 500
INSN_SYSCALL = 699
INSN_SYSENTER = 700

CONTROL_WRITE = 1 << 30
CONTROL_USE_EXITS = 4 | 1 << 26
CONTROL_CPU_MODEL = 7 | 1 << 26
CONTROL_BUFFER_SIZE = 13 | 1 << 26

REG_EFLAGS = 25
REG_RIP = 41
REG_R15 = 113
REG_IDTR = 242
REG_MSR = 248

PortRead = ctypes.CFUNCTYPE(c_uint32, c_void_p, c_uint32, c_int, c_void_p)
PortWrite = ctypes.CFUNCTYPE(None, c_void_p, c_uint32, c_int, c_uint32, c_void_p)
MmioRead = ctypes.CFUNCTYPE(c_uint64, c_void_p, c_uint64, c_uint32, c_void_p)
MmioWrite = ctypes.CFUNCTYPE(None, c_void_p, c_uint64, c_uint32, c_uint64, c_void_p)
Interrupt = ctypes.CFUNCTYPE(None, c_void_p, c_uint32, c_void_p)
Instruction = ctypes.CFUNCTYPE(None, c_void_p, c_void_p)
Cpuid = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p)
"""Whether the instruction has been answered."""
ExecInterrupt = ctypes.CFUNCTYPE(c_bool, c_void_p, c_int)


class MsrAccess(ctypes.Structure):
    """What REG_MSR reads and writes."""

    number: int
    value: int
    _fields_ = (("number", c_uint32), ("value", c_uint64))


class Table(ctypes.Structure):
    """What REG_IDTR reads and writes."""

    selector: int
    base: int
    limit: int
    flags: int
    _fields_ = (("selector", ctypes.c_uint16), ("base", c_uint64), ("limit", c_uint32), ("flags", c_uint32))


class Library:
    """The library's functions as attributes, with the types they take."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._holding = ctypes.PyDLL(str(path))
        releasing = ctypes.CDLL(str(path))
        self.open = self._function("uc_open", c_int, c_int, c_int, c_void_p)
        self.close = self._function("uc_close", c_int, c_void_p)
        self.control = self._function("uc_ctl", c_int, c_void_p, c_uint32, c_uint64)
        self.version = self._function("uc_version", c_uint32, c_void_p, c_void_p)
        self.explain = self._function("uc_strerror", c_char_p, c_int)
        self.hook = self._function(
            "uc_hook_add", c_int, c_void_p, c_void_p, c_int, c_void_p, c_void_p, c_uint64, c_uint64, c_int
        )
        self.map_ram = self._function("uc_mem_map_ptr", c_int, c_void_p, c_uint64, c_size_t, c_uint32, c_void_p)
        self.map_mmio = self._function(
            "uc_mmio_map", c_int, c_void_p, c_uint64, c_size_t, MmioRead, c_void_p, MmioWrite, c_void_p
        )
        self.read_register = self._function("uc_reg_read", c_int, c_void_p, c_int, c_void_p)
        self.write_register = self._function("uc_reg_write", c_int, c_void_p, c_int, c_void_p)
        self.start = releasing.uc_emu_start
        self.start.restype, self.start.argtypes = c_int, (c_void_p, c_uint64, c_uint64, c_uint64, c_size_t)
        self._bind_internals()
        # What RDTSC reads, less what the guest's own counter differs by. No engine is looked at for it.
        self.frequency = Frequency(lambda: self.timestamp(None))
        """How fast the time-stamp counter of every engine runs."""
        self.verified = False
        """Whether `layout.verify` has found everything in its place."""

    def _bind_internals(self) -> None:
        internal = self._internal
        self.cpu_exit = self._function("cpu_exit", None, c_void_p)
        self.invalidate_code = internal("tb_invalidate_phys_range", None, c_void_p, c_uint64, c_uint64)
        self.flush_code = internal("tb_flush", None, c_void_p)
        self.flush_tlb = internal("tlb_flush", None, c_void_p)
        self.update_hflags = internal("x86_update_hflags", None, c_void_p)
        self.update_cr0 = internal("cpu_x86_update_cr0", None, c_void_p, c_uint32)
        self.update_cr4 = internal("cpu_x86_update_cr4", None, c_void_p, c_uint32)
        self.update_dr7 = internal("cpu_x86_update_dr7", None, c_void_p, c_uint32)
        self.update_fp_status = internal("update_fp_status", None, c_void_p)
        self.update_mxcsr_status = internal("update_mxcsr_status", None, c_void_p)
        self.condition_codes = internal("helper_cc_compute_all", c_uint64, c_uint64, c_uint64, c_uint64, c_int)
        self.cpuid = internal("cpu_x86_cpuid", None, c_void_p, c_uint32, c_uint32, *[c_void_p] * 4)
        self.timestamp = internal("cpu_get_tsc", c_uint64, c_void_p)
        self.set_readonly = internal("memory_region_set_readonly", None, c_void_p, c_bool)
        self.ram_address = internal("memory_region_get_ram_addr", c_uint64, c_void_p)

    def _function(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        function = getattr(self._holding, name)
        function.restype, function.argtypes = result, arguments
        return function  # type: ignore[no-any-return]

    def _internal(self, name: str, result: Any, *arguments: Any) -> Callable[..., Any]:
        return self._function(f"{name}_x86_64", result, *arguments)

    def address(self, name: str) -> int:
        """Where the exported function `name` lies, for machine code that calls it."""
        return ctypes.cast(getattr(self._holding, name), c_void_p).value or 0


def address_of(callback: object) -> int:
    """Where machine code can call a ctypes callback."""
    return ctypes.cast(callback, c_void_p).value or 0  # type: ignore[arg-type]


@functools.cache
def find() -> Path | None:
    """The library file of the installed wheel, None when there is none. Imports nothing."""
    spec = importlib.util.find_spec("unicorn")
    if spec is None or not spec.submodule_search_locations:
        return None
    for folder in spec.submodule_search_locations:
        path = Path(folder) / "lib" / "libunicorn.so.2"
        if path.is_file():
            return path
    return None


@functools.cache
def load() -> Library:
    """The library, loaded once a process. Raises AcceleratorError when it is missing or of another release."""
    path = find()
    if path is None:
        raise AcceleratorError("the unicorn package is not installed, or has no libunicorn.so.2")
    try:
        library = Library(path)
    except (OSError, AttributeError) as error:
        raise AcceleratorError(f"{path} cannot be used: {error}") from None
    found = library.version(None, None)
    version = (found >> 24, found >> 16 & 0xFF, found >> 8 & 0xFF)
    if version != VERSION:
        wanted = ".".join(map(str, VERSION))
        raise AcceleratorError(f"unicorn {'.'.join(map(str, version))} is installed, but only {wanted} is known here")
    return library
