"""The 16550A UART's registers.

Transmission is instant: a byte written to THR has left before the next access, unless the host end takes no more
(`set_blocked`), which a guest sees as a transmitter that stays busy. Reception is what the host hands to `receive`.

A Linux boot makes hundreds of thousands of accesses here, nearly all of them LSR reads and THR writes: `lsr` is
kept ready to be read, and the transmit path with interrupts off is a handful of operations. Register and bit names
follow the PC16550D data sheet.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from varan.core.clock import NANOSECONDS, Clock, TimerQueue
from varan.core.irq import IrqLine, unconnected
from varan.core.state import Device, State
from varan.devices.fields import Byte, Word

RBR_THR, IER, IIR_FCR, LCR, MCR, LSR, MSR, SCR = range(8)
FIFO_SIZE = 16
BAUD_BASE = 115_200
"""Bits a second with a divisor of 1: a sixteenth of the crystal's 1.8432 MHz."""

IER_ERBFI = 0x01
IER_ETBEI = 0x02
IER_ELSI = 0x04
IER_EDSSI = 0x08
IIR_NONE = 0x01
IIR_MSR = 0x00
IIR_THRE = 0x02
IIR_RDA = 0x04
IIR_RLS = 0x06
IIR_TIMEOUT = 0x0C
IIR_FIFOS = 0xC0
FCR_ENABLE = 0x01
FCR_CLEAR_RX = 0x02
FCR_CLEAR_TX = 0x04
TRIGGER_LEVELS = (1, 4, 8, 14)
LCR_BREAK = 0x40
LCR_DLAB = 0x80
MCR_DTR = 0x01
MCR_RTS = 0x02
MCR_OUT1 = 0x04
MCR_OUT2 = 0x08
MCR_LOOP = 0x10
LSR_DR = 0x01
LSR_OE = 0x02
LSR_PE = 0x04
LSR_FE = 0x08
LSR_BI = 0x10
LSR_THRE = 0x20
LSR_TEMT = 0x40
LSR_FIFO_ERROR = 0x80
LSR_CHARACTER = LSR_PE | LSR_FE | LSR_BI
"""Bits that belong to the character at the head of the FIFO."""
LSR_ERRORS = LSR_OE | LSR_CHARACTER
LSR_READ_CLEARS = LSR_ERRORS | LSR_FIFO_ERROR
MSR_DELTAS = 0x0F
MSR_TERI = 0x04
MSR_CTS = 0x10
MSR_DSR = 0x20
MSR_RI = 0x40
MSR_DCD = 0x80


class UartState(State, kw_only=True):
    """Registers and both FIFOs."""

    ier: Byte = 0
    fcr: Byte = 0
    lcr: Byte = 0
    mcr: Byte = 0
    lsr: Byte = LSR_THRE | LSR_TEMT
    msr: Byte = MSR_CTS | MSR_DSR | MSR_DCD
    modem: Byte = MSR_CTS | MSR_DSR | MSR_DCD
    """Levels at the modem inputs, as MSR's high half."""
    scr: Byte = 0
    divisor: Word = 12
    rx: Annotated[list[Word], Meta(max_length=FIFO_SIZE)] = msgspec.field(default_factory=list)
    """Characters received; a character's LSR bits are shifted left by 8."""
    tx: Annotated[list[Byte], Meta(max_length=FIFO_SIZE)] = msgspec.field(default_factory=list)
    """Characters that wait for a host end that takes no more."""
    thre_pending: bool = False
    """The THRE interrupt has happened and has not been seen."""
    timeout_pending: bool = False
    """Four character times have passed with characters below the trigger level."""
    timeout_at: int | None = None
    """When that will be the case (nanoseconds of the virtual clock)."""


class Uart16550(Device[UartState]):
    """One UART. Callers hold the machine lock."""

    state_type = UartState

    def __init__(
        self,
        clock: Clock,
        timers: TimerQueue,
        output: Callable[[int], object],
        irq: IrqLine = unconnected,
        pulse: Callable[[], None] | None = None,
        baud_base: int = BAUD_BASE,
    ) -> None:
        """`output` takes each transmitted byte. `pulse` drops and raises a high `irq` in one call.

        `baud_base`: bits a second with a divisor of 1.
        """
        super().__init__()
        self._baud_base = baud_base
        self._clock = clock
        self._timer = timers.timer(clock, self._timeout, "uart16550")
        self._output = output
        self._irq = irq
        self._pulse = pulse or self._pulse_line
        self._level = 0
        self._blocked = False
        self.on_drained: Callable[[], None] = _ignore
        """Called when the guest has read the last received character."""
        self.on_break: Callable[[bool], None] = _ignore_break
        """Called when the guest starts (True) or ends (False) a break."""

    @property
    def room(self) -> int:
        """How many characters `receive` would take now."""
        state = self.state
        if state.mcr & MCR_LOOP:
            return 0
        return (FIFO_SIZE if state.fcr & FCR_ENABLE else 1) - len(state.rx)

    def receive(self, data: bytes | bytearray | memoryview) -> int:
        """Characters from the line; returns how many were taken."""
        taken = min(self.room, len(data))
        if taken > 0:
            self.state.rx.extend(data[:taken])
            self._received()
        return max(taken, 0)

    def receive_break(self) -> None:
        """A break from the line: one zero character with BI set."""
        self._push(LSR_BI << 8)

    def set_modem(self, levels: int) -> None:
        """Drive the modem inputs (MSR_CTS, MSR_DSR, MSR_RI, MSR_DCD)."""
        self.state.modem = levels & ~MSR_DELTAS
        self._update_modem()

    def set_blocked(self, blocked: bool) -> None:
        """Whether the host end takes no more; unblocking sends what has waited."""
        self._blocked = blocked
        state = self.state
        if blocked or state.lsr & LSR_TEMT:
            return
        waiting, state.tx = state.tx, []
        for value in waiting:
            self._output(value)
        state.lsr |= LSR_THRE | LSR_TEMT
        state.thre_pending = True
        self._update()

    def read(self, offset: int, size: int) -> int:
        state = self.state
        if offset == LSR:
            lsr = state.lsr
            if lsr & LSR_READ_CLEARS:
                self._clear_errors()
            return lsr
        if offset == RBR_THR:
            return state.divisor & 0xFF if state.lcr & LCR_DLAB else self._read_rbr()
        if offset == IIR_FCR:
            return self._read_iir()
        if offset == IER:
            return state.divisor >> 8 if state.lcr & LCR_DLAB else state.ier
        if offset == MSR:
            msr = state.msr
            if msr & MSR_DELTAS:
                state.msr = msr & ~MSR_DELTAS
                self._update()
            return msr
        if offset == LCR:
            return state.lcr
        return state.mcr if offset == MCR else state.scr

    def write(self, offset: int, size: int, value: int) -> None:
        state = self.state
        if offset == RBR_THR:
            if state.lcr & LCR_DLAB:
                state.divisor = state.divisor & 0xFF00 | value
            elif self._blocked or state.mcr & MCR_LOOP:
                self._transmit_slowly(value)
            else:
                self._output(value)
                if state.ier & IER_ETBEI:
                    self._transmitted()
        elif offset == IER:
            if state.lcr & LCR_DLAB:
                state.divisor = state.divisor & 0xFF | value << 8
            else:
                self._write_ier(value)
        elif offset == IIR_FCR:
            self._write_fcr(value)
        elif offset == LCR:
            if (value ^ state.lcr) & LCR_BREAK:
                self.on_break(bool(value & LCR_BREAK))
            state.lcr = value
        elif offset == MCR:
            loop_ended = state.mcr & ~value & MCR_LOOP
            state.mcr = value & 0x1F
            self._update_modem()
            if loop_ended and not state.rx:
                self.on_drained()
        elif offset == SCR:
            state.scr = value

    def restored(self) -> None:
        self._update()
        self._irq(self._level)
        if self.state.timeout_at is None:
            self._timer.cancel()
        else:
            self._timer.arm(self.state.timeout_at)
        if not self.state.rx:
            self.on_drained()

    def _transmitted(self) -> None:
        """THR has emptied again: a new THRE interrupt."""
        if self.state.thre_pending and self._level:
            self._pulse()
            return
        self.state.thre_pending = True
        self._update()

    def _transmit_slowly(self, value: int) -> None:
        state = self.state
        if state.mcr & MCR_LOOP:
            state.thre_pending = True
            self._push(value)
            return
        state.thre_pending = False
        state.lsr &= ~(LSR_THRE | LSR_TEMT)
        if not state.fcr & FCR_ENABLE:
            state.tx = [value]
        elif len(state.tx) < FIFO_SIZE:
            state.tx.append(value)
        self._update()

    def _read_rbr(self) -> int:
        state = self.state
        rx = state.rx
        if not rx:
            return 0
        value = rx.pop(0) & 0xFF
        state.timeout_pending = False
        if not rx:
            state.lsr &= ~LSR_DR
        elif rx[0] > 0xFF:
            state.lsr |= rx[0] >> 8
        self._update()
        self._restart_timeout()
        if not rx:
            self.on_drained()
        return value

    def _read_iir(self) -> int:
        iir = self._interrupt()
        if iir == IIR_THRE:
            self.state.thre_pending = False
            self._update()
        return iir | IIR_FIFOS if self.state.fcr & FCR_ENABLE else iir

    def _interrupt(self) -> int:
        """The interrupt of highest priority (data sheet, table IV)."""
        state = self.state
        ier = state.ier
        if ier & IER_ELSI and state.lsr & LSR_ERRORS:
            return IIR_RLS
        if ier & IER_ERBFI and state.rx:
            if len(state.rx) >= self._trigger():
                return IIR_RDA
            if state.timeout_pending:
                return IIR_TIMEOUT
        if ier & IER_ETBEI and state.thre_pending:
            return IIR_THRE
        if ier & IER_EDSSI and state.msr & MSR_DELTAS:
            return IIR_MSR
        return IIR_NONE

    def _trigger(self) -> int:
        fcr = self.state.fcr
        return TRIGGER_LEVELS[fcr >> 6] if fcr & FCR_ENABLE else 1

    def _update(self) -> None:
        """Drive the interrupt line; on a PC, OUT2 connects it."""
        level = 1 if self.state.mcr & MCR_OUT2 and self._interrupt() != IIR_NONE else 0
        if level != self._level:
            self._level = level
            self._irq(level)

    def _pulse_line(self) -> None:
        self._irq(0)
        self._irq(1)

    def _write_ier(self, value: int) -> None:
        state = self.state
        value &= 0x0F
        enabled = value & ~state.ier
        state.ier = value
        if enabled & IER_ETBEI:
            state.thre_pending = bool(state.lsr & LSR_THRE)
        self._update()
        if enabled & IER_ERBFI:
            self._restart_timeout()

    def _write_fcr(self, value: int) -> None:
        state = self.state
        toggled = (value ^ state.fcr) & FCR_ENABLE
        if toggled or (value & FCR_ENABLE and value & FCR_CLEAR_RX):
            state.rx.clear()
            state.timeout_pending = False
            state.lsr &= ~(LSR_DR | LSR_FIFO_ERROR | LSR_CHARACTER)
        if (toggled or (value & FCR_ENABLE and value & FCR_CLEAR_TX)) and state.tx:
            state.tx.clear()
            state.lsr |= LSR_THRE | LSR_TEMT
            state.thre_pending = True
        # Without FCR0 the other bits are not programmed (data sheet, FIFO control register).
        state.fcr = value & (0xC0 | FCR_ENABLE) if value & FCR_ENABLE else 0
        self._update()
        self._restart_timeout()
        if not state.rx:
            self.on_drained()

    def _clear_errors(self) -> None:
        state = self.state
        state.lsr &= ~LSR_ERRORS
        if state.rx:
            state.rx[0] &= 0xFF
        if not any(character > 0xFF for character in state.rx):
            state.lsr &= ~LSR_FIFO_ERROR
        self._update()

    def _push(self, character: int) -> None:
        """One character into the receiver, overrunning it if need be."""
        state = self.state
        if not state.fcr & FCR_ENABLE:
            if state.rx:
                state.lsr |= LSR_OE
            state.rx = [character]
        elif len(state.rx) < FIFO_SIZE:
            state.rx.append(character)
            if character > 0xFF:
                state.lsr |= LSR_FIFO_ERROR
        else:
            state.lsr |= LSR_OE
        self._received()

    def _received(self) -> None:
        state = self.state
        state.lsr |= LSR_DR | (state.rx[0] >> 8)
        state.timeout_pending = False
        self._update()
        self._restart_timeout()

    def _restart_timeout(self) -> None:
        """The character timeout runs while characters wait below the trigger level."""
        state = self.state
        if state.ier & IER_ERBFI and state.rx and not state.timeout_pending and len(state.rx) < self._trigger():
            state.timeout_at = self._clock.now() + 4 * self.character_time()
            self._timer.arm(state.timeout_at)
        elif state.timeout_at is not None:
            state.timeout_at = None
            self._timer.cancel()

    def character_time(self) -> int:
        """Nanoseconds that one character (ten bits) takes at the programmed speed."""
        return 10 * (self.state.divisor or 0x10000) * NANOSECONDS // self._baud_base

    def _timeout(self) -> None:
        self.state.timeout_at = None
        self.state.timeout_pending = True
        self._update()

    def _update_modem(self) -> None:
        state = self.state
        levels = state.modem
        if state.mcr & MCR_LOOP:
            mcr = state.mcr
            levels = (
                (MSR_CTS if mcr & MCR_RTS else 0)
                | (MSR_DSR if mcr & MCR_DTR else 0)
                | (MSR_RI if mcr & MCR_OUT1 else 0)
                | (MSR_DCD if mcr & MCR_OUT2 else 0)
            )
        changed = (levels ^ state.msr) & 0xF0
        # TERI tells the end of a ring only: RI going from asserted to not.
        deltas = changed >> 4 & ~MSR_TERI | (MSR_TERI if changed & state.msr & MSR_RI else 0)
        state.msr = levels | state.msr & MSR_DELTAS | deltas
        self._update()


def _ignore() -> None:
    return


def _ignore_break(active: bool) -> None:
    return
