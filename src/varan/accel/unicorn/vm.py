"""A machine on the embedded engine: its RAM, and the engines made for its vCPUs."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

from varan.accel.base import Topology, Vm
from varan.accel.cpuid import Choice
from varan.accel.unicorn import apicbase, clockleaves, features, interposed, iobus, layout, models, syscall
from varan.accel.unicorn import library as uc
from varan.accel.unicorn.codemarks import CodeMarks
from varan.accel.unicorn.counter import Counter
from varan.accel.unicorn.cpu import Engine
from varan.accel.unicorn.delivery import Delivery, TripleFault
from varan.accel.unicorn.interrupts import Turn
from varan.accel.unicorn.library import Library
from varan.accel.unicorn.machinecode import MachineCode
from varan.accel.unicorn.signals import NativeSignals, PortableSignals, Signals
from varan.accel.unicorn.vcpu import UnicornVcpu
from varan.core.irq import PRIORITIZED
from varan.core.memory import PAGE_SIZE, MemorySpace
from varan.core.ports import PortSpace


@dataclass(frozen=True, slots=True)
class Settings:
    """How engines are made. `buffer_size`: bytes for translated code; `native`: delivery in machine code;
    `tlb_stub`: the machine-code TLB fill, without which NX is hidden from the guest; `topology`: for CPUID."""

    cpu: Choice
    buffer_size: int
    native: bool
    tlb_stub: bool
    topology: Topology


class UnicornVm(Vm):
    """See `Vm`."""

    shares_thread: ClassVar[bool] = True

    def __init__(
        self, library: Library, memory: MemorySpace, ports: PortSpace, lock: threading.RLock, settings: Settings
    ) -> None:
        self._library = library
        self._memory = memory
        self._ports = ports
        self._lock = lock
        self._settings = settings
        self._vcpus: list[UnicornVcpu] = []
        self._turn = Turn()
        self._counter = Counter(lambda: library.timestamp(None))
        self._hertz: int | None = None
        """How fast the time-stamp counter runs; what the guest has been told once does not change."""
        self._marks: CodeMarks | None = None
        self._ram_addresses: list[tuple[int, int, int]] = []
        """(first physical address, one past the last, ram address of the first), the same in every engine."""
        memory.on_ram_written(self._ram_written)

    def create_vcpu(self, index: int) -> UnicornVcpu:
        vcpu = UnicornVcpu(index, self._lock, self._make_engine, self._memory.read, self._turn, self._counter)
        self._vcpus.append(vcpu)
        if len(self._vcpus) > 1:
            for each in self._vcpus:
                each.after_run = self._ran
        return vcpu

    def apic_hertz(self) -> int:
        return clockleaves.crystal_hertz(self._counter_hertz())

    def _counter_hertz(self) -> int:
        if self._hertz is None:
            self._hertz = self._library.frequency.hertz()
        return self._hertz

    def close(self) -> None:
        self._vcpus.clear()

    def _make_engine(self, vcpu: UnicornVcpu) -> tuple[Engine, Signals]:
        settings = self._settings
        engine = Engine(
            self._library, models.number(settings.cpu.model), settings.buffer_size, hide_nx=not settings.tlb_stub
        )
        try:
            features.choose(engine, settings.cpu, quiet=vcpu.index > 0)
            code = MachineCode(self._library) if settings.native or settings.tlb_stub else None
            signals: Signals
            if code is not None and settings.native:
                signals = _native_delivery(engine, code)
            else:
                signals = _python_delivery(engine, vcpu, self._memory)
            if code is not None:
                engine.keep(code)
            engine.set_topology(settings.topology, vcpu.index)
            clockleaves.connect(engine, self._counter_hertz, code)
            iobus.connect_ports(engine, self._ports, self._lock, vcpu.fail, code)
            self._map_memory(engine, vcpu)
            if code is not None:
                self._connect_code(engine, vcpu, code)
        except BaseException:
            engine.close()
            raise
        return engine, signals

    def _connect_code(self, engine: Engine, vcpu: UnicornVcpu, code: MachineCode) -> None:
        interposed.install(self._library)
        engine.share(code.shared_address)
        apicbase.connect(engine, vcpu.apic, code, self._lock, vcpu.fail)
        if self._settings.tlb_stub:
            if self._marks is None:
                self._marks = CodeMarks(self._ram_addresses)
            vcpu.marks = self._marks
            self._marks.attach(vcpu.index, engine, code)

    def _ran(self, vcpu: UnicornVcpu) -> None:
        """Have the other vCPUs drop translations of code that this one may have changed."""
        others = [other for other in self._vcpus if other is not vcpu and other.has_engine]
        if not others:
            return
        marks = self._marks
        if marks is None:
            for other in others:
                other.drop_all_code()
        elif marks.board.count:
            pages = marks.stores()
            for other in others:
                if pages is None:
                    other.drop_all_code()
                else:
                    self._drop_pages(other, [page for page in pages if marks.holds_code(other.index, page)])

    def _drop_pages(self, vcpu: UnicornVcpu, pages: list[int]) -> None:
        for page in pages:
            for start, end, ram_address in self._ram_addresses:
                if start <= page < end:
                    vcpu.code_written(page - start + ram_address, PAGE_SIZE)

    def _map_memory(self, engine: Engine, vcpu: UnicornVcpu) -> None:
        self._ram_addresses = [
            (region.start, region.end, engine.map_ram(region)) for region in self._memory if region.ram is not None
        ]
        iobus.connect_memory(engine, self._memory, vcpu.apic, self._lock, vcpu.fail)

    def _ram_written(self, address: int, length: int) -> None:
        for start, end, ram_address in self._ram_addresses:
            first, last = max(start, address), min(end, address + length)
            if first < last:
                for vcpu in self._vcpus:
                    # Nearly all that devices write is data, and a vCPU that runs would have to stop for it.
                    if vcpu.marks is None or vcpu.marks.any(first, last):
                        vcpu.code_written(first - start + ram_address, last - first)


def _native_delivery(engine: Engine, code: MachineCode) -> Signals:
    # SYSCALL's hook is the first instruction hook: the library may skip later ones while it stops.
    engine.hook(uc.HOOK_INSN, code.entry("syscall"), engine.pointer, uc.INSN_SYSCALL)
    engine.hook(uc.HOOK_INSN, code.entry("sysenter"), engine.pointer, uc.INSN_SYSENTER)
    engine.hook(uc.HOOK_INTR, code.entry("exception"), engine.pointer)
    engine.handle_invalid_opcodes()
    engine.replace_method(layout.CLASS_EXEC_INTERRUPT, code.entry("exec_interrupt"))
    return NativeSignals(engine, code)


def _python_delivery(engine: Engine, vcpu: UnicornVcpu, memory: MemorySpace) -> Signals:
    signals = PortableSignals(engine)
    delivery = Delivery(engine, memory)

    def guarded(work: Callable[[], None]) -> None:
        try:
            work()
        except TripleFault:
            vcpu.shut_down()
        except BaseException as error:
            vcpu.fail(error)

    def exception(_engine: int, number: int, _user: int) -> None:
        guarded(lambda: delivery.exception(number))

    def ask(_cpu: int, _request: int) -> bool:
        taken = False

        def look() -> None:
            nonlocal taken
            taken = _take(engine, signals, delivery)

        guarded(look)
        return taken

    engine.hook(
        uc.HOOK_INSN, uc.Instruction(lambda _e, _u: guarded(lambda: syscall.syscall(engine))), 0, uc.INSN_SYSCALL
    )
    engine.hook(
        uc.HOOK_INSN, uc.Instruction(lambda _e, _u: guarded(lambda: syscall.sysenter(engine))), 0, uc.INSN_SYSENTER
    )
    engine.hook(uc.HOOK_INTR, uc.Interrupt(exception))
    engine.handle_invalid_opcodes()
    callback = uc.ExecInterrupt(ask)
    engine.keep(callback)
    engine.replace_method(layout.CLASS_EXEC_INTERRUPT, ctypes.cast(callback, ctypes.c_void_p).value or 0)
    return signals


def _would_take(offer: int, env: layout.Env) -> bool:
    if not offer or not env.eflags & 0x200:
        return False
    return not offer & PRIORITIZED or offer >> 4 & 15 > env.task_priority


def _take(engine: Engine, signals: PortableSignals, delivery: Delivery) -> bool:
    """The CPU loop asks between two blocks: stop, or deliver what waits. Whether something was delivered."""
    if engine.cpu.exception_index >= 0:
        # A fault that SYSCALL or SYSENTER raised comes first; the CPU loop asks again after it.
        return False
    # Cleared before anything is looked at: what another thread sets from here on rings again.
    engine.cpu.interrupt_request = 0
    if signals.stop:
        signals.stop = 0
        signals.stopped = 1
        engine.stop_now()
        # The next run looks for what waits as its first act.
        engine.cpu.interrupt_request = layout.ALWAYS_ASK
        return False
    env = engine.env
    delivered = False
    if not env.hflags & layout.HFLAG_INHIBIT_IRQ:
        if signals.nmi and not env.hflags2 & layout.HFLAG2_NMI:
            signals.nmi = 0
            env.hflags2 |= layout.HFLAG2_NMI
            delivery.interrupt(2)
            delivered = True
        elif _would_take(signals.offer, env):
            offer = signals.exchange_offer(0)
            if offer:
                delivery.interrupt(offer & 0xFF)
                delivered = True
    if signals.nmi or signals.offer:
        engine.cpu.interrupt_request = layout.ALWAYS_ASK
    return delivered
