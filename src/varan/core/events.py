"""Events on their way from the machine to whoever listens."""

from __future__ import annotations

import time
from collections.abc import Callable

from varan.api.events import Event

Subscriber = Callable[[Event, int, int], None]
"""(event, seconds since the epoch, microseconds)"""


class EventBus:
    """Hands events to subscribers, in the order of emission, on the machine's loop."""

    def __init__(self, wall_clock: Callable[[], int] = time.time_ns) -> None:
        self._wall_clock = wall_clock
        self._subscribers: list[Subscriber] = []

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call `subscriber` for every event from now on; the result ends that."""
        self._subscribers.append(subscriber)
        return lambda: self._subscribers.remove(subscriber)

    def emit(self, event: Event) -> None:
        """Tell every subscriber. Call on the loop."""
        seconds, nanoseconds = divmod(self._wall_clock(), 1_000_000_000)
        for subscriber in list(self._subscribers):
            subscriber(event, seconds, nanoseconds // 1000)
