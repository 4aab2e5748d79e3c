"""Bytes from a device on a vCPU thread to a character device on the loop.

The device puts bytes one at a time, holding the machine lock. The first of a burst wakes the loop; what comes within
the next millisecond is collected and goes with one further look, so that a guest that prints costs the loop about a
thousand short callbacks in a second and no wake-up per byte.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from varan.chardev.base import Pipe

BURST_SECONDS = 0.001
"""How long a burst is collected after its first bytes have gone."""
HIGH_WATER = 64 * 1024
"""Bytes waiting at which the device is told to hold back."""
LIMIT = 1 << 20
"""Bytes waiting at which a device that cannot hold back loses the newest."""


class OutputPump:
    """One direction, device to chardev. `put` belongs to vCPU threads, everything else to the loop."""

    def __init__(self, lock: threading.RLock, on_full: Callable[[bool], None] | None = None) -> None:
        """`on_full` is called, holding `lock`, when the device shall hold back (True) and go on (False)."""
        self._lock = lock
        self._on_full = on_full
        self._waiting = bytearray()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pipe: Pipe | None = None
        self._scheduled = False
        self._stalled = False
        self._full = False

    @property
    def waiting(self) -> int:
        """Bytes that no chardev has taken yet."""
        return len(self._waiting)

    def attach(self, loop: asyncio.AbstractEventLoop) -> None:
        """Hand bytes over on `loop` from now on."""
        self._loop = loop

    def open(self, pipe: Pipe) -> None:
        """Somebody takes the bytes now."""
        self._pipe = pipe
        self._stalled = False
        self.drain()

    def closed(self) -> None:
        """Nobody takes the bytes any more; those waiting are dropped, as on a cable that is pulled."""
        self._pipe = None
        self.resume()

    def resume(self) -> None:
        """The chardev takes bytes again."""
        self._stalled = False
        self.drain()

    def put(self, value: int) -> None:
        """One byte from the device. The caller holds the machine lock."""
        loop = self._loop
        if loop is None:
            return
        waiting = self._waiting
        waiting.append(value)
        if not self._scheduled and not self._stalled:
            self._scheduled = True
            try:
                loop.call_soon_threadsafe(self._burst)
            except RuntimeError:
                # The loop has been closed under a machine that still runs: nobody will read this.
                self._loop = None
                waiting.clear()
        elif len(waiting) >= HIGH_WATER:
            self._set_full(True)
            if len(waiting) > LIMIT:
                waiting.pop()

    def drain(self) -> None:
        """Offer all waiting bytes to the chardev."""
        if self._stalled or not self._waiting:
            return
        with self._lock:
            data, self._waiting = self._waiting, bytearray()
        taken = len(data) if self._pipe is None else self._pipe.write(data)
        with self._lock:
            if taken < len(data):
                self._stalled = True
                self._waiting[:0] = data[taken:]
            self._set_full(self._stalled)

    def _burst(self) -> None:
        """Hand over what waits, and look again in a moment while bytes keep coming."""
        with self._lock:
            if self._stalled or not self._waiting or self._loop is None:
                self._scheduled = False
                return
        self.drain()
        self._loop.call_later(BURST_SECONDS, self._burst)

    def _set_full(self, full: bool) -> None:
        if full != self._full and self._on_full is not None:
            self._full = full
            self._on_full(full)
