"""Clocks and timers.

Three clocks, all in integer nanoseconds: the guest's virtual time (stands still while the machine is stopped), host
wall-clock time, and host monotonic time. Device timers are armed on a clock and run under the machine lock by whoever
drives the `TimerQueue` (the first vCPU's thread).
"""

from __future__ import annotations

import heapq
import time
from collections.abc import Callable
from typing import Protocol

NANOSECONDS = 1_000_000_000
"""Nanoseconds in a second."""
MISSED_TICKS = 8
"""Periods of a device's timer that a slow host may have missed and that still give an interrupt each, soon after one
another; more are forgotten. Guests check that a timer ticks by counting for a few hundredths of a second."""
SOON = 20_000
"""Nanoseconds between two of these: time for the guest to take the one before."""
STALE_LIMIT = 1024
"""Entries of a heap at which those that no longer count (timers armed anew or cancelled) are thrown out."""


class Clock(Protocol):
    """A source of time in nanoseconds."""

    def now(self) -> int:
        """The time now."""

    def running(self) -> bool:
        """Whether the time advances at present."""


class VirtualClock:
    """Guest time: starts at zero, advances with host monotonic time between `start` and `stop`."""

    def __init__(self, monotonic: Callable[[], int] = time.monotonic_ns) -> None:
        self._monotonic = monotonic
        self._elapsed = 0
        self._since: int | None = None

    def now(self) -> int:
        since = self._since
        return self._elapsed if since is None else self._elapsed + self._monotonic() - since

    def running(self) -> bool:
        return self._since is not None

    def start(self) -> None:
        """Let time advance."""
        if self._since is None:
            self._since = self._monotonic()

    def stop(self) -> None:
        """Hold time."""
        self._elapsed, self._since = self.now(), None

    def set(self, now: int) -> None:
        """Make it `now` (a restored machine)."""
        self._elapsed = now
        if self._since is not None:
            self._since = self._monotonic()


class HostClock:
    """Host wall-clock time since the epoch."""

    def now(self) -> int:
        return time.time_ns()

    def running(self) -> bool:
        return True


class ManualClock:
    """A clock for tests and replay: time is what `advance` makes it."""

    def __init__(self, now: int = 0) -> None:
        self._now = now

    def now(self) -> int:
        return self._now

    def running(self) -> bool:
        return True

    def advance(self, nanoseconds: int) -> None:
        self._now += nanoseconds


class Timer:
    """A callback at a deadline. Made by `TimerQueue.timer`; `arm` again at will, also from the callback."""

    __slots__ = ("_deadline", "_queue", "callback", "clock", "name")

    def __init__(self, queue: TimerQueue, clock: Clock, callback: Callable[[], None], name: str) -> None:
        self._queue = queue
        self._deadline: int | None = None
        self.clock = clock
        self.callback = callback
        self.name = name

    @property
    def deadline(self) -> int | None:
        """When it is due, in nanoseconds of its clock; None while not armed."""
        return self._deadline

    def arm(self, deadline: int) -> None:
        """Call back once the clock reaches `deadline` (nanoseconds)."""
        if deadline != self._deadline:
            self._deadline = deadline
            self._queue._push(self)

    def arm_later(self, now: int) -> None:
        """From the callback of a timer that is late: call back SOON after `now` where that is due already."""
        if self._deadline is not None and self._deadline <= now:
            self.arm(now + SOON)

    def cancel(self) -> None:
        """Do not call back."""
        self._deadline = None


class TimerQueue:
    """All timers of a machine. The caller of every method holds the machine lock."""

    def __init__(self) -> None:
        self._heaps: dict[int, tuple[Clock, list[tuple[int, int, Timer]]]] = {}
        self._sequence = 0
        self.on_earlier: Callable[[Timer], None] = _nothing
        """Called when a timer was armed that may be due before all others: whoever sleeps must know."""

    def timer(self, clock: Clock, callback: Callable[[], None], name: str = "") -> Timer:
        """A new timer on `clock`, not armed."""
        self._heaps.setdefault(id(clock), (clock, []))
        return Timer(self, clock, callback, name)

    def _push(self, timer: Timer) -> None:
        heap = self._heaps[id(timer.clock)][1]
        deadline = timer._deadline
        assert deadline is not None
        self._sequence += 1
        earlier = not heap or deadline < heap[0][0]
        if len(heap) >= STALE_LIMIT:
            _drop_stale(heap)
        heapq.heappush(heap, (deadline, self._sequence, timer))
        if earlier:
            self.on_earlier(timer)

    def run_due(self) -> int | None:
        """Run every timer that is due; returns nanoseconds until the next one, None when no running clock has one.

        What falls due meanwhile waits for the next call, so that a timer that is quicker than its callback ends it too.
        """
        soonest: int | None = None
        for clock, heap in list(self._heaps.values()):
            if not clock.running():
                continue
            now = clock.now()
            while heap:
                deadline, _, timer = heap[0]
                if timer._deadline != deadline:
                    heapq.heappop(heap)
                    continue
                if deadline > now:
                    wait = max(deadline - clock.now(), 0)
                    soonest = wait if soonest is None else min(soonest, wait)
                    break
                heapq.heappop(heap)
                timer._deadline = None
                timer.callback()
        return soonest


def _drop_stale(heap: list[tuple[int, int, Timer]]) -> None:
    kept = {entry[2]: entry for entry in heap if entry[2]._deadline == entry[0]}
    heap[:] = kept.values()
    heapq.heapify(heap)


def _nothing(timer: Timer) -> None:
    return
