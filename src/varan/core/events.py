"""Events on their way from the machine to whoever listens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping

from varan.api import events
from varan.api.events import Event

Subscriber = Callable[[Event, int, int], None]
"""(event, seconds since the epoch, microseconds)"""

WINDOW_SECONDS = 1.0
LIMITED: Mapping[type[Event], str | None] = {
    events.BalloonChange: None,
    events.VserportChange: "id",
    events.Watchdog: None,
}
"""Events of which a guest could make floods: one goes out in a window at most, the last one at its end. They are told
apart by the member that is named."""


class EventBus:
    """Hands events to subscribers, in the order of emission, on the machine's loop."""

    def __init__(self, wall_clock: Callable[[], int] = time.time_ns) -> None:
        self._wall_clock = wall_clock
        self._subscribers: list[Subscriber] = []
        self._windows: dict[tuple[type[Event], object], tuple[Event, int] | None] = {}
        """Those that are open, and what waits for their end."""

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` for every event from now on; the result ends that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def emit(self, event: Event) -> None:
        """Tell every subscriber, of an event in LIMITED perhaps later. Call on the loop."""
        now = self._wall_clock()
        if type(event) in LIMITED:
            member = LIMITED[type(event)]
            self._emit_limited((type(event), getattr(event, member) if member else None), event, now)
        else:
            self._send(event, now)

    def _emit_limited(self, key: tuple[type[Event], object], event: Event, now: int) -> None:
        if key in self._windows:
            self._windows[key] = event, now
            return
        self._windows[key] = None
        asyncio.get_running_loop().call_later(WINDOW_SECONDS, self._end_window, key)
        self._send(event, now)

    def _end_window(self, key: tuple[type[Event], object]) -> None:
        waiting = self._windows.pop(key)
        if waiting is not None:
            self._emit_limited(key, *waiting)

    def _send(self, event: Event, now: int) -> None:
        seconds, nanoseconds = divmod(now, 1_000_000_000)
        for subscriber in list(self._subscribers):
            subscriber(event, seconds, nanoseconds // 1000)
