"""`CpuState` to and from the structures of KVM's get and set requests."""

from __future__ import annotations

import fcntl
import struct

from varan.accel import paging
from varan.accel.base import AcceleratorError
from varan.accel.kvm import ioctls
from varan.accel.state import CpuState, PendingEvents, Segment, Table

_GPRS_IN_KVM_ORDER = (0, 3, 1, 2, 6, 7, 4, 5, 8, 9, 10, 11, 12, 13, 14, 15)
"""KVM's register order (rax rbx rcx rdx rsi rdi rsp rbp r8...) as indices into `CpuState.gprs`."""
_SEGMENTS_IN_KVM_ORDER = ("cs", "ds", "es", "fs", "gs", "ss", "tr", "ldt")


def _get(fd: int, request: int, size: int) -> bytearray:
    buffer = bytearray(size)
    fcntl.ioctl(fd, request, buffer, True)
    return buffer


def _pack_segment(segment: Segment) -> bytes:
    access = segment.access
    return ioctls.SEGMENT.pack(
        segment.base,
        segment.limit,
        segment.selector,
        access & 15,
        access >> 7 & 1,
        access >> 5 & 3,
        access >> 14 & 1,
        access >> 4 & 1,
        access >> 13 & 1,
        access >> 15 & 1,
        access >> 12 & 1,
        0 if access >> 7 & 1 else 1,
        0,
    )


def _unpack_segment(data: bytes | bytearray, at: int) -> Segment:
    base, limit, selector, type_, present, dpl, db, s, long, g, avl, _, _ = ioctls.SEGMENT.unpack_from(data, at)
    access = type_ | s << 4 | dpl << 5 | present << 7 | avl << 12 | long << 13 | db << 14 | g << 15
    return Segment(selector, base, limit, access)


def read_regs(fd: int, state: CpuState) -> None:
    """Fill general registers, RIP and RFLAGS."""
    values = ioctls.REGS.unpack(_get(fd, ioctls.GET_REGS, ioctls.REGS.size))
    for position, index in enumerate(_GPRS_IN_KVM_ORDER):
        state.gprs[index] = values[position]
    state.rip, state.rflags = values[16], values[17]


def write_regs(fd: int, state: CpuState) -> None:
    """Set general registers, RIP and RFLAGS."""
    values = [state.gprs[index] for index in _GPRS_IN_KVM_ORDER]
    fcntl.ioctl(fd, ioctls.SET_REGS, ioctls.REGS.pack(*values, state.rip, state.rflags))


def read_sregs(fd: int, state: CpuState) -> None:
    """Fill segments, descriptor tables and control registers."""
    data = _get(fd, ioctls.GET_SREGS, ioctls.SREGS_SIZE)
    at = 0
    for name in _SEGMENTS_IN_KVM_ORDER:
        setattr(state, name, _unpack_segment(data, at))
        at += ioctls.SEGMENT.size
    state.gdt = Table(*ioctls.TABLE.unpack_from(data, at))
    state.idt = Table(*ioctls.TABLE.unpack_from(data, at + ioctls.TABLE.size))
    tail = ioctls.SREGS_TAIL.unpack_from(data, at + 2 * ioctls.TABLE.size)
    state.cr0, state.cr2, state.cr3, state.cr4, state.cr8, state.efer, state.apic_base = tail[:7]


def write_sregs(fd: int, state: CpuState) -> None:
    """Set segments, descriptor tables and control registers.

    Raises AcceleratorError where KVM would run the guest without the paging that it has turned on.
    """
    data = b"".join(_pack_segment(getattr(state, name)) for name in _SEGMENTS_IN_KVM_ORDER)
    data += ioctls.TABLE.pack(state.gdt.base, state.gdt.limit) + ioctls.TABLE.pack(state.idt.base, state.idt.limit)
    controls = (state.cr0, state.cr2, state.cr3, state.cr4, state.cr8, state.efer, state.apic_base)
    data += ioctls.SREGS_TAIL.pack(*controls, 0, 0, 0, 0)
    fcntl.ioctl(fd, ioctls.SET_SREGS, data)
    if state.cr0 & paging.CR0_PG and not state.efer & paging.EFER_LMA:
        kept = CpuState()
        read_sregs(fd, kept)
        if not kept.cr0 & paging.CR0_PG:
            raise AcceleratorError("this host's KVM has no paging outside long mode")


def read_events(fd: int, state: CpuState) -> None:
    """Fill what is on its way into the vCPU."""
    fields = ioctls.VCPU_EVENTS.unpack(_get(fd, ioctls.GET_VCPU_EVENTS, ioctls.VCPU_EVENTS.size))
    injected, number, has_error, pending, error = fields[:5]
    state.events = PendingEvents(
        nmi_pending=bool(fields[9] or fields[10]),
        nmi_blocked=bool(fields[11]),
        interrupt_shadow=bool(fields[8]),
        interrupt=fields[6] if fields[5] else None,
        exception=number if injected or pending else None,
        error_code=error if has_error and (injected or pending) else None,
    )


def write_events(fd: int, state: CpuState) -> None:
    """Set what is on its way into the vCPU, except the interrupt and the NMI: the vCPU hands them over itself."""
    events = state.events
    exception = events.exception is not None
    fields = [0] * 20
    fields[0:5] = [int(exception), events.exception or 0, int(events.error_code is not None), 0, events.error_code or 0]
    fields[8] = int(events.interrupt_shadow)
    fields[11] = int(events.nmi_blocked)
    fields[14] = ioctls.EVENTS_VALID_NMI_PENDING | ioctls.EVENTS_VALID_SHADOW
    fcntl.ioctl(fd, ioctls.SET_VCPU_EVENTS, ioctls.VCPU_EVENTS.pack(*fields, 0, 0)[: ioctls.VCPU_EVENTS.size])


def read_fpu(fd: int, state: CpuState) -> None:
    """Fill the XSAVE area, XCR0 and the debug registers."""
    state.xsave = bytes(_get(fd, ioctls.GET_XSAVE, ioctls.XSAVE_SIZE))
    xcrs = _get(fd, ioctls.GET_XCRS, ioctls.XCRS_SIZE)
    count, _ = ioctls.XCRS.unpack_from(xcrs)
    for at in range(8, 8 + count * ioctls.XCR.size, ioctls.XCR.size):
        number, _, value = ioctls.XCR.unpack_from(xcrs, at)
        if number == 0:
            state.xcr0 = value
    debug = ioctls.DEBUGREGS.unpack(_get(fd, ioctls.GET_DEBUGREGS, ioctls.DEBUGREGS.size))
    state.dr = list(debug[:6])


def write_fpu(fd: int, state: CpuState) -> None:
    """Set the XSAVE area, XCR0 and the debug registers."""
    area = state.xsave or _RESET_XSAVE
    fcntl.ioctl(fd, ioctls.SET_XSAVE, bytearray(area.ljust(ioctls.XSAVE_SIZE, b"\0")[: ioctls.XSAVE_SIZE]))
    xcrs = ioctls.XCRS.pack(1, 0) + ioctls.XCR.pack(0, 0, state.xcr0)
    fcntl.ioctl(fd, ioctls.SET_XCRS, xcrs.ljust(ioctls.XCRS_SIZE, b"\0"))
    fcntl.ioctl(fd, ioctls.SET_DEBUGREGS, ioctls.DEBUGREGS.pack(*state.dr, 0))


def read_msrs(fd: int, numbers: list[int]) -> dict[int, int]:
    """The values of those `numbers` that can be read. KVM stops at the first that cannot, so that one is skipped."""
    values: dict[int, int] = {}
    left = list(numbers)
    while left:
        buffer = bytearray(struct.pack("<II", len(left), 0))
        for number in left:
            buffer += ioctls.MSR_ENTRY.pack(number, 0, 0)
        count: int = fcntl.ioctl(fd, ioctls.GET_MSRS, buffer, True)
        for at in range(count):
            number, _, value = ioctls.MSR_ENTRY.unpack_from(buffer, 8 + at * ioctls.MSR_ENTRY.size)
            values[number] = value
        left = left[count + 1 :]
    return values


def write_msrs(fd: int, values: dict[int, int]) -> None:
    """Set MSRs. One that KVM refuses is passed over where it has the value already.

    Raises AcceleratorError naming the first other one that KVM does not take.
    """
    left = list(values.items())
    while left:
        buffer = bytearray(struct.pack("<II", len(left), 0))
        for number, value in left:
            buffer += ioctls.MSR_ENTRY.pack(number, 0, value)
        count: int = fcntl.ioctl(fd, ioctls.SET_MSRS, buffer, True)
        if count < len(left):
            number, value = left[count]
            if read_msrs(fd, [number]).get(number) != value:
                raise AcceleratorError(f"KVM does not take {value:#x} for MSR {number:#x}")
        left = left[count + 1 :]


def _reset_xsave() -> bytes:
    """The FPU after reset: FCW 0x37F, MXCSR 0x1F80, and both components marked present (SDM volume 1, 13.4)."""
    area = bytearray(576)
    struct.pack_into("<H", area, 0, 0x37F)
    struct.pack_into("<I", area, 24, 0x1F80)
    struct.pack_into("<Q", area, 512, 3)
    return bytes(area)


_RESET_XSAVE = _reset_xsave()
