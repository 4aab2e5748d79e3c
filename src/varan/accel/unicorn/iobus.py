"""The guest's port and memory-mapped accesses: from the library's callbacks to the address spaces.

These run for every access, so each callback is a closure over what it needs. An exception cannot pass through the
library; it is handed to `fail`, which keeps it and stops the run.
"""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable

from varan.accel.unicorn import cpu
from varan.accel.unicorn import library as uc
from varan.accel.unicorn.cpu import Engine
from varan.accel.unicorn.machinecode import MachineCode
from varan.core.irq import LOCAL_APIC, LocalController
from varan.core.memory import PAGE_SIZE, MemorySpace
from varan.core.ports import PortSpace, all_ones

Fail = Callable[[BaseException], None]


def connect_ports(
    engine: Engine, ports: PortSpace, lock: threading.RLock, fail: Fail, code: MachineCode | None
) -> None:
    """Answer IN and OUT from `ports`; with `code` what data ports have lent goes without Python."""
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

    if code is None:
        engine.hook(uc.HOOK_INSN, uc.PortRead(port_read), instruction=uc.INSN_IN)
        engine.hook(uc.HOOK_INSN, uc.PortWrite(port_write), instruction=uc.INSN_OUT)
        return

    data_ports = ports.data_ports

    def data_read(_engine: int, port: int, size: int, _user: int) -> int:
        try:
            with lock:
                value = space_read(port, size)
                data_ports[port].open()
                return value
        except BaseException as error:
            fail(error)
            return all_ones(size)

    def data_write(_engine: int, port: int, size: int, value: int, _user: int) -> None:
        try:
            with lock:
                space_write(port, size, value)
                data_ports[port].open()
        except BaseException as error:
            fail(error)

    reads = uc.PortRead(port_read), uc.PortRead(data_read)
    writes = uc.PortWrite(port_write), uc.PortWrite(data_write)
    engine.keep((reads, writes, ports.windows))
    shared = code.shared
    shared.windows = ctypes.addressof(ports.windows)
    shared.port_read, shared.data_read = map(uc.address_of, reads)
    shared.port_write, shared.data_write = map(uc.address_of, writes)
    engine.hook(uc.HOOK_INSN, code.entry("port_in"), instruction=uc.INSN_IN)
    engine.hook(uc.HOOK_INSN, code.entry("port_out"), instruction=uc.INSN_OUT)


def connect_memory(
    engine: Engine, memory: MemorySpace, apic: LocalController | None, lock: threading.RLock, fail: Fail
) -> None:
    """Answer accesses to all that is not RAM: to the local APIC's page from `apic`, to the rest from `memory`."""
    if apic is not None:
        _connect_apic(engine, apic, lock, fail)
    for start, size in cpu.holes(memory):
        end = start + size
        if apic is not None and start <= LOCAL_APIC < end:
            if start < LOCAL_APIC:
                _map_hole(engine, memory, lock, fail, start, LOCAL_APIC - start)
            start = LOCAL_APIC + PAGE_SIZE
        if start < end:
            _map_hole(engine, memory, lock, fail, start, end - start)


def _connect_apic(engine: Engine, apic: LocalController, lock: threading.RLock, fail: Fail) -> None:
    """A page of its own, because a guest accesses it for each interrupt."""
    apic_read, apic_write = apic.read, apic.write

    def read(_engine: int, offset: int, size: int, _user: int) -> int:
        try:
            with lock:
                return apic_read(offset, size)
        except BaseException as error:
            fail(error)
            return all_ones(size)

    def write(_engine: int, offset: int, size: int, value: int, _user: int) -> None:
        try:
            with lock:
                apic_write(offset, size, value)
        except BaseException as error:
            fail(error)

    engine.map_mmio(LOCAL_APIC, PAGE_SIZE, uc.MmioRead(read), uc.MmioWrite(write))


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
