"""CPUID leaves 0x15 and 0x16 (SDM volume 2, CPUID): how fast the time-stamp counter runs.

The library does not know them. Guests that get no answer measure the counter against the PIT, which fails where the
code that measures must be translated first; Linux then has no clock finer than its tick.
"""

from __future__ import annotations

from collections.abc import Callable

from varan.accel.unicorn import library as uc
from varan.accel.unicorn import models
from varan.accel.unicorn.cpu import Engine
from varan.accel.unicorn.machinecode import MachineCode

_COUNTER, _SPEEDS = 0x15, 0x16
_RATIO = 2
"""Counts for each cycle of the crystal, whose frequency in Hz must fit into 32 bits."""
_KHZ, _MHZ = 1_000, 1_000_000
_BUS_MHZ = 100

Leaf = tuple[int, int, int, int]
"""EAX, EBX, ECX, EDX."""


def crystal_hertz(hertz: int) -> int:
    """The frequency of the crystal for a counter of that frequency; guests drop what it has beyond kHz."""
    return (hertz + _RATIO * _KHZ // 2) // (_RATIO * _KHZ) * _KHZ


def counter_leaf(hertz: int) -> Leaf:
    """Leaf 0x15 for a counter of that frequency, which is met to 1 kHz."""
    return 1, _RATIO, crystal_hertz(hertz), 0


def speeds_leaf(hertz: int) -> Leaf:
    """Leaf 0x16: base, highest and bus frequency in MHz."""
    base = (hertz + _MHZ // 2) // _MHZ
    return base, base, _BUS_MHZ, 0


def connect(engine: Engine, hertz: Callable[[], int], code: MachineCode | None) -> None:
    """Answer the two leaves where the CPU model may have them, for a counter of `hertz`, which always says the same.

    SYSCALL's hook must have been added before.

    With `code` only CPUID of these leaves comes to Python.
    """
    if not models.show_counter(engine.env, _SPEEDS):
        return

    def cpuid(_engine: int, _user: int) -> int:
        registers = engine.env.regs
        leaf = registers[0] & 0xFFFF_FFFF
        if leaf not in (_COUNTER, _SPEEDS):
            return 0
        answer = counter_leaf(hertz()) if leaf == _COUNTER else speeds_leaf(hertz())
        registers[0], registers[3], registers[1], registers[2] = answer
        return 1

    callback = uc.Cpuid(cpuid)
    if code is None:
        engine.hook(uc.HOOK_INSN, callback, instruction=uc.INSN_CPUID)
    else:
        engine.keep(callback)
        code.shared.clock_leaves = uc.address_of(callback)
        engine.hook(uc.HOOK_INSN, code.entry("cpuid"), engine.pointer, uc.INSN_CPUID)
