"""The local APIC of one CPU (Intel SDM volume 3, "Advanced Programmable Interrupt Controller (APIC)").

It stands between everything that interrupts and the CPU: messages from other CPUs, the I/O APIC and devices; its own
timer; and the 8259 pair, whose output is its LINT0 input ("virtual wire"). To the accelerator it is the vCPU's
interrupt controller. The answer to `peek` is computed when something changes.

Sets of vectors are kept as one integer each while the machine runs: the highest vector is a `bit_length` away.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from varan.core.clock import Clock, TimerQueue
from varan.core.irq import PRIORITIZED, InterruptController, NoPin, ProcessorPins
from varan.core.ports import all_ones
from varan.core.state import Device
from varan.devices.irq import lapic_state as regs
from varan.devices.irq import messages
from varan.devices.irq.lapic_state import LapicState, from_words, to_words
from varan.devices.irq.lapic_timer import LapicTimer
from varan.devices.irq.messages import Message, MessageBus, Receiver

_SEND_ILLEGAL, _RECEIVE_ILLEGAL, _ILLEGAL_REGISTER = 1 << 5, 1 << 6, 1 << 7
_FIRST_LEGAL_VECTOR = 16
_SELF, _ALL, _OTHERS = 1, 2, 3
_ICR_WRITABLE = 0xCCFFF
_LEVEL, _ASSERT = 1 << 15, 1 << 14


_Reader = Callable[["LocalApic", int], int]
"""(APIC, register's number) to its value."""
_Writer = Callable[["LocalApic", int, int], None]
"""(APIC, register's number, value)."""


class LocalApic(Device[LapicState]):
    """See the module's text. Callers of everything hold the machine lock."""

    state_type = LapicState

    def __init__(
        self, id: int, boot: bool, bus: MessageBus, clock: Clock, timers: TimerQueue, hertz: Callable[[], int]
    ) -> None:
        """`id`: the APIC's number; `boot`: whether its CPU is the one that starts; `hertz`: the timer's rate."""
        super().__init__()
        self.id = id
        self._boot = boot
        self._bus = bus
        self._pin: ProcessorPins = NoPin()
        self._pic: InterruptController | None = None
        self._pic_passes = False
        self._answer: int | None = None
        self._irr = self._isr = self._tmr = 0
        self._timer = LapicTimer(clock, timers, hertz, lambda: self._local(regs.LVT_TIMER))
        bus.receivers.append(self)
        self.reset()

    def connect(self, pins: ProcessorPins) -> None:
        """Wire it to its CPU."""
        self._pin = pins
        pins.changed()

    def connect_pic(self, pic: InterruptController) -> Lint0:
        """Wire LINT0 to the 8259 pair; what is returned is the pair's output pin."""
        self._pic = pic
        self._open_or_close()
        return Lint0(self)

    # State.

    def reset(self) -> None:
        """Power-on state, with the LINT inputs of the boot CPU as firmware leaves them: 8259 and NMI pass."""
        state = LapicState()
        if self._boot:
            state.base |= regs.BASE_BOOT_CPU
            state.lvt[regs.LVT_LINT0] = messages.EXTERNAL << 8
            state.lvt[regs.LVT_LINT1] = messages.NMI << 8
        self.state = state
        self.restored()

    def before_save(self) -> None:
        self._pin.settle()
        state = self.state
        state.tpr = self._task_priority()
        state.irr, state.isr, state.tmr = to_words(self._irr), to_words(self._isr), to_words(self._tmr)

    def restored(self) -> None:
        self._pin.settle()
        state = self.state
        self._irr, self._isr, self._tmr = from_words(state.irr), from_words(state.isr), from_words(state.tmr)
        self._pin.set_task_priority(state.tpr >> 4)
        self._timer.follow(state)
        self._open_or_close()
        self._pin.changed()

    def registers(self) -> bytes:
        self.before_save()
        page = bytearray(regs.PAGE_SIZE)
        for number, reader in enumerate(_READERS):
            if reader is not None:
                struct.pack_into("<I", page, number * 16, reader(self, number))
        return bytes(page)

    def set_registers(self, page: bytes) -> None:
        if len(page) != regs.PAGE_SIZE:
            raise ValueError(f"a local APIC has {regs.PAGE_SIZE} bytes of registers, not {len(page)}")
        if page == self.registers():
            return
        words = [struct.unpack_from("<I", page, number * 16)[0] for number in range(regs.REGISTERS)]
        state = self.state
        state.tpr, state.ldr, state.dfr = words[regs.TPR] & 0xFF, words[regs.LDR] >> 24, words[regs.DFR] >> 28
        state.svr = words[regs.SVR] & regs.SVR_WRITABLE
        state.isr, state.tmr = words[regs.ISR : regs.ISR + 8], words[regs.TMR : regs.TMR + 8]
        state.irr = words[regs.IRR : regs.IRR + 8]
        state.esr = words[regs.ESR] & 0xFF
        state.icr_low, state.icr_high = words[regs.ICR_LOW], words[regs.ICR_HIGH]
        entries = words[regs.LVT : regs.LVT + 6]
        state.lvt = [entry & mask for entry, mask in zip(entries, regs.LVT_WRITABLE, strict=True)]
        state.initial_count, state.divide = words[regs.INITIAL_COUNT], words[regs.DIVIDE] & 11
        self.restored()
        self._timer.set_current_count(words[regs.CURRENT_COUNT])

    # What the CPU sees.

    @property
    def base(self) -> int:
        return self.state.base

    def set_base(self, value: int) -> None:
        self._pin.settle()
        self.state.base = value & (1 << 52) - 1
        self._open_or_close()

    def peek(self) -> int | None:
        return self._answer

    def acknowledge(self) -> int:
        answer = self._answer
        if answer is None:
            return self.state.svr & 0xFF
        vector = answer & 0xFF
        if answer & PRIORITIZED:
            self._irr &= ~(1 << vector)
            self._isr |= 1 << vector
        else:
            assert self._pic is not None
            vector = self._pic.acknowledge()
        self._answer = self._compute()
        return vector

    def read(self, offset: int, size: int) -> int:
        number, byte = offset >> 4, offset & 15
        reader = _READERS[number] if number < regs.REGISTERS else None
        if not self.state.base & regs.BASE_ENABLED:
            return all_ones(size)
        self._pin.settle()
        if reader is None:
            self._error(_ILLEGAL_REGISTER)
            return 0
        # Software may read parts of a register; what lies behind its first four bytes is undefined.
        return reader(self, number) >> 8 * byte & all_ones(size) if byte + size <= 4 else 0

    def write(self, offset: int, size: int, value: int) -> None:
        state = self.state
        if offset & 15 or size != 4 or not state.base & regs.BASE_ENABLED:
            return
        number = offset >> 4
        writer = _WRITERS[number] if number < regs.REGISTERS else None
        self._pin.settle()
        if writer is None:
            self._error(_ILLEGAL_REGISTER)
        else:
            writer(self, number, value)

    @property
    def timer_divisor(self) -> int:
        """What the timer's rate is divided by."""
        return 1 << self._timer.shift

    # What others see.

    def is_addressed(self, mda: int) -> bool:
        state = self.state
        if mda == messages.BROADCAST:
            return True
        if state.dfr == 15:
            return bool(mda & state.ldr)
        return mda >> 4 == state.ldr >> 4 and bool(mda & state.ldr & 15)

    def takes_interrupts(self) -> bool:
        state = self.state
        return bool(state.base & regs.BASE_ENABLED and state.svr & regs.SVR_ENABLED)

    def priority(self) -> int:
        """The processor priority (SDM, "Task and Processor Priorities")."""
        task = self._task_priority()
        serving = max(self._isr.bit_length() - 1, 0) & 0xF0
        return task if task & 0xF0 >= serving else serving

    def accept(self, vector: int, level: bool) -> None:
        if vector < _FIRST_LEGAL_VECTOR:
            self._error(_RECEIVE_ILLEGAL)
            return
        bit = 1 << vector
        self._pin.settle()
        if level:
            self._tmr |= bit
        elif self._tmr & bit:
            self._tmr ^= bit
        if not self._irr & bit:
            self._irr |= bit
            self._resolve()

    def signal(self, mode: int, vector: int) -> None:
        if mode == messages.NMI:
            self._pin.nmi()
        elif mode == messages.STARTUP:
            self._pin.startup(vector)
        else:
            # INIT leaves the APIC as power-on does (SDM, "Local APIC State After It Receives an INIT-Deassert IPI").
            base = self.state.base
            self.reset()
            self.state.base = base
            self._open_or_close()
            self._pin.init()

    def pulse_lint1(self) -> None:
        """The NMI input. An APIC that is off lets it pass."""
        if self.takes_interrupts():
            self._local(regs.LVT_LINT1)
        else:
            self._pin.nmi()

    def pic_changed(self) -> None:
        """The 8259 pair's output, or the vector behind it, is another one."""
        state = self.state
        before, state.lint0 = state.lint0, self._pic is not None and self._pic.peek() is not None
        if state.lint0 and not before and not self._pic_passes:
            self._local(regs.LVT_LINT0)
        if self._pic_passes:
            self._resolve()

    def settle(self) -> None:
        """See `IntrPin.settle`, for the 8259 pair."""
        self._pin.settle()

    # Inside.

    def _open_or_close(self) -> None:
        """Whether the 8259 pair reaches the CPU: through LINT0, or past an APIC that is off."""
        entry = self.state.lvt[regs.LVT_LINT0]
        passes = not entry & regs.MASKED and entry >> 8 & 7 == messages.EXTERNAL
        self._pic_passes = self._pic is not None and (passes or not self.takes_interrupts())
        self._resolve()

    def _resolve(self) -> None:
        answer = self._compute()
        if answer != self._answer:
            self._answer = answer
            self._pin.changed()

    def _compute(self) -> int | None:
        answer = None
        irr = self._irr
        if irr:
            vector = irr.bit_length() - 1
            if vector >> 4 > (self._isr.bit_length() - 1) >> 4 and self.takes_interrupts():
                answer = vector | PRIORITIZED
        if self._pic_passes and self._pic is not None:
            external = self._pic.peek()
            if external is not None and (answer is None or (answer & 0xF0) <= self._pin.task_priority() << 4):
                return external
        return answer

    def _local(self, entry: int) -> None:
        """A local source asks for what its LVT entry says."""
        value = self.state.lvt[entry]
        if value & regs.MASKED:
            return
        mode = value >> 8 & 7
        if mode == messages.FIXED or entry in (regs.LVT_TIMER, regs.LVT_ERROR):
            self.accept(value & 0xFF, False)
        elif mode == messages.NMI:
            self._pin.nmi()

    def _error(self, error: int) -> None:
        state = self.state
        if not state.errors & error:
            state.errors |= error
            # An error entry with an illegal vector adds its own bit, once.
            self._local(regs.LVT_ERROR)

    def _task_priority(self) -> int:
        """TPR: its class is CR8, the rest is what was last written here."""
        tpr, class_ = self.state.tpr, self._pin.task_priority()
        return tpr if tpr >> 4 == class_ else class_ << 4

    # Registers.

    def _write_tpr(self, _: int, value: int) -> None:
        self.state.tpr = value & 0xFF
        self._pin.set_task_priority(value >> 4 & 15)
        self._resolve()

    def _write_eoi(self, _: int, value: int) -> None:
        isr = self._isr
        if isr:
            vector = isr.bit_length() - 1
            self._isr = isr ^ 1 << vector
            if self._tmr >> vector & 1:
                self._bus.end_of_interrupt(vector)
            self._resolve()

    def _write_ldr(self, _: int, value: int) -> None:
        self.state.ldr = value >> 24

    def _write_dfr(self, _: int, value: int) -> None:
        self.state.dfr = value >> 28

    def _write_svr(self, _: int, value: int) -> None:
        state = self.state
        state.svr = value & regs.SVR_WRITABLE
        if not value & regs.SVR_ENABLED:
            for place, entry in enumerate(state.lvt):
                self._write_lvt(regs.LVT + place, entry)
        self._open_or_close()

    def _write_lvt(self, number: int, value: int) -> None:
        state, place = self.state, number - regs.LVT
        value &= regs.LVT_WRITABLE[place]
        if not state.svr & regs.SVR_ENABLED:
            value |= regs.MASKED
        if place == regs.LVT_TIMER:
            self._timer.set_entry(value)
        else:
            state.lvt[place] = value
            if place == regs.LVT_LINT0:
                self._open_or_close()

    def _write_esr(self, _: int, value: int) -> None:
        self.state.esr, self.state.errors = self.state.errors, 0

    def _write_icr_high(self, _: int, value: int) -> None:
        self.state.icr_high = value & 0xFF00_0000

    def _write_icr_low(self, _: int, value: int) -> None:
        state = self.state
        state.icr_low = value & _ICR_WRITABLE
        vector, mode, shorthand = value & 0xFF, value >> 8 & 7, value >> 18 & 3
        if mode == messages.INIT and value & (_LEVEL | _ASSERT) == _LEVEL:
            # INIT level de-assert: these CPUs have no arbitration to synchronize.
            return
        if mode in (messages.FIXED, messages.LOWEST_PRIORITY) and vector < _FIRST_LEGAL_VECTOR:
            self._error(_SEND_ILLEGAL)
            return
        message = Message(vector, mode, state.icr_high >> 24, bool(value & 1 << 11))
        if not shorthand:
            self._bus.send(message)
            return
        receivers: list[Receiver] = [self]
        if shorthand != _SELF:
            receivers = [other for other in self._bus.receivers if shorthand == _ALL or other is not self]
        self._bus.deliver(receivers, message)


def _vectors(name: str, first: int) -> _Reader:
    return lambda apic, number: getattr(apic, name) >> 32 * (number - first) & 0xFFFF_FFFF


def _readers() -> list[_Reader | None]:
    table: list[_Reader | None] = [None] * regs.REGISTERS
    for first, name in ((regs.ISR, "_isr"), (regs.TMR, "_tmr"), (regs.IRR, "_irr")):
        table[first : first + 8] = [_vectors(name, first)] * 8
    table[regs.LVT : regs.LVT + 6] = [lambda apic, number: apic.state.lvt[number - regs.LVT]] * 6
    table[regs.ID] = lambda apic, _: apic.id << 24
    table[regs.VERSION] = lambda apic, _: regs.VERSION_VALUE
    table[regs.TPR] = lambda apic, _: apic._task_priority()
    table[regs.APR] = table[regs.PPR] = lambda apic, _: apic.priority()
    table[regs.EOI] = table[regs.RRD] = lambda apic, _: 0
    table[regs.LDR] = lambda apic, _: apic.state.ldr << 24
    table[regs.DFR] = lambda apic, _: apic.state.dfr << 28 | 0x0FFF_FFFF
    table[regs.SVR] = lambda apic, _: apic.state.svr
    table[regs.ESR] = lambda apic, _: apic.state.esr
    table[regs.ICR_LOW] = lambda apic, _: apic.state.icr_low
    table[regs.ICR_HIGH] = lambda apic, _: apic.state.icr_high
    table[regs.INITIAL_COUNT] = lambda apic, _: apic.state.initial_count
    table[regs.CURRENT_COUNT] = lambda apic, _: apic._timer.current_count()
    table[regs.DIVIDE] = lambda apic, _: apic.state.divide
    return table


def _writers() -> list[_Writer | None]:
    table: list[_Writer | None] = [None] * regs.REGISTERS
    # The number belongs to the CPU and stays.
    table[regs.ID] = lambda apic, _, value: None
    table[regs.TPR] = LocalApic._write_tpr
    table[regs.EOI] = LocalApic._write_eoi
    table[regs.LDR] = LocalApic._write_ldr
    table[regs.DFR] = LocalApic._write_dfr
    table[regs.SVR] = LocalApic._write_svr
    table[regs.ESR] = LocalApic._write_esr
    table[regs.ICR_LOW] = LocalApic._write_icr_low
    table[regs.ICR_HIGH] = LocalApic._write_icr_high
    table[regs.LVT : regs.LVT + 6] = [LocalApic._write_lvt] * 6
    table[regs.INITIAL_COUNT] = lambda apic, _, value: apic._timer.set_initial_count(value)
    table[regs.DIVIDE] = lambda apic, _, value: apic._timer.set_divide(value)
    return table


_READERS, _WRITERS = _readers(), _writers()


class Lint0:
    """The LINT0 input of a local APIC as the output pin of the 8259 pair."""

    def __init__(self, apic: LocalApic) -> None:
        self._apic = apic

    def settle(self) -> None:
        self._apic.settle()

    def changed(self) -> None:
        self._apic.pic_changed()
