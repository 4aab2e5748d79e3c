"""A debug console: a port where each byte written is output, and reads tell that it is there."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

from varan.chardev.base import Chardev, Pipe
from varan.core.state import Device, State
from varan.devices.char.pump import OutputPump

PRESENT = 0xE9
"""What reads give unless told otherwise."""


class DebugConsoleState(State, kw_only=True):
    """Nothing: the device has no memory."""


class DebugConsole(Device[DebugConsoleState]):
    """The port; `output` takes each byte."""

    state_type = DebugConsoleState

    def __init__(self, output: Callable[[int], object], readback: int = PRESENT) -> None:
        super().__init__()
        self._output = output
        self._readback = readback & 0xFF

    def read(self, offset: int, size: int) -> int:
        return self._readback

    def write(self, offset: int, size: int, value: int) -> None:
        self._output(value)


class DebugConsolePort:
    """A debug console with the chardev that gets its output. What a chardev does not take in time is lost."""

    def __init__(self, lock: threading.RLock, readback: int = PRESENT) -> None:
        self._pump = OutputPump(lock)
        self.console = DebugConsole(self._pump.put, readback)

    def attach(self, chardev: Chardev) -> None:
        """Send output to `chardev`. Call on the loop. Raises ChardevError when it has a user already."""
        self._pump.attach(asyncio.get_running_loop())
        chardev.attach(self)

    def opened(self, pipe: Pipe) -> None:
        """`Frontend`: somebody is at the other end."""
        self._pump.open(pipe)

    def receive(self, data: bytes) -> None:
        """`Frontend`: input has nowhere to go."""

    def closed(self) -> None:
        """`Frontend`: the other end has gone."""
        self._pump.closed()

    def writable(self) -> None:
        """`Frontend`: the chardev takes bytes again."""
        self._pump.resume()
