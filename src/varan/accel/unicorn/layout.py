"""Where the library keeps what its public interface does not reach.

The offsets hold for the x86-64 Linux wheel of the release that `library.VERSION` names. They are not trusted:
`verify` writes values through the public interface and looks for them here, once a process.
"""

from __future__ import annotations

import ctypes
from ctypes import c_int32, c_int64, c_uint8, c_uint16, c_uint32, c_uint64
from typing import Any

from varan.accel.base import AcceleratorError
from varan.accel.unicorn import library as uc
from varan.accel.unicorn.library import Library

ENV = 0x8A50
"""From the CPU object to its register file."""
CPU_CLASS = 0x81B0
EXIT_REQUEST = 0x15
CLASS_RESET = 0x00
CLASS_TLB_FILL = 0x48
CLASS_EXEC_INTERRUPT = 0x90

ES, CS, SS, DS, FS, GS = range(6)
ALWAYS_ASK = 0x8000
"""An interrupt-request bit that means nothing to the library but makes its CPU loop ask for interrupts."""

HFLAG_INHIBIT_IRQ = 1 << 3
HFLAG_CS64 = 1 << 15
HFLAGS_FROM_EFLAGS = 0x23100
"""TF, IOPL and VM."""
HFLAG2_NMI = 1 << 2
HFLAG2_VIRTUAL_PRIORITY = 1 << 3
"""MOV CR8 acts on `Env.task_priority`; otherwise it goes to an APIC that the library has not got."""

Fields = list[tuple[int, str, Any]]


def _fields(*members: tuple[int, str, Any]) -> list[tuple[str, Any]]:
    """ctypes fields for members at given offsets, padding in between."""
    fields: list[tuple[str, Any]] = []
    at = 0
    for offset, name, kind in members:
        if offset > at:
            fields.append((f"_pad_{at:x}", c_uint8 * (offset - at)))
        fields.append((name, kind))
        at = offset + ctypes.sizeof(kind)
    return fields


class SegmentCache(ctypes.Structure):
    """A segment register with its hidden part; `flags` are the descriptor's second word."""

    selector: int
    base: int
    limit: int
    flags: int
    _fields_ = (("selector", c_uint32), ("base", c_uint64), ("limit", c_uint32), ("flags", c_uint32))


class Env(ctypes.Structure):
    """The register file (what QEMU calls env)."""

    _fields_ = _fields(
        (0x000, "regs", c_uint64 * 16),
        (0x080, "eip", c_uint64),
        (0x088, "eflags", c_uint64),
        (0x090, "cc_dst", c_uint64),
        (0x098, "cc_src", c_uint64),
        (0x0A0, "cc_src2", c_uint64),
        (0x0A8, "cc_op", c_uint32),
        (0x0AC, "df", c_int32),
        (0x0B0, "hflags", c_uint32),
        (0x0B4, "hflags2", c_uint32),
        (0x0B8, "segs", SegmentCache * 6),
        (0x148, "ldt", SegmentCache),
        (0x160, "tr", SegmentCache),
        (0x178, "gdt", SegmentCache),
        (0x190, "idt", SegmentCache),
        (0x1A8, "cr", c_uint64 * 5),
        (0x250, "efer", c_uint64),
        (0x25C, "fpstt", c_uint32),
        (0x260, "fpus", c_uint16),
        (0x262, "fpuc", c_uint16),
        (0x264, "fptags", c_uint8 * 8),
        (0x270, "fpregs", (c_uint8 * 16) * 8),
        (0x2F0, "fpop", c_uint16),
        (0x2F8, "fpip", c_uint64),
        (0x300, "fpdp", c_uint64),
        (0x330, "mxcsr", c_uint32),
        (0x338, "xmm", (c_uint8 * 64) * 32),
        (0x12C0, "sysenter_cs", c_uint32),
        (0x12C8, "sysenter_esp", c_uint64),
        (0x12D0, "sysenter_eip", c_uint64),
        (0x12D8, "star", c_uint64),
        (0x12E8, "lstar", c_uint64),
        (0x12F0, "cstar", c_uint64),
        (0x12F8, "fmask", c_uint64),
        (0x1300, "kernel_gs_base", c_uint64),
        (0x1328, "xcr0", c_uint64),
        (0x1508, "error_code", c_int32),
        (0x150C, "exception_is_int", c_int32),
        (0x1510, "exception_next_eip", c_uint64),
        (0x1518, "dr", c_uint64 * 8),
        (0x1578, "old_exception", c_int32),
        # SVM's host control block: no guest has SVM here, so the pointer is ours.
        (0x1580, "shared", c_uint64),
        (0x1588, "tsc_offset", c_int64),
        (0x15B4, "task_priority", c_uint8),
        (0x15E4, "cpuid_level", c_uint32),
        (0x15F0, "cpuid_vendor", c_uint8 * 12),
        (0x1600, "features", c_uint64 * 16),
        (0x1B58, "engine", c_uint64),
        (0x1B70, "apic_id", c_uint32),
        # Features that the model has and the library has not.
        (0x1B88, "missing", c_uint64 * 16),
    )


class Cpu(ctypes.Structure):
    """The architecture-independent part of the CPU object."""

    _fields_ = _fields(
        (0x00, "cores", c_uint32),
        (0x04, "threads", c_uint32),
        (0x15, "exit_request", c_uint8),
        (0x1C, "interrupt_request", c_uint32),
        (0x128, "env", c_uint64),
        (0x8198, "halted", c_uint32),
        (0x81A0, "exception_index", c_int32),
        (0x81A8, "engine", c_uint64),
        (0x81B0, "cpu_class", c_uint64),
    )


class Handle(ctypes.Structure):
    """The engine handle itself (struct uc_struct)."""

    _fields_ = _fields(
        (0xE0, "stop_interrupt", c_uint64),
        (0x1B8, "cpu", c_uint64),
        (0x56D, "stop_request", c_uint8),
        (0x7A8, "mapped_blocks", c_uint64),
        (0x7B0, "mapped_block_count", c_uint32),
        (0x7F2, "no_exit_request", c_uint8),
    )


class MemoryRegion(ctypes.Structure):
    """A mapped run of guest-physical addresses."""

    _fields_ = _fields((0x10, "ops", c_uint64), (0x40, "start", c_uint64))


class DeviceOps(ctypes.Structure):
    """How a device's memory region is accessed; zeros but for the functions as the library makes it."""

    _fields_ = _fields(
        (0x00, "read", c_uint64),
        (0x08, "write", c_uint64),
        (0x10, "defaults", c_uint8 * 0x34),
        (0x44, "widest", c_uint32),
    )


FEATURE_1_EDX, FEATURE_1_ECX, FEATURE_7_EBX, FEATURE_7_ECX, FEATURE_7_EDX = 0, 1, 2, 3, 4
FEATURE_8000_0001_EDX, FEATURE_8000_0001_ECX, FEATURE_8000_0007_EDX = 6, 7, 8
"""Which `Env.features` word answers which CPUID register."""

_TASK_PRIORITY_LOAD = b"\x0f\xb6\x85" + Env.task_priority.offset.to_bytes(4, "little")
"""movzx eax, byte ptr [rbp + ...]: how the library reads CR8."""
_MAGIC = 0x1122334455667788


def verify(library: Library, handle: int) -> None:
    """Check the offsets on a new engine, whose registers are changed by it. Raises AcceleratorError."""
    top = Handle.from_address(handle)
    cpu = Cpu.from_address(top.cpu)
    env = Env.from_address(top.cpu + ENV)
    pointers = {
        "the CPU's engine": (cpu.engine, handle),
        "the CPU's registers": (cpu.env, top.cpu + ENV),
        "the registers' engine": (env.engine, handle),
    }
    for what, (found, wanted) in pointers.items():
        _expect(what, found, wanted)
    _verify_registers(library, handle, env)
    _verify_msrs(library, handle, env)
    for offset, name in ((CLASS_TLB_FILL, "x86_cpu_tlb_fill"), (CLASS_EXEC_INTERRUPT, "x86_cpu_exec_interrupt")):
        found = c_uint64.from_address(cpu.cpu_class + offset).value
        _expect(f"the CPU class's {name}", found, library.address(f"{name}_x86_64"))
    _verify_cpuid(library, env, top.cpu + ENV)
    _verify_topology(library, cpu, env, top.cpu + ENV)
    _expect("CR8", _TASK_PRIORITY_LOAD in ctypes.string_at(library.address("helper_read_crN_x86_64"), 80), True)


def _verify_cpuid(library: Library, env: Env, env_pointer: int) -> None:
    out = (c_uint32 * 4)()
    at = ctypes.addressof(out)
    library.cpuid(env_pointer, 1, 0, at, at + 4, at + 8, at + 12)
    _expect("CPUID 1 EDX", env.features[FEATURE_1_EDX] & 0xFFFF_FFFF, out[3])
    library.cpuid(env_pointer, 0, 0, at, at + 4, at + 12, at + 8)
    _expect("CPUID 0", (env.cpuid_level, bytes(env.cpuid_vendor)), (out[0], bytes(out)[4:]))


def _verify_topology(library: Library, cpu: Cpu, env: Env, env_pointer: int) -> None:
    out = (c_uint32 * 4)()
    at = ctypes.addressof(out)
    before = cpu.cores, cpu.threads, env.apic_id
    cpu.cores, cpu.threads, env.apic_id = 3, 5, 0x77
    library.cpuid(env_pointer, 1, 0, at, at + 4, at + 8, at + 12)
    cpu.cores, cpu.threads, env.apic_id = before
    _expect("the topology", (before[:2], out[1] >> 16), ((1, 1), 0x770F))


def _verify_registers(library: Library, handle: int, env: Env) -> None:
    value = c_uint64(_MAGIC)
    library.write_register(handle, uc.REG_R15, ctypes.byref(value))
    _expect("R15", env.regs[15], _MAGIC)
    library.write_register(handle, uc.REG_RIP, ctypes.byref(value))
    _expect("RIP", env.eip, _MAGIC)
    library.write_register(handle, uc.REG_IDTR, ctypes.byref(uc.Table(0, _MAGIC + 1, 0x7777, 0)))
    _expect("IDTR", (env.idt.base, env.idt.limit), (_MAGIC + 1, 0x7777))


def _verify_msrs(library: Library, handle: int, env: Env) -> None:
    numbers = {
        "sysenter_esp": 0x175,
        "sysenter_eip": 0x176,
        "star": 0xC000_0081,
        "lstar": 0xC000_0082,
        "cstar": 0xC000_0083,
        "fmask": 0xC000_0084,
        "kernel_gs_base": 0xC000_0102,
    }
    for position, (name, number) in enumerate(numbers.items()):
        library.write_register(handle, uc.REG_MSR, ctypes.byref(uc.MsrAccess(number, _MAGIC + position)))
        _expect(name, getattr(env, name), _MAGIC + position)


def _expect(what: str, found: object, wanted: object) -> None:
    if found != wanted:
        raise AcceleratorError(
            f"this build of unicorn is laid out differently ({what} is not where it should be); "
            "install the official wheel"
        )
