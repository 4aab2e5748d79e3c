"""The high-precision event timers (IA-PC HPET specification, revision 1.0a).

The main counter is not counted: while it runs it is guest time plus `HpetState.offset`. A comparator that has passed
when it is written interrupts at once rather than after the counter has gone all the way round, so that a guest that was
too slow for its own deadline does not wait for minutes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated

import msgspec
from msgspec import Meta

from varan.core.clock import MISSED_TICKS, Clock, TimerQueue
from varan.core.irq import IrqLine
from varan.core.memory import MemorySpace
from varan.core.state import Device, State

BASE, SIZE = 0xFED00000, 0x400
COMPARATORS = 3
TICK_NS = 10
NEVER = 1 << 58
"""Ticks (90 years) after which nobody waits for a match."""
MASK32, MASK64 = (1 << 32) - 1, (1 << 64) - 1

CAPABILITIES, CONFIGURATION, INTERRUPT_STATUS, MAIN_COUNTER = 0x000, 0x010, 0x020, 0x0F0
TIMERS, TIMER_SIZE = 0x100, 0x20
T_CONFIGURATION, T_COMPARATOR = 0x00, 0x08

FEMTOSECONDS = TICK_NS * 1_000_000
IDENTITY = FEMTOSECONDS << 32 | 0x8086 << 16 | 1 << 15 | 1 << 13 | (COMPARATORS - 1) << 8 | 1
"""Period, vendor, legacy replacement, a counter of 64 bits, number of the last comparator, revision."""

ENABLE, LEGACY = 1 << 0, 1 << 1
LEVEL, INTERRUPT, PERIODIC, PERIODIC_CAP, SIZE_CAP, SET_VALUE, MODE_32 = 2, 4, 8, 0x10, 0x20, 0x40, 0x100
ROUTE, ROUTE_SHIFT = 0x3E00, 9
T_WRITABLE = LEVEL | INTERRUPT | PERIODIC | MODE_32 | ROUTE


class ComparatorState(msgspec.Struct, kw_only=True):
    """One comparator. `comparator` and `period` are taken modulo 2^64."""

    config: Annotated[int, Meta(ge=0, le=MASK32)] = 0
    comparator: int = MASK64
    period: int = 0
    set_value: bool = False
    """The next write sets the comparator itself, not only the period."""
    armed: bool = False
    """A match is still to come."""
    fired: bool = False
    """Its line is high since an edge; the next one begins by lowering it."""


class HpetState(State, kw_only=True):
    """The registers."""

    config: Annotated[int, Meta(ge=0, le=ENABLE | LEGACY)] = 0
    status: Annotated[int, Meta(ge=0, lt=1 << COMPARATORS)] = 0
    offset: int = 0
    """The counter while it is held; while it runs, what it is ahead of guest time, in ticks (modulo 2^64)."""
    timers: Annotated[list[ComparatorState], Meta(min_length=COMPARATORS, max_length=COMPARATORS)] = msgspec.field(
        default_factory=lambda: [ComparatorState() for _ in range(COMPARATORS)]
    )


class LegacyGate:
    """Between an ISA timer and its interrupt line; closed, the line is the HPET's."""

    def __init__(self, line: IrqLine) -> None:
        self._line = line
        self._level = 0
        self.closed = False

    def __call__(self, level: int) -> None:
        self._level = level
        self.drive()

    def drive(self) -> None:
        """Put the timer's level on the line; through a closed gate it holds the line no more."""
        self._line(0 if self.closed else self._level)


class Hpet(Device[HpetState]):
    """Three comparators at the interrupts that `lines` has by their GSI.

    `legacy` has, by GSI, the ISA timers' lines that comparators 0 and 1 take over, and the gates that keep the
    timers off them then.
    """

    state_type = HpetState

    def __init__(
        self,
        clock: Clock,
        timers: TimerQueue,
        lines: Mapping[int, IrqLine],
        legacy: tuple[tuple[IrqLine, LegacyGate], ...],
    ) -> None:
        super().__init__()
        self._clock = clock
        self._lines = lines
        self._legacy = legacy
        self._routes = sum(1 << number for number in lines)
        self._timers = [timers.timer(clock, self._matcher(index), f"hpet{index}") for index in range(COMPARATORS)]

    def map(self, memory: MemorySpace) -> None:
        """Answer at the standard address. Raises ValueError when it is taken."""
        memory.map_mmio(BASE, SIZE, self.read, self.write, name="hpet")

    def counter(self) -> int:
        """The main counter."""
        state = self.state
        if state.config & ENABLE:
            return (self._clock.now() // TICK_NS + state.offset) & MASK64
        return state.offset & MASK64

    def restored(self) -> None:
        legacy = bool(self.state.config & LEGACY)
        self._drive()
        for _, gate in self._legacy:
            if gate.closed != legacy:
                gate.closed = legacy
                gate.drive()
        for index in range(COMPARATORS):
            self._arm(index)

    def read(self, offset: int, size: int) -> int:
        value = self._register(offset & ~7) >> 8 * (offset & 7)
        return value & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        register, shift = offset & ~7, 8 * (offset & 7)
        mask = ((1 << 8 * size) - 1) << shift & MASK64
        value = value << shift & mask
        if register >= TIMERS:
            index, of_timer = divmod(register - TIMERS, TIMER_SIZE)
            if index < COMPARATORS:
                self._write_timer(index, of_timer, value, mask)
        elif register == CONFIGURATION:
            self._configure((self.state.config & ~mask | value) & (ENABLE | LEGACY))
        elif register == INTERRUPT_STATUS:
            self.state.status &= ~value
            self._drive()
        elif register == MAIN_COUNTER:
            self._set_counter(self.counter() & ~mask | value)

    def _register(self, register: int) -> int:
        state = self.state
        if register == MAIN_COUNTER:
            return self.counter()
        if register >= TIMERS:
            index, of_timer = divmod(register - TIMERS, TIMER_SIZE)
            return self._timer_register(state.timers[index], of_timer) if index < COMPARATORS else 0
        return {CAPABILITIES: IDENTITY, CONFIGURATION: state.config, INTERRUPT_STATUS: state.status}.get(register, 0)

    def _timer_register(self, timer: ComparatorState, register: int) -> int:
        if register == T_CONFIGURATION:
            return timer.config | PERIODIC_CAP | SIZE_CAP | self._routes << 32
        return timer.comparator & self._mask(timer) if register == T_COMPARATOR else 0

    def _configure(self, config: int) -> None:
        state = self.state
        counter = self.counter()
        state.config = config
        if not config & ENABLE:
            for timer in state.timers:
                timer.fired = False
        self._set_counter(counter)
        self.restored()

    def _set_counter(self, counter: int) -> None:
        running = self.state.config & ENABLE
        self.state.offset = counter - self._clock.now() // TICK_NS & MASK64 if running else counter
        for index in range(COMPARATORS):
            self._arm(index)

    def _write_timer(self, index: int, register: int, value: int, mask: int) -> None:
        timer = self.state.timers[index]
        if register == T_CONFIGURATION:
            timer.config = (timer.config & ~mask | value) & T_WRITABLE
            timer.set_value = bool(value & SET_VALUE and timer.config & PERIODIC)
            timer.fired = timer.fired and not timer.config & LEVEL and bool(timer.config & INTERRUPT)
            self._drive()
        elif register == T_COMPARATOR:
            if not timer.config & PERIODIC or timer.set_value:
                timer.comparator = (timer.comparator & ~mask | value) & self._mask(timer)
            if timer.config & PERIODIC:
                timer.period = (timer.period & ~mask | value) & self._mask(timer)
            timer.set_value = False
            timer.armed = True
        self._arm(index)

    def _mask(self, timer: ComparatorState) -> int:
        return MASK32 if timer.config & MODE_32 else MASK64

    def _ahead(self, timer: ComparatorState) -> int:
        """Ticks until the comparator matches; 0 or less when it has."""
        mask = self._mask(timer)
        ahead = timer.comparator - self.counter() & mask
        return ahead - mask - 1 if ahead > mask >> 1 else ahead

    def _arm(self, index: int) -> None:
        """Call back at the next match, where that interrupts."""
        timer, alarm = self.state.timers[index], self._timers[index]
        ahead = max(self._ahead(timer), 0)
        if timer.armed and timer.config & INTERRUPT and self.state.config & ENABLE and ahead < NEVER:
            alarm.arm((self._clock.now() // TICK_NS + ahead) * TICK_NS)
        else:
            alarm.cancel()

    def _matcher(self, index: int) -> Callable[[], None]:
        return lambda: self._match(index)

    def _match(self, index: int) -> None:
        """The counter has reached comparator `index`: interrupt, and see when it does so next."""
        timer = self.state.timers[index]
        period = timer.period & self._mask(timer)
        if timer.config & PERIODIC and period:
            passed = max(max(-self._ahead(timer), 0) // period + 1 - MISSED_TICKS, 1)
            timer.comparator = timer.comparator + passed * period & self._mask(timer)
        else:
            timer.armed = False
        if timer.config & LEVEL:
            self.state.status |= 1 << index
        else:
            timer.fired = False
            self._drive()
            timer.fired = True
        self._drive()
        self._arm(index)
        self._timers[index].arm_later(self._clock.now())

    def _drive(self) -> None:
        """Put every line that the comparators own at the level that they give it."""
        state = self.state
        replaces = bool(state.config & LEGACY)
        high = set()
        for index, timer in enumerate(state.timers):
            pending = state.status >> index & 1 if timer.config & LEVEL else timer.fired
            level = 1 if pending and timer.config & INTERRUPT else 0
            takes_over = replaces and index < len(self._legacy)
            if index < len(self._legacy):
                self._legacy[index][0](level if takes_over else 0)
            if level and not takes_over:
                high.add((timer.config & ROUTE) >> ROUTE_SHIFT)
        for number, line in self._lines.items():
            line(1 if number in high else 0)
