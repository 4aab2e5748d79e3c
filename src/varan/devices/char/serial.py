"""A serial port: a UART at its I/O ports, and a character device at the other end of the cable.

The UART lives on vCPU threads under the machine lock, the character device on the loop. Output goes through an
`OutputPump`; input is kept here until the guest has read what its UART holds, and meanwhile the chardev is paused.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from varan.chardev.base import Chardev, Pipe
from varan.core.clock import Clock, TimerQueue
from varan.core.irq import IrqLine
from varan.core.ports import PortSpace
from varan.devices.char.pump import OutputPump
from varan.devices.char.uart16550 import BAUD_BASE, Uart16550

PORTS = 8
REFILL_LIMIT_NS = 100_000
"""How long the next FIFO of input waits at most, however slow the line is set."""


def _ignore() -> None:
    return


class SerialPort:
    """One port. Is the `Frontend` of the chardev it is attached to; without one output is dropped.

    Input that the UART has not taken yet is the host's, not the machine's: it is not part of saved state.
    """

    def __init__(
        self,
        lock: threading.RLock,
        clock: Clock,
        timers: TimerQueue,
        irq: IrqLine,
        pulse: Callable[[], None],
        baud_base: int = BAUD_BASE,
    ) -> None:
        self._lock = lock
        self._clock = clock
        self._pump = OutputPump(lock, self._set_full)
        self.uart = Uart16550(clock, timers, self._pump.put, irq, pulse, baud_base)
        self.on_input: Callable[[], None] = _ignore
        """Called when something has come from the other end. Holds the machine lock."""
        self.uart.on_drained = self._drained
        self._refill = timers.timer(clock, self._feed, "serial-input")
        self._input = bytearray()
        self._full = False
        self._paused = False
        self._pipe: Pipe | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    def map(self, ports: PortSpace, base: int, name: str) -> None:
        """Answer at eight ports from `base`."""
        ports.map(base, PORTS, self.uart.read, self.uart.write, name=name)

    def attach(self, chardev: Chardev) -> None:
        """Connect the cable to `chardev`. Call on the loop. Raises ChardevError when it has a user already."""
        self._loop = asyncio.get_running_loop()
        self._pump.attach(self._loop)
        chardev.attach(self)

    def resync(self) -> None:
        """After the UART's state was loaded: go on with this side's view of the host end. Holds the machine lock."""
        self.uart.set_blocked(self._full)
        self._feed()

    def opened(self, pipe: Pipe) -> None:
        """`Frontend`: somebody is at the other end."""
        self._pipe = pipe
        self._paused = False
        self._pump.open(pipe)

    def receive(self, data: bytes) -> None:
        """`Frontend`: bytes for the guest."""
        with self._lock:
            self._input += data
            self._feed()
            self.on_input()
            if self._input and not self._paused and self._pipe is not None:
                self._paused = True
                self._pipe.pause_input()

    def closed(self) -> None:
        """`Frontend`: the other end has gone."""
        self._pipe = None
        self._paused = False
        self._pump.closed()

    def writable(self) -> None:
        """`Frontend`: the chardev takes bytes again."""
        self._pump.resume()

    def _set_full(self, full: bool) -> None:
        self._full = full
        self.uart.set_blocked(full)

    def _drained(self) -> None:
        """The guest has read everything: more comes a moment later, so that its handler finds the end and returns."""
        if self._input:
            self._refill.arm(self._clock.now() + min(self.uart.character_time(), REFILL_LIMIT_NS))

    def _feed(self) -> None:
        if self._input:
            taken = self.uart.receive(self._input)
            del self._input[:taken]
        if self._paused and not self._input and self._loop is not None:
            self._paused = False
            try:
                self._loop.call_soon_threadsafe(self._resume)
            except RuntimeError:
                # The loop has been closed under a machine that still runs.
                self._loop = None

    def _resume(self) -> None:
        if self._pipe is not None and not self._paused:
            self._pipe.resume_input()
