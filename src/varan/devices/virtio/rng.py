"""The virtio entropy device (VIRTIO 1.2, 5.4): buffers of the driver are filled with random bytes.

Where the bytes come from is another's affair: the core asks for some with `fetch` and is given them by `deliver`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Annotated

from msgspec import Meta

from varan.core.clock import Clock, TimerQueue
from varan.core.memory import MemorySpace
from varan.devices.virtio.chain import Chain
from varan.devices.virtio.device import VirtioDevice, VirtioState
from varan.devices.virtio.features import DEFAULT
from varan.devices.virtio.queue import VirtQueue

QUEUE_SIZE = 8
MOST_AT_ONCE = 1 << 16
"""Bytes of one request to the source."""
MILLISECOND = 1_000_000


class RngState(VirtioState, kw_only=True):
    """Where the rate limit stands."""

    period_end: int | None = None
    """When the driver gets its full share again, in nanoseconds of guest time; None while it has all of it."""
    spent: Annotated[int, Meta(ge=0)] = 0
    """Bytes given in this period."""


class VirtioRng(VirtioDevice[RngState]):
    """At most `max_bytes` are given in `period` milliseconds; None for no limit."""

    device_number = 4
    state_type = RngState

    def __init__(
        self,
        memory: MemorySpace,
        clock: Clock,
        timers: TimerQueue,
        fetch: Callable[[int], None],
        *,
        max_bytes: int | None = None,
        period: int = 1 << 16,
        features: int = DEFAULT,
    ) -> None:
        """`fetch(count)`: get up to `count` bytes and `deliver` them; called again only after that."""
        self._clock = clock
        self._timer = timers.timer(clock, self._new_period, "virtio-rng")
        self._fetch = fetch
        self._max_bytes = max_bytes
        self._period = period * MILLISECOND
        self._waiting: Chain | None = None
        self._fetching = False
        super().__init__(memory, [QUEUE_SIZE], features)

    def handle_queue(self, queue: VirtQueue) -> None:
        self._serve()

    def driver_ready(self) -> None:
        self._serve()

    def deliver(self, data: bytes) -> None:
        """Bytes that `fetch` got; none at all when the source has failed. Under the machine lock."""
        self._fetching = False
        chain, self._waiting = self._waiting, None
        queue = self.queues[0]
        if chain is None:
            self._serve()
        elif not data:
            # No buffer goes back empty (5.4.6.2): it waits for the driver's next doorbell.
            self._waiting = chain
            queue.set_notification(True)
        else:
            written = chain.scatter(data[: self._allowance])
            self._spend(written)
            queue.push(chain, written)
            queue.notify()
            self._serve()

    def _spend(self, count: int) -> None:
        if self._max_bytes is None:
            return
        self.state.spent += count
        if self.state.period_end is None:
            self.state.period_end = self._clock.now() + self._period
            self._timer.arm(self.state.period_end)

    @property
    def _allowance(self) -> int:
        """Bytes that may be given now."""
        if self._max_bytes is None:
            return MOST_AT_ONCE
        return min(max(self._max_bytes - self.state.spent, 0), MOST_AT_ONCE)

    def _serve(self) -> None:
        """Ask for what the next buffer holds, when it may be filled now."""
        if self._fetching or not self.running:
            return
        if self._waiting is None:
            self._waiting = self._next()
        if self._waiting is None:
            return
        if self._allowance:
            self._fetching = True
            room = sum(len(view) for view in self._waiting.writable)
            self._fetch(min(room, self._allowance))

    def _next(self) -> Chain | None:
        """The next chain with room; one without is given back as it is."""
        queue = self.queues[0]
        for chain in itertools.islice(queue.chains(), QUEUE_SIZE):
            if chain.writable:
                return chain
            queue.push(chain, 0)
            queue.notify()
        return None

    def _new_period(self) -> None:
        self.state.period_end, self.state.spent = None, 0
        self._serve()

    def restored(self) -> None:
        if self._waiting is not None:
            self.queues[0].push(self._waiting, 0)
            self._waiting = None
        if self.state.period_end is None:
            self._timer.cancel()
        else:
            self._timer.arm(self.state.period_end)
        super().restored()

    def forget_memory(self) -> None:
        self._waiting = None
        super().forget_memory()

    def close(self) -> None:
        """No more timers."""
        self._timer.cancel()
