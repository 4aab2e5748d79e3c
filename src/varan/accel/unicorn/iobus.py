"""The guest's port and memory-mapped accesses: from the library's callbacks to the address spaces.

These run for every access, so each callback is a closure over what it needs. An exception cannot pass through the
library; it is handed to `fail`, which keeps it and stops the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from varan.accel.unicorn import cpu
from varan.accel.unicorn import library as uc
from varan.accel.unicorn.cpu import Engine
from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace, all_ones

Fail = Callable[[BaseException], None]


def connect_ports(engine: Engine, ports: PortSpace, lock: threading.RLock, fail: Fail) -> None:
    """Answer IN and OUT from `ports`."""
    space_read, space_write = ports.read, ports.write

    def port_read(_engine: int, port: int, size: int, _user: int) -> int:
        try:
            with lock:
                return space_read(port, size)
        except BaseException as error:
            fail(error)
            return all_ones(size)

    def port_write(_engine: int, port: int, size: int, value: int, _user: int) -> None:
        try:
            with lock:
                space_write(port, size, value)
        except BaseException as error:
            fail(error)

    engine.hook(uc.HOOK_INSN, uc.PortRead(port_read), instruction=uc.INSN_IN)
    engine.hook(uc.HOOK_INSN, uc.PortWrite(port_write), instruction=uc.INSN_OUT)


def connect_memory(engine: Engine, memory: MemorySpace, lock: threading.RLock, fail: Fail) -> None:
    """Answer accesses to all that is not RAM from `memory`."""
    for start, size in cpu.holes(memory):
        _map_hole(engine, memory, lock, fail, start, size)


def _map_hole(engine: Engine, memory: MemorySpace, lock: threading.RLock, fail: Fail, start: int, size: int) -> None:
    space_read, space_write = memory.read, memory.write

    def mmio_read(_engine: int, offset: int, size: int, _user: int) -> int:
        try:
            with lock:
                return space_read(start + offset, size)
        except BaseException as error:
            fail(error)
            return all_ones(size)

    def mmio_write(_engine: int, offset: int, size: int, value: int, _user: int) -> None:
        try:
            with lock:
                space_write(start + offset, size, value)
        except BaseException as error:
            fail(error)

    engine.map_mmio(start, size, uc.MmioRead(mmio_read), uc.MmioWrite(mmio_write))
