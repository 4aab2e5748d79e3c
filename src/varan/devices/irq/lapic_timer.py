"""The local APIC's timer: a count-down register that is computed, not counted.

Deadlines are exact multiples of the timer's rate from when it started, so periods do not drift.
"""

from __future__ import annotations

from collections.abc import Callable

from varan.core.clock import NANOSECONDS, Clock, TimerQueue
from varan.devices.irq.lapic_state import LVT_TIMER, MASKED, PERIODIC, LapicState

_SHIFTS = (1, 2, 3, 4, 5, 6, 7, 0)
"""Binary logarithm of the divisor for bits 3, 1 and 0 of the divide configuration register."""


class LapicTimer:
    """Works on the `state` it is given; `expired` is called when the LVT entry is not masked.

    `hertz` tells the rate before division, the first time that the guest starts the timer.
    """

    def __init__(self, clock: Clock, timers: TimerQueue, hertz: Callable[[], int], expired: Callable[[], None]) -> None:
        self._clock = clock
        self._timer = timers.timer(clock, self._due, "lapic")
        self._hertz = hertz
        self._expired = expired
        self.state = LapicState()

    def follow(self, state: LapicState) -> None:
        """Work on `state` from now on."""
        self.state = state
        self._arm()

    def set_initial_count(self, value: int) -> None:
        """The guest starts the timer, or stops it with 0."""
        state = self.state
        state.initial_count = value
        if not value:
            state.timer_start = None
            self._timer.cancel()
            return
        if not state.timer_hertz:
            state.timer_hertz = self._hertz()
        state.timer_start = self._clock.now()
        self._arm()

    def current_count(self) -> int:
        """What the current-count register shows."""
        state = self.state
        if state.timer_start is None:
            return 0
        ticks = self._ticks()
        if state.lvt[LVT_TIMER] & PERIODIC:
            return state.initial_count - ticks % state.initial_count
        return max(state.initial_count - ticks, 0)

    def set_entry(self, value: int) -> None:
        """The guest writes the LVT entry."""
        self._catch_up()
        left = self.current_count()
        self.state.lvt[LVT_TIMER] = value
        self._go_on_from(left)

    def set_divide(self, value: int) -> None:
        """The guest writes the divide configuration register."""
        self._catch_up()
        left = self.current_count()
        self.state.divide = value & 11
        self._go_on_from(left)

    def set_current_count(self, left: int) -> None:
        """Let it go on as if it had counted down to `left` by now (loaded registers); 0: it stands."""
        state = self.state
        if not state.timer_hertz:
            state.timer_hertz = self._hertz()
        state.timer_start = self._clock.now() if left else None
        self._go_on_from(min(left, state.initial_count))

    def _go_on_from(self, left: int) -> None:
        state = self.state
        if state.timer_start is not None:
            if left:
                state.timer_start = self._clock.now() - self._nanoseconds(state.initial_count - left)
            else:
                state.timer_start = None
        self._arm()

    def _ticks(self) -> int:
        state = self.state
        assert state.timer_start is not None
        elapsed = max(self._clock.now() - state.timer_start, 0)
        return (elapsed * state.timer_hertz // NANOSECONDS) >> self.shift

    @property
    def shift(self) -> int:
        """The binary logarithm of what the rate is divided by."""
        divide = self.state.divide
        return _SHIFTS[divide >> 1 & 4 | divide & 3]

    def _nanoseconds(self, ticks: int) -> int:
        """The time after which that many ticks have passed."""
        return -(-(ticks << self.shift) * NANOSECONDS // (self.state.timer_hertz or 1))

    def _arm(self) -> None:
        state = self.state
        entry = state.lvt[LVT_TIMER]
        if state.timer_start is None or entry & MASKED:
            self._timer.cancel()
            return
        # A single count may be over already; then the timer is late, not done: `_due` has not run.
        periods = self._ticks() // state.initial_count + 1 if entry & PERIODIC else 1
        self._timer.arm(state.timer_start + self._nanoseconds(periods * state.initial_count))

    def _catch_up(self) -> None:
        """Let what is due come before a change."""
        deadline = self._timer.deadline
        if deadline is not None and deadline <= self._clock.now():
            self._timer.cancel()
            self._due()

    def _due(self) -> None:
        if self.state.lvt[LVT_TIMER] & PERIODIC:
            self._arm()
        else:
            self.state.timer_start = None
        self._expired()
