"""The MC146818 real-time clock and its battery-backed CMOS RAM.

The time is not counted: it is an injected clock plus `RtcState.offset`, and a guest that sets the time changes the
offset (kept as seconds and nanoseconds: a clock chip reaches years that 64 bits of nanoseconds do not). While updates
are inhibited (SET, or the divider held in reset) the time registers are plain bytes. Flags are brought up to date from
the time that passed since `RtcState.seen`; a timer is armed only for sources that are enabled and whose flag is still
clear, so a guest that does not read register C costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Annotated, ClassVar

import msgspec
from msgspec import Meta

from varan.core.clock import NANOSECONDS, Clock, TimerQueue
from varan.core.irq import IrqLine
from varan.core.ports import PortSpace
from varan.core.state import Device, State
from varan.devices.fields import Byte
from varan.devices.timer.calendar import SECONDS_IN_DAY, date_from_days, days_from_date, weekday

PORT = 0x70
CELLS = 128
NMI_MASK = 0x80

SECONDS, SECONDS_ALARM = 0x00, 0x01
MINUTES, MINUTES_ALARM = 0x02, 0x03
HOURS, HOURS_ALARM = 0x04, 0x05
WEEKDAY, DAY, MONTH, YEAR = 0x06, 0x07, 0x08, 0x09
REGISTER_A, REGISTER_B, REGISTER_C, REGISTER_D = 0x0A, 0x0B, 0x0C, 0x0D
CENTURY = 0x32
TIME_REGISTERS = frozenset({SECONDS, MINUTES, HOURS, WEEKDAY, DAY, MONTH, YEAR, CENTURY})
ALARM_REGISTERS = frozenset({SECONDS_ALARM, MINUTES_ALARM, HOURS_ALARM})

A_UIP = 0x80
A_DIVIDER_RESET = 0x60
A_RATE = 0x0F
B_SET = 0x80
B_PIE = 0x40
B_AIE = 0x20
B_UIE = 0x10
B_SQWE = 0x08
B_DM = 0x04
B_24H = 0x02
C_IRQF = 0x80
C_PF = 0x40
C_AF = 0x20
C_UF = 0x10
D_VRT = 0x80
HOUR_PM = 0x80
ALARM_ANY = 0xC0
"""An alarm byte with both high bits set matches everything."""

CRYSTAL = 32_768
"""Ticks in a second."""
UIP_NS = 244_000 + 1_984_000
"""Update in progress: set this long before the new second shows (data sheet, t_BUC and t_UC at 32.768 kHz)."""


def _power_on() -> list[int]:
    cells = [0] * CELLS
    cells[REGISTER_A] = 0x26
    cells[REGISTER_B] = B_24H
    cells[REGISTER_D] = D_VRT
    return cells


class RtcState(State, kw_only=True):
    """Registers, RAM and the clock's setting."""

    battery_backed: ClassVar[frozenset[str]] = frozenset({"cells", "seconds", "nanoseconds", "weekday_shift", "seen"})
    """Members that a reset leaves alone."""

    index: Annotated[int, Meta(ge=0, lt=CELLS)] = 0
    nmi_masked: bool = False
    cells: Annotated[list[Byte], Meta(min_length=CELLS, max_length=CELLS)] = msgspec.field(default_factory=_power_on)
    seconds: int = 0
    """With `nanoseconds`: from the injected clock to the time shown, as time since 1970-01-01."""
    nanoseconds: Annotated[int, Meta(ge=0, lt=NANOSECONDS)] = 0
    weekday_shift: int = 0
    """What a guest made the day of the week differ from the date's."""
    seen: int = 0
    """The injected clock's time (nanoseconds) up to which the flags of register C are right."""

    @property
    def offset(self) -> int:
        """Nanoseconds from the injected clock to the time shown."""
        return self.seconds * NANOSECONDS + self.nanoseconds

    @offset.setter
    def offset(self, nanoseconds: int) -> None:
        self.seconds, self.nanoseconds = divmod(nanoseconds, NANOSECONDS)


def period_ticks(rate: int) -> int:
    """Crystal ticks between periodic interrupts at rate selection `rate` (1 to 15)."""
    return 1 << (rate - 1 if rate > 2 else rate + 6)


class Mc146818(Device[RtcState]):
    """The clock chip at ports 70h and 71h. `clock` and `offset` together give nanoseconds since 1970-01-01."""

    state_type = RtcState

    def __init__(
        self, clock: Clock, timers: TimerQueue, irq: IrqLine, offset: int = 0, cells: Mapping[int, int] | None = None
    ) -> None:
        """`cells`: what configuration software left in the RAM, by index."""
        super().__init__()
        self._clock = clock
        self._irq = irq
        self._timer = timers.timer(clock, self._due, "mc146818")
        self.on_alarm: Callable[[], None] = _ignore
        """Called when an alarm that interrupts goes off."""
        self.state.offset = offset
        self.state.seen = clock.now()
        for index, value in (cells or {}).items():
            self.state.cells[index] = value

    @property
    def nmi_masked(self) -> bool:
        """Whether bit 7 of port 70h keeps NMI from the CPU."""
        return self.state.nmi_masked

    def now(self) -> int:
        """The time on the clock, in nanoseconds since 1970-01-01."""
        return self._clock.now() + self.state.offset

    def map(self, ports: PortSpace) -> None:
        """Answer at the standard ports."""
        ports.map(PORT, 2, self.read, self.write, name="mc146818")

    def reset(self) -> None:
        """Disable the interrupts, clear the flags; time, RAM and modes live on the battery."""
        cells = self.state.cells
        cells[REGISTER_B] &= ~(B_PIE | B_AIE | B_UIE | B_SQWE)
        cells[REGISTER_C] = 0
        self.state.index = 0
        self.state.nmi_masked = False
        self.state.seen = self._clock.now()
        self.restored()

    def before_save(self) -> None:
        self._catch_up()

    def restored(self) -> None:
        self._signal()

    def read(self, offset: int, size: int) -> int:
        if offset == 0:
            return 0xFF
        index = self.state.index
        cells = self.state.cells
        if index in TIME_REGISTERS and not self._held():
            return self._time_registers()[index]
        if index == REGISTER_A:
            return cells[index] | (A_UIP if self._updating() else 0)
        if index == REGISTER_C:
            self._catch_up()
            value = cells[index]
            cells[index] = 0
            self._signal()
            return value
        return cells[index]

    def write(self, offset: int, size: int, value: int) -> None:
        if offset == 0:
            self.state.index = value & (CELLS - 1)
            self.state.nmi_masked = bool(value & NMI_MASK)
            return
        index = self.state.index
        if index in TIME_REGISTERS:
            self._write_time(index, value)
        elif index in (REGISTER_A, REGISTER_B):
            self._write_control(index, value)
        elif index in ALARM_REGISTERS:
            self._catch_up()
            self.state.cells[index] = value
            self._signal()
        elif index not in (REGISTER_C, REGISTER_D):
            self.state.cells[index] = value

    def _divider_reset(self) -> bool:
        return self.state.cells[REGISTER_A] & A_DIVIDER_RESET == A_DIVIDER_RESET

    def _held(self) -> bool:
        return bool(self.state.cells[REGISTER_B] & B_SET) or self._divider_reset()

    def _updating(self) -> bool:
        return not self._held() and self.now() % NANOSECONDS >= NANOSECONDS - UIP_NS

    def _encode(self, value: int) -> int:
        if self.state.cells[REGISTER_B] & B_DM:
            return value
        return value // 10 << 4 | value % 10

    def _decode(self, raw: int) -> int:
        if self.state.cells[REGISTER_B] & B_DM:
            return raw
        return (raw >> 4) * 10 + (raw & 0xF)

    def _encode_hour(self, hour: int) -> int:
        if self.state.cells[REGISTER_B] & B_24H:
            return self._encode(hour)
        return self._encode(hour % 12 or 12) | (HOUR_PM if hour >= 12 else 0)

    def _decode_hour(self, raw: int) -> int:
        if self.state.cells[REGISTER_B] & B_24H:
            return self._decode(raw)
        return self._decode(raw & ~HOUR_PM) % 12 + (12 if raw & HOUR_PM else 0)

    def _time_registers(self) -> dict[int, int]:
        """The time now as register values."""
        days, second = divmod(self.now() // NANOSECONDS, SECONDS_IN_DAY)
        year, month, day = date_from_days(days)
        encode = self._encode
        return {
            SECONDS: encode(second % 60),
            MINUTES: encode(second // 60 % 60),
            HOURS: self._encode_hour(second // 3600),
            WEEKDAY: encode((weekday(days) - 1 + self.state.weekday_shift) % 7 + 1),
            DAY: encode(day),
            MONTH: encode(month),
            YEAR: encode(year % 100),
            CENTURY: encode(year // 100 % 100),
        }

    def _set_time(self, fraction: int) -> None:
        """Make the clock show what the time registers hold, `fraction` nanoseconds into that second."""
        cells, decode = self.state.cells, self._decode
        year = decode(cells[CENTURY]) * 100 + decode(cells[YEAR])
        days = days_from_date(year, decode(cells[MONTH]), decode(cells[DAY]))
        of_day = self._decode_hour(cells[HOURS]) * 3600 + decode(cells[MINUTES]) * 60 + decode(cells[SECONDS])
        shown = (days * SECONDS_IN_DAY + of_day) * NANOSECONDS + fraction
        self.state.weekday_shift = (decode(cells[WEEKDAY]) - weekday(days)) % 7
        self.state.seen = self._clock.now()
        self.state.offset = shown - self.state.seen

    def _latch_time(self) -> None:
        for index, value in self._time_registers().items():
            self.state.cells[index] = value

    def _write_time(self, index: int, value: int) -> None:
        if self._held():
            self.state.cells[index] = value
            return
        self._catch_up()
        self._latch_time()
        self.state.cells[index] = value
        self._set_time(self.now() % NANOSECONDS)
        self._signal()

    def _write_control(self, index: int, value: int) -> None:
        self._catch_up()
        held, divider_reset = self._held(), self._divider_reset()
        if not held:
            self._latch_time()
        self.state.cells[index] = value & ~A_UIP if index == REGISTER_A else value
        if index == REGISTER_B and value & B_SET:
            self.state.cells[index] &= ~B_UIE
        if held and not self._held():
            # The first update after the divider starts comes half a second later (data sheet, register A).
            self._set_time(NANOSECONDS // 2 if divider_reset else self.now() % NANOSECONDS)
        self._signal()

    def _catch_up(self) -> None:
        """Set the flags for all that has happened since they were last right."""
        state = self.state
        now, seen = self.now(), state.seen + state.offset
        state.seen = now - state.offset
        if now <= seen or self._divider_reset():
            return
        cells = state.cells
        rate = cells[REGISTER_A] & A_RATE
        if rate:
            period = period_ticks(rate)
            if now * CRYSTAL // NANOSECONDS // period > seen * CRYSTAL // NANOSECONDS // period:
                cells[REGISTER_C] |= C_PF
        if now // NANOSECONDS > seen // NANOSECONDS and not cells[REGISTER_B] & B_SET:
            cells[REGISTER_C] |= C_UF
            alarm = self._next_alarm(seen // NANOSECONDS)
            if alarm is not None and alarm <= now // NANOSECONDS:
                cells[REGISTER_C] |= C_AF

    def _alarm_values(self, index: int, limit: int) -> Iterable[int]:
        raw = self.state.cells[index]
        if raw & ALARM_ANY == ALARM_ANY:
            return range(limit)
        value = self._decode_hour(raw) if index == HOURS_ALARM else self._decode(raw)
        return (value,) if value < limit else ()

    def _next_alarm(self, second: int) -> int | None:
        """The first second after `second` that the alarm bytes match."""
        days, of_day = divmod(second + 1, SECONDS_IN_DAY)
        first: int | None = None
        for hour in self._alarm_values(HOURS_ALARM, 24):
            for minute in self._alarm_values(MINUTES_ALARM, 60):
                base = hour * 3600 + minute * 60
                if first is not None and base + 59 < of_day:
                    continue
                for value in self._alarm_values(SECONDS_ALARM, 60):
                    if base + value >= of_day:
                        return days * SECONDS_IN_DAY + base + value
                    if first is None:
                        first = base + value
        return None if first is None else (days + 1) * SECONDS_IN_DAY + first

    def _signal(self) -> None:
        """Interrupt line and timer as the registers ask."""
        cells = self.state.cells
        active = cells[REGISTER_B] & cells[REGISTER_C] & (C_PF | C_AF | C_UF)
        cells[REGISTER_C] = cells[REGISTER_C] & ~C_IRQF | (C_IRQF if active else 0)
        self._irq(1 if active else 0)
        self._arm()

    def _arm(self) -> None:
        cells, seen = self.state.cells, self.state.seen + self.state.offset
        wanted = cells[REGISTER_B] & ~cells[REGISTER_C]
        due: list[int] = []
        if self._divider_reset():
            wanted = 0
        rate = cells[REGISTER_A] & A_RATE
        if wanted & B_PIE and rate:
            period = period_ticks(rate)
            boundary = (seen * CRYSTAL // NANOSECONDS // period + 1) * period
            due.append(-(-boundary * NANOSECONDS // CRYSTAL))
        if not cells[REGISTER_B] & B_SET:
            if wanted & B_UIE:
                due.append((seen // NANOSECONDS + 1) * NANOSECONDS)
            if wanted & B_AIE:
                alarm = self._next_alarm(seen // NANOSECONDS)
                if alarm is not None:
                    due.append(alarm * NANOSECONDS)
        if due:
            self._timer.arm(min(due) - self.state.offset)
        else:
            self._timer.cancel()

    def _due(self) -> None:
        cells = self.state.cells
        before = cells[REGISTER_C]
        self._catch_up()
        self._signal()
        if cells[REGISTER_B] & cells[REGISTER_C] & ~before & C_AF:
            self.on_alarm()


def _ignore() -> None:
    return
