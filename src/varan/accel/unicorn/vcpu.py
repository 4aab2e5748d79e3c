"""A vCPU on the embedded engine."""

from __future__ import annotations

import copy
import logging
import threading
from collections.abc import Callable

from varan.accel import paging
from varan.accel.base import HALTED, KICKED, SHUTDOWN, Exit, ExitReason, Vcpu
from varan.accel.state import Activity, CpuState
from varan.accel.unicorn import features, layout, state
from varan.accel.unicorn.codemarks import CodeMarks
from varan.accel.unicorn.counter import Counter
from varan.accel.unicorn.cpu import Engine
from varan.accel.unicorn.interrupts import InterruptPin, Turn
from varan.accel.unicorn.machinecode import Shared
from varan.accel.unicorn.signals import Signals
from varan.core.irq import InterruptController, LocalController

log = logging.getLogger("varan.accel.unicorn")

EngineMaker = Callable[["UnicornVcpu"], tuple[Engine, Signals]]
"""Makes a vCPU's engine, everything hooked up."""

APPLICATION_BASE = 0xFEE0_0800
"""IA32_APIC_BASE of a CPU that is not the first."""
_IF = 1 << 9
_MANY = 1024


class UnicornVcpu(Vcpu):
    """See `Vcpu`. Its engine is made when it first has something to do, which a vCPU that waits for SIPI never has."""

    def __init__(
        self,
        index: int,
        lock: threading.RLock,
        make_engine: EngineMaker,
        read: paging.PhysicalRead,
        turn: Turn,
        counter: Counter,
    ) -> None:
        self.index = index
        self.apic: LocalController | None = None
        self._turn = turn
        self._counter = counter
        self._lock = lock
        self._make_engine = make_engine
        self._read = read
        self.pin = self._pin = InterruptPin(self._woken, turn)
        self._engine: Engine | None = None
        self._signals: Signals
        self.marks: CodeMarks | None = None
        """The table of pages with code, where the engine keeps one."""
        self.after_run: Callable[[UnicornVcpu], None] | None = None
        """Called after guest code has run, where other vCPUs have translations of their own."""
        self._generation = 0
        self._kicked = False
        self._failure: BaseException | None = None
        self._shut_down = False
        self._stale_code: list[tuple[int, int]] = []
        self._parked: CpuState | None = _parked_state() if index else None

    @property
    def engine(self) -> Engine:
        """The engine, made now if there is none yet."""
        engine = self._engine
        if engine is None:
            engine, self._signals = self._make_engine(self)
            self._pin.attach(self._signals, engine.env)
            self._engine = engine
            self._counter.join(self.index, engine)
        return engine

    def run(self) -> Exit:
        self._obey()
        if self._parked is not None:
            self._kicked = False
            return HALTED
        engine = self.engine
        signals = self._signals
        if self._kicked:
            self._kicked = False
            signals.stop = 0
            return KICKED
        pin = self._pin
        with self._lock:
            pin.owner = threading.get_ident()
            pin.running = True
            pin.refresh()
            if self._stale_code:
                self._drop_stale_code(engine)
        if engine.cpu.halted and not self._would_wake():
            pin.running = False
            return HALTED
        if self.marks is not None:
            self._look_at_marks(engine, self.marks)
        signals.stopped = 0
        signals.pause_stops = self.gives_way
        self._turn.running = True
        code = engine.start()
        self._turn.running = pin.running = False
        if self.after_run is not None:
            self.after_run(self)
        return self._judge(engine, code)

    def _obey(self) -> None:
        """Do what INIT and SIPI want."""
        if self._pin.signalled.pending:
            with self._lock:
                self._pin.signalled.obey(self)

    def _look_at_marks(self, engine: Engine, marks: CodeMarks) -> None:
        marks.tend()
        generation = marks.board.generation
        if generation != self._generation:
            self._generation = generation
            engine.library.flush_tlb(engine.pointer)

    def _judge(self, engine: Engine, code: int) -> Exit:
        if self._failure is not None:
            failure, self._failure = self._failure, None
            raise failure
        if self._shut_down:
            self._shut_down = False
            return SHUTDOWN
        if code:
            return Exit(ExitReason.INTERNAL_ERROR, f"unicorn at {self.pc:#x}: {engine.explain(code)}")
        if engine.cpu.halted:
            return HALTED
        if self._signals.stopped:
            self._kicked = False
            return KICKED
        return SHUTDOWN

    def kick(self) -> None:
        # The flag first: `run` looks at it after it has made the engine, so one of the two is always seen.
        self._kicked = True
        if self._engine is not None:
            self._signals.stop = 1
            self._signals.ring()

    def _woken(self) -> None:
        if self._pin.running:
            self.kick()
            self.wake()
        elif self.halted or self._pin.owner != threading.get_ident():
            # Otherwise it has its turn soon, whatever happens.
            self.wake()

    def fail(self, error: BaseException) -> None:
        """Stop the run that goes on; `run` raises `error`."""
        if self._failure is None:
            self._failure = error
        else:
            log.error("a second failure in one run: %s", error)
        self.kick()

    def shut_down(self) -> None:
        """Stop the run that goes on; `run` returns SHUTDOWN."""
        self._shut_down = True
        self.kick()

    def connect(self, controller: InterruptController, apic: LocalController | None = None) -> None:
        assert self._engine is None, "its memory map depends on the local APIC"
        with self._lock:
            self._pin.connect(controller)
        self.apic = apic

    def has_work(self) -> bool:
        if self._pin.signalled.pending:
            return True
        if self._parked is not None:
            return False
        engine = self._engine
        if engine is None or not engine.cpu.halted:
            return True
        with self._lock:
            self._pin.owner = threading.get_ident()
            self._pin.refresh()
        return self._would_wake()

    def _would_wake(self) -> bool:
        env = self.engine.env
        if self._signals.nmi and not env.hflags2 & layout.HFLAG2_NMI:
            return True
        return bool(self._signals.offer and env.eflags & _IF) and self._pin.takes_offer()

    def inject_nmi(self) -> None:
        self._pin.nmi()

    def reset(self) -> None:
        self._counter.reset(self.index)
        self._forget_events()
        self._pin.signalled.forget()
        if self.index:
            self._park(_parked_state())
        elif self._engine is not None:
            self._engine.reset()
            self._show_apic_base()
            self._counter.join(self.index, self._engine)
            self._engine.library.flush_tlb(self._engine.pointer)

    def _park(self, parked: CpuState) -> None:
        self._parked = parked
        self.close()

    def _forget_events(self) -> None:
        with self._lock:
            self._pin.withdraw()
            self._pin.forget_nmi()
        self._shut_down = False
        self._failure = None

    def get_state(self) -> CpuState:
        self._obey()
        if self._parked is not None:
            saved = _copy(self._parked)
            saved.msrs[state.TSC] = self._counter.value(self.index)
            self._save_apic(saved)
            return saved
        engine = self.engine
        with self._lock:
            vector = self._pin.withdraw()
            self._pin.restore(vector)
        saved = state.save(engine)
        saved.msrs[state.TSC] = self._counter.value(self.index)
        saved.events.interrupt = vector
        saved.events.nmi_pending = bool(self._signals.nmi)
        self._save_apic(saved)
        return saved

    def _save_apic(self, saved: CpuState) -> None:
        if self.apic is not None:
            with self._lock:
                saved.apic_base, saved.lapic = self.apic.base, self.apic.registers()

    def _load_apic(self, loaded: CpuState) -> None:
        apic = self.apic
        if apic is not None:
            with self._lock:
                if loaded.apic_base != apic.base:
                    apic.set_base(loaded.apic_base)
                if loaded.lapic:
                    apic.set_registers(loaded.lapic)
            self._show_apic_base()

    def _show_apic_base(self) -> None:
        if self.apic is not None and self._engine is not None and self._engine.shared:
            Shared.from_address(self._engine.shared).apic_base = self.apic.base

    def set_state(self, state_: CpuState) -> None:
        if state.TSC in state_.msrs:
            self._counter.set(self.index, state_.msrs[state.TSC])
        self._load_apic(state_)
        self._forget_events()
        if state_.activity is Activity.WAIT_FOR_SIPI:
            self._park(_copy(state_))
            return
        self._parked = None
        engine = self.engine
        state.load(engine, state_)
        self._counter.join(self.index, engine)
        self._signals.nmi = int(state_.events.nmi_pending)
        with self._lock:
            self._pin.restore(state_.events.interrupt)

    def stop_counter(self) -> None:
        self._counter.stop()

    def start_counter(self) -> None:
        self._counter.start()

    def cpuid(self, leaf: int, subleaf: int) -> tuple[int, int, int, int]:
        return features.ask(self.engine, leaf, subleaf)

    def translate(self, virtual: int) -> int | None:
        if self._parked is not None:
            return virtual & 0xFFFF_FFFF
        env = self.engine.env
        controls = paging.Controls(env.cr[0], env.cr[3], env.cr[4], env.efer)
        return paging.translate(self._read, controls, virtual)

    @property
    def halted(self) -> bool:
        if self._parked is not None:
            return True
        return self._engine is not None and bool(self._engine.cpu.halted)

    @property
    def pc(self) -> int:
        if self._parked is not None:
            return self._parked.cs.base + self._parked.rip
        if self._engine is None:
            return 0xFFFF_FFF0
        env = self._engine.env
        return int(env.segs[layout.CS].base + env.eip) & (1 << 64) - 1

    def code_written(self, start: int, length: int) -> None:
        """Bytes from ram address `start` were changed by somebody else: translations of them are no longer right."""
        engine = self._engine
        if engine is None:
            return
        pin = self._pin
        if pin.running and pin.owner == threading.get_ident():
            engine.library.invalidate_code(engine.handle, start, start + length)
            return
        if len(self._stale_code) >= _MANY:
            starts, ends = zip(*self._stale_code, strict=True)
            self._stale_code[:] = [(min(start, *starts), max(start + length, *ends))]
        else:
            self._stale_code.append((start, start + length))
        if pin.running:
            self.kick()

    def _drop_stale_code(self, engine: Engine) -> None:
        stale, self._stale_code = self._stale_code, []
        for start, end in stale:
            engine.library.invalidate_code(engine.handle, start, end)

    def drop_all_code(self) -> None:
        """Other vCPUs may have changed any code: no translation is right any more. Its own thread, not running."""
        engine = self._engine
        if engine is not None:
            engine.library.flush_code(engine.pointer)

    @property
    def has_engine(self) -> bool:
        """Whether it may have translations of code."""
        return self._engine is not None

    def close(self) -> None:
        if self._engine is not None:
            engine, self._engine = self._engine, None
            if self.marks is not None:
                self.marks.detach(self.index)
                self.marks = None
            self._counter.leave(self.index)
            self._pin.detach()
            engine.close()


def _parked_state() -> CpuState:
    return CpuState(activity=Activity.WAIT_FOR_SIPI, apic_base=APPLICATION_BASE)


def _copy(original: CpuState) -> CpuState:
    return copy.deepcopy(original)
