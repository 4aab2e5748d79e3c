"""The MSR IA32_APIC_BASE, which the library reads as 0 and does not let be written (`interposed.py` sees both)."""

from __future__ import annotations

import ctypes
import threading

from varan.accel.unicorn.cpu import Engine
from varan.accel.unicorn.iobus import Fail
from varan.accel.unicorn.library import address_of
from varan.accel.unicorn.machinecode import MachineCode
from varan.core.irq import LocalController

_Written = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def connect(engine: Engine, apic: LocalController | None, code: MachineCode, lock: threading.RLock, fail: Fail) -> None:
    """Answer the MSR from `apic`; without one it reads 0."""
    if apic is None:
        return
    shared, registers = code.shared, engine.env.regs
    shared.apic_base = apic.base

    def written(_env: int) -> None:
        value = (registers[2] & 0xFFFF_FFFF) << 32 | registers[0] & 0xFFFF_FFFF
        try:
            with lock:
                apic.set_base(value)
                shared.apic_base = apic.base
        except BaseException as error:
            fail(error)

    callback = _Written(written)
    engine.keep(callback)
    shared.apic_base_written = address_of(callback)
