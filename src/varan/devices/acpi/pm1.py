"""The PM1 event and control registers: fixed events, sleep states, the timer's overflow (ACPI 6.5, 4.8.3.1 to 4.8.3.3).

The register block, from its first port: status (16 bits), enable, control, two reserved bytes, the timer (32 bits).
Events set status bits whether they are enabled or not; the system control interrupt follows both.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from varan.core.clock import Clock, TimerQueue
from varan.core.state import Device, State
from varan.devices.acpi import pmtimer
from varan.devices.fields import Word

BLOCK_SIZE = 12
STATUS, ENABLE, CONTROL, TIMER = 0, 2, 4, 8

TMR = 1 << 0
GBL = 1 << 5
PWRBTN = 1 << 8
SLPBTN = 1 << 9
RTC = 1 << 10
WAK = 1 << 15
"""Status only: the system has woken."""
EVENTS = TMR | GBL | PWRBTN | SLPBTN | RTC

SCI_EN = 1 << 0
BM_RLD = 1 << 1
SLP_TYP = 7 << 10
SLP_TYP_SHIFT = 10
SLP_EN = 1 << 13

Register = Callable[[int, int], None]
"""(value, mask of the written bits), both in the place they have in the register"""


class Pm1State(State, kw_only=True):
    """The registers, and when the timer's highest bit first changes after TMR_STS was clear (ns of guest time)."""

    status: Word = 0
    enable: Word = 0
    control: Word = 0
    overflow: int = 0


class Pm1(Device[Pm1State]):
    """PM1a. `changed` is called when what `asserted` says may have changed, `sleeps` by the value of SLP_TYP."""

    state_type = Pm1State

    def __init__(
        self, clock: Clock, timers: TimerQueue, changed: Callable[[], None], sleeps: Mapping[int, Callable[[], None]]
    ) -> None:
        super().__init__()
        self._clock = clock
        self._timer = timers.timer(clock, self._signal, "acpi-pm-timer")
        self._changed = changed
        self._sleeps = sleeps
        self._registers: tuple[Register, ...] = (self._write_status, self._write_enable, self._write_control)
        self.state.overflow = pmtimer.next_carry(clock.now())

    @property
    def asserted(self) -> bool:
        """Whether an event is both there and enabled."""
        return bool(self._status() & self.state.enable)

    @property
    def sci_enabled(self) -> bool:
        """Whether events interrupt the operating system (they would interrupt firmware else)."""
        return bool(self.state.control & SCI_EN)

    def set_acpi_mode(self, acpi: bool) -> None:
        """Give the events to the operating system, or take them away."""
        control = self.state.control
        self.state.control = control | SCI_EN if acpi else control & ~SCI_EN
        self._signal()

    def raise_events(self, events: int) -> None:
        """Set status bits (PWRBTN, RTC, WAK...)."""
        self.state.status |= events
        self._signal()

    def enabled(self, event: int) -> bool:
        """Whether this event is enabled, and so wakes the machine."""
        return bool(self.state.enable & event)

    def pending(self, event: int) -> bool:
        """Whether this event is enabled and has happened."""
        return bool(self.state.enable & self.state.status & event)

    def reset(self) -> None:
        super().reset()
        self.state.overflow = pmtimer.next_carry(self._clock.now())
        self._signal()

    def before_save(self) -> None:
        self.state.status = self._status()

    def restored(self) -> None:
        self._signal()

    def read(self, offset: int, size: int) -> int:
        """`size` (1 to 4) bytes of the block."""
        if offset >= TIMER:
            value = pmtimer.ticks(self._clock.now()) & pmtimer.MASK
            return value >> 8 * (offset - TIMER) & (1 << 8 * size) - 1
        state = self.state
        block = self._status() | state.enable << 16 | state.control << 32
        return block >> 8 * offset & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """Like `read`; the timer is read-only."""
        shift = 8 * offset
        value, mask = value << shift, (1 << 8 * size) - 1 << shift
        for index, register in enumerate(self._registers):
            written = mask >> 16 * index & 0xFFFF
            if written:
                register(value >> 16 * index & 0xFFFF, written)

    def _status(self) -> int:
        overflowed = self._clock.now() >= self.state.overflow
        return self.state.status | TMR if overflowed else self.state.status

    def _write_status(self, value: int, mask: int) -> None:
        cleared = value & mask
        if cleared & TMR:
            self.state.overflow = pmtimer.next_carry(self._clock.now())
        self.state.status &= ~cleared
        self._signal()

    def _write_enable(self, value: int, mask: int) -> None:
        self.state.enable = (self.state.enable & ~mask | value & mask) & EVENTS
        self._signal()

    def _write_control(self, value: int, mask: int) -> None:
        kept = SCI_EN | BM_RLD | SLP_TYP
        self.state.control = (self.state.control & ~mask | value & mask) & kept
        self._signal()
        if value & mask & SLP_EN:
            sleep = self._sleeps.get((self.state.control & SLP_TYP) >> SLP_TYP_SHIFT)
            if sleep is not None:
                sleep()

    def _signal(self) -> None:
        """Interrupt and timer as the registers ask."""
        if self.state.enable & TMR and not self._status() & TMR:
            self._timer.arm(self.state.overflow)
        else:
            self._timer.cancel()
        self._changed()
