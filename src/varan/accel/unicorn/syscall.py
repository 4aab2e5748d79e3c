"""SYSCALL and SYSENTER in Python (SDM volume 2): the library decodes them and leaves the rest to a hook.

It adds the instruction's length to RIP after the hook, which is why targets are stored less that.
"""

from __future__ import annotations

from varan.accel.unicorn import layout
from varan.accel.unicorn.cpu import Engine
from varan.accel.unicorn.layout import Env

_LENGTH = 2
_LMA = 1 << 10
_SCE = 1 << 0
_IF, _RF, _VM = 1 << 9, 1 << 16, 1 << 17
_CODE_32, _CODE_64, _DATA = 0xC09B00, 0xA09B00, 0xC09300
_UNDEFINED, _PROTECTION = 6, 13
_MASK_64 = (1 << 64) - 1


def syscall(engine: Engine) -> None:
    """Enter the kernel as SYSCALL does."""
    env = engine.env
    if not env.efer & _SCE:
        _raise(engine, _UNDEFINED)
        return
    flags = engine.flags()
    back = env.eip + _LENGTH
    if env.efer & _LMA:
        env.regs[1] = back
        env.regs[11] = flags & ~_RF
        target = env.lstar if env.hflags & layout.HFLAG_CS64 else env.cstar
        engine.set_flags(flags & ~_RF & ~env.fmask)
    else:
        env.regs[1] = back & 0xFFFF_FFFF
        target = env.star & 0xFFFF_FFFF
        engine.set_flags(flags & ~(_RF | _IF | _VM))
    env.eip = target - _LENGTH & _MASK_64
    _flat_segments(engine, env.star >> 32 & 0xFFFC)


def sysenter(engine: Engine) -> None:
    """Enter the kernel as SYSENTER does."""
    env = engine.env
    if not env.sysenter_cs & 0xFFFC or not env.cr[0] & 1:
        _raise(engine, _PROTECTION)
        return
    env.eflags &= ~(_RF | _IF | _VM) & _MASK_64
    env.regs[4] = env.sysenter_esp
    env.eip = env.sysenter_eip - _LENGTH & _MASK_64
    _flat_segments(engine, env.sysenter_cs & 0xFFFC)


def _flat_segments(engine: Engine, selector: int) -> None:
    env: Env = engine.env
    code, stack = env.segs[layout.CS], env.segs[layout.SS]
    code.selector, stack.selector = selector, selector + 8
    code.base = stack.base = 0
    code.limit = stack.limit = 0xFFFF_FFFF
    code.flags = _CODE_64 if env.efer & _LMA else _CODE_32
    stack.flags = _DATA
    engine.update_hflags()


def _raise(engine: Engine, vector: int) -> None:
    """Have the CPU loop deliver a fault for this instruction once the hook is left."""
    env = engine.env
    env.eip = env.eip - _LENGTH & _MASK_64
    env.error_code = 0
    env.exception_is_int = 0
    engine.cpu.exception_index = vector
    # Leads from the end of this block to the CPU loop's look at exceptions.
    engine.leave_chain()
