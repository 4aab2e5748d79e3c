"""Data ports: ports behind which a device has a buffer that guests read or write a word at a time.

Asking the device for each word is what costs time. So the device lends bytes of its buffer: whoever runs the guest
moves them without asking, and counts them in a `Window`, which machine code can use as well. The access that comes to
the end of what was lent goes to the device again, as does every other one while nothing is lent.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import NamedTuple

CLOSED, READS, WRITES = 0, 1, 2
"""What a window is open for."""
NO_PORT = 0xFFFF_FFFF
WINDOWS = 4
"""Data ports that machine code can look through at a time."""


class Window(ctypes.Structure):
    """What machine code sees of a data port. An access that would reach `end` is the device's."""

    port: int
    open_for: int
    at: int
    end: int
    _fields_ = (
        ("port", ctypes.c_uint32),
        ("open_for", ctypes.c_uint32),
        ("at", ctypes.c_uint64),
        ("end", ctypes.c_uint64),
    )


class Loan(NamedTuple):
    """Bytes `start` to `end - 1` of `buffer`, one at least, which the guest reads (or writes) next."""

    buffer: bytearray
    start: int
    end: int
    writes: bool


class DataPort:
    """One data port. `lend` gives what the device has to lend at the moment. The caller holds the machine lock.

    The device calls `recall` before it looks at what was moved, changes anything, or lends anew.
    """

    def __init__(self, lend: Callable[[], Loan | None]) -> None:
        self._lend = lend
        self._window = Window(port=NO_PORT)
        self._base = 0
        """The address of the buffer's first byte."""
        self._pin: object = None
        """Keeps the buffer until the next one comes: machine code may be about to use it when it is recalled."""

    def show(self, window: Window, port: int) -> None:
        """Keep count in `window` from now on."""
        self._window = window
        window.port = port

    def open(self) -> None:
        """Borrow what the device lends. Only where its port is accessed, so that machine code is not at it."""
        loan = self._lend()
        if loan is None:
            return
        assert 0 <= loan.start < loan.end <= len(loan.buffer), f"{loan.start} to {loan.end} of {len(loan.buffer)} bytes"
        pin = ctypes.c_uint8.from_buffer(loan.buffer)
        window, self._pin, self._base = self._window, pin, ctypes.addressof(pin)
        window.at, window.end = self._base + loan.start, self._base + loan.end
        window.open_for = WRITES if loan.writes else READS

    def recall(self) -> int:
        """End the loan; how far in the buffer the guest has come."""
        window = self._window
        window.open_for = CLOSED
        return window.at - self._base

    def take(self, size: int, count: int) -> bytes:
        """What up to `count` reads of `size` bytes give, as far as it is lent."""
        self.open()
        window = self._window
        if window.open_for != READS:
            return b""
        length = min(count, (window.end - window.at - 1) // size) * size
        taken = ctypes.string_at(window.at, length)
        window.at += length
        return taken
