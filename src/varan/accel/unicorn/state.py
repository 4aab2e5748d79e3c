"""A vCPU's whole state out of an engine, and into one."""

from __future__ import annotations

import struct

from varan.accel.state import Activity, CpuState, Segment, Table
from varan.accel.unicorn import layout
from varan.accel.unicorn.cpu import Engine
from varan.accel.unicorn.layout import Env, SegmentCache

_MSRS = (
    *(0x174, 0x175, 0x176),  # SYSENTER_CS, _ESP, _EIP
    *(0x1A0, 0x277, 0x2FF),  # MISC_ENABLE, PAT, MTRR_DEF_TYPE
    *range(0x200, 0x210),  # variable MTRRs
    *(0x250, 0x258, 0x259, *range(0x268, 0x270)),  # fixed MTRRs
    *(0xC000_0081, 0xC000_0082, 0xC000_0083, 0xC000_0084),  # STAR, LSTAR, CSTAR, FMASK
    *(0xC000_0102, 0xC000_0103),  # KERNEL_GS_BASE, TSC_AUX
)
TSC = 0x10
"""The MSR that is the time-stamp counter."""

_XSAVE_SIZE = 4096
_X87, _SSE, _AVX = 1, 2, 4
_AVX_OFFSET = 576
_LEGACY = struct.Struct("<HHBxHQQII")
_MXCSR_MASK = 0xFFFF
_BUSY = 2
_TYPE_TSS = (0x1, 0x9)


def save(engine: Engine) -> CpuState:
    """Registers of every kind. Pending events and activity are the vCPU's own business."""
    env = engine.env
    segments = [_segment(cache) for cache in env.segs]
    task = _segment(env.tr)
    if task.access & 0xF in _TYPE_TSS:
        # The library keeps the loaded TSS as available; the architecture says busy.
        task.access |= _BUSY
    state = CpuState(
        gprs=list(env.regs),
        rip=env.eip,
        rflags=engine.flags(),
        es=segments[layout.ES],
        cs=segments[layout.CS],
        ss=segments[layout.SS],
        ds=segments[layout.DS],
        fs=segments[layout.FS],
        gs=segments[layout.GS],
        ldt=_segment(env.ldt),
        tr=task,
        gdt=Table(env.gdt.base, env.gdt.limit),
        idt=Table(env.idt.base, env.idt.limit),
        cr0=env.cr[0],
        cr2=env.cr[2],
        cr3=env.cr[3],
        cr4=env.cr[4],
        dr=[*env.dr[0:4], env.dr[6], env.dr[7]],
        efer=env.efer,
        cr8=env.task_priority,
        xcr0=env.xcr0,
        xsave=_save_fpu(env),
        msrs={number: engine.read_msr(number) for number in _MSRS},
    )
    events = state.events
    events.nmi_blocked = bool(env.hflags2 & layout.HFLAG2_NMI)
    events.interrupt_shadow = bool(env.hflags & layout.HFLAG_INHIBIT_IRQ)
    if engine.cpu.halted:
        state.activity = Activity.HALTED
    return state


def load(engine: Engine, state: CpuState) -> None:
    """The inverse of `save`. Translations of addresses are forgotten, translated code is kept."""
    engine.reset()
    env, library, env_pointer = engine.env, engine.library, engine.env_pointer
    env.regs[:] = state.gprs
    # The control registers go through the library, which derives its own flags from them.
    env.efer = state.efer & ~(1 << 10)
    library.update_cr4(env_pointer, state.cr4 & 0xFFFF_FFFF)
    env.cr[3] = state.cr3
    library.update_cr0(env_pointer, state.cr0 & 0xFFFF_FFFF)
    env.efer = state.efer
    env.cr[2] = state.cr2
    env.task_priority = state.cr8 & 15
    segments = (state.es, state.cs, state.ss, state.ds, state.fs, state.gs)
    for cache, segment in zip(env.segs, segments, strict=True):
        _load_segment(cache, segment)
    _load_segment(env.ldt, state.ldt)
    _load_segment(env.tr, state.tr)
    if state.tr.access & 0xF in (0x3, 0xB):
        env.tr.flags &= ~(_BUSY << 8)
    env.gdt.base, env.gdt.limit = state.gdt.base, state.gdt.limit
    env.idt.base, env.idt.limit = state.idt.base, state.idt.limit
    engine.set_flags(state.rflags)
    # Between runs the library has all flags in one place too, and that is the one it starts from.
    env.eflags = state.rflags | 2
    env.eip = state.rip
    _load_debug(engine, state.dr)
    _load_fpu(engine, state.xsave)
    env.xcr0 = state.xcr0
    for number in _MSRS:
        if number in state.msrs:
            engine.write_msr(number, state.msrs[number])
    engine.update_hflags()
    _load_events(engine, state)
    library.flush_tlb(engine.pointer)


def _load_events(engine: Engine, state: CpuState) -> None:
    env = engine.env
    if state.events.nmi_blocked:
        env.hflags2 |= layout.HFLAG2_NMI
    else:
        env.hflags2 &= ~layout.HFLAG2_NMI
    if state.events.interrupt_shadow:
        env.hflags |= layout.HFLAG_INHIBIT_IRQ
    env.old_exception = -1
    engine.cpu.halted = state.activity is Activity.HALTED


def _segment(cache: SegmentCache) -> Segment:
    return Segment(cache.selector, cache.base, cache.limit, cache.flags >> 8 & 0xF0FF)


def _load_segment(cache: SegmentCache, segment: Segment) -> None:
    cache.selector, cache.base, cache.limit = segment.selector, segment.base, segment.limit
    cache.flags = (segment.access & 0xF0FF) << 8


def _load_debug(engine: Engine, registers: list[int]) -> None:
    env = engine.env
    env.dr[0:4] = registers[0:4]
    env.dr[6] = registers[4]
    engine.library.update_dr7(engine.env_pointer, registers[5] & 0xFFFF_FFFF)


def _save_fpu(env: Env) -> bytes:
    area = bytearray(_XSAVE_SIZE)
    tags = sum(1 << index for index, empty in enumerate(env.fptags) if not empty)
    status = (env.fpus & ~0x3800) | (env.fpstt & 7) << 11
    _LEGACY.pack_into(area, 0, env.fpuc, status, tags, env.fpop, env.fpip, env.fpdp, env.mxcsr, _MXCSR_MASK)
    avx = bool(env.xcr0 & _AVX)
    for index in range(8):
        # The area is in stack order, the registers are not.
        area[32 + 16 * index : 48 + 16 * index] = bytes(env.fpregs[(env.fpstt + index) & 7])
    for index in range(16):
        vector = bytes(env.xmm[index])
        area[160 + 16 * index : 176 + 16 * index] = vector[:16]
        if avx:
            area[_AVX_OFFSET + 16 * index : _AVX_OFFSET + 16 * (index + 1)] = vector[16:32]
    struct.pack_into("<Q", area, 512, _X87 | _SSE | (_AVX if avx else 0))
    return bytes(area)


def _load_fpu(engine: Engine, area: bytes) -> None:
    env = engine.env
    present = struct.unpack_from("<Q", area, 512)[0] if len(area) >= _AVX_OFFSET else 0
    if area and len(area) < _AVX_OFFSET:
        raise ValueError(f"an XSAVE area has at least {_AVX_OFFSET} bytes, this one {len(area)}")
    control, status, tags, opcode, address, data = 0x37F, 0, 0, 0, 0, 0
    if present & _X87:
        control, status, tags, opcode, address, data, _, _ = _LEGACY.unpack_from(area, 0)
    env.fpuc, env.fpus, env.fpstt = control, status & ~0x3800, status >> 11 & 7
    env.fpop, env.fpip, env.fpdp = opcode, address, data
    for index in range(8):
        env.fptags[index] = not tags >> index & 1
        register = area[32 + 16 * index : 42 + 16 * index] if present & _X87 else b""
        env.fpregs[(env.fpstt + index) & 7][:] = register.ljust(16, b"\0")
    _load_vectors(env, area, present)
    env.mxcsr = struct.unpack_from("<I", area, 24)[0] if present & (_SSE | _AVX) else 0x1F80
    engine.library.update_fp_status(engine.env_pointer)
    engine.library.update_mxcsr_status(engine.env_pointer)


def _load_vectors(env: Env, area: bytes, present: int) -> None:
    for index in range(16):
        low = area[160 + 16 * index : 176 + 16 * index] if present & _SSE else bytes(16)
        at = _AVX_OFFSET + 16 * index
        high = area[at : at + 16] if present & _AVX else b""
        env.xmm[index][:] = (low + high).ljust(64, b"\0")
