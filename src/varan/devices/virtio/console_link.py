"""Between a port of a virtio console, on vCPU threads, and its character device, on the loop."""

from __future__ import annotations

import threading
from collections.abc import Callable

from varan.chardev.base import Chardev, Pipe
from varan.devices.virtio.console import VirtioConsole

PATIENCE = 32
"""Chains that are sent before the loop's other work has its turn."""
MOST_URGENT = 4096


class ConsoleLink:
    """The `PortUser` of one port, and the `Frontend` of its chardev. Input that the guest has no buffer for yet is the
    host's, not part of saved state; meanwhile the chardev is paused."""

    def __init__(
        self,
        lock: threading.RLock,
        post: Callable[[Callable[[], None]], None],
        on_guest_open: Callable[[bool], None],
    ) -> None:
        self._lock = lock
        self._post = post
        self._on_guest_open = on_guest_open
        self._console: VirtioConsole | None = None
        self._number = 0
        self._chardev: Chardev | None = None
        self._pipe: Pipe | None = None
        self._input = bytearray()
        self._urgent = bytearray()
        self._sending = self._feeding = self._stalled = self._paused = False

    def connect(self, console: VirtioConsole, number: int) -> None:
        """The port is there. Under the lock."""
        self._console, self._number = console, number

    def disconnect(self) -> None:
        """The port is gone. Under the lock."""
        self._console = None

    def attach(self, chardev: Chardev) -> None:
        """Use `chardev`. On the loop. Raises ChardevError when it has a user already."""
        chardev.attach(self)
        self._chardev = chardev

    def detach(self) -> None:
        """Use no chardev any more. On the loop."""
        if self._chardev is not None:
            self._chardev.detach(self)
            self._chardev = self._pipe = None

    # PortUser

    def output_ready(self) -> None:
        if not self._sending and not self._stalled:
            self._sending = True
            self._post(self._send)

    def input_wanted(self) -> None:
        if self._input and not self._feeding:
            self._feeding = True
            self._post(self._feed)

    def guest_opened(self, opened: bool) -> None:
        self._on_guest_open(opened)

    def emergency(self, byte: int) -> None:
        if len(self._urgent) < MOST_URGENT:
            self._urgent.append(byte)
        self.output_ready()

    # Frontend

    def opened(self, pipe: Pipe) -> None:
        """`Frontend`: somebody is at the other end."""
        self._pipe = pipe
        self._paused = False
        self._set_host_open(True)
        self.writable()

    def receive(self, data: bytes) -> None:
        """`Frontend`: bytes for the guest."""
        with self._lock:
            self._input += data
        self._feed()

    def closed(self) -> None:
        """`Frontend`: the other end has gone."""
        self._pipe = None
        self._paused = False
        self._input.clear()
        self._set_host_open(False)
        self.writable()

    def writable(self) -> None:
        """`Frontend`: the chardev takes bytes again."""
        with self._lock:
            self._stalled = False
            self.output_ready()

    def _set_host_open(self, opened: bool) -> None:
        with self._lock:
            if self._console is not None:
                self._console.set_host_open(self._number, opened)

    # On the loop

    def _feed(self) -> None:
        with self._lock:
            self._feeding = False
            if self._console is not None and self._input:
                del self._input[: self._console.send_input(self._number, self._input)]
            waits = bool(self._input)
        if self._pipe is None or waits == self._paused:
            return
        self._paused = waits
        if waits:
            self._pipe.pause_input()
        else:
            self._pipe.resume_input()

    def _send(self) -> None:
        with self._lock:
            self._sending = False
            urgent, self._urgent = self._urgent, bytearray()
        if urgent:
            self._write(bytes(urgent))
        for _ in range(PATIENCE):
            with self._lock:
                found = self._console.peek_output(self._number) if self._console is not None else None
            if found is None:
                return
            chain, data = found
            taken = self._write(data)
            with self._lock:
                self._stalled = taken < len(data)
                if self._console is not None:
                    self._console.take_output(self._number, chain, taken)
            if self._stalled:
                return
        with self._lock:
            self.output_ready()

    def _write(self, data: bytes) -> int:
        """What nobody listens to counts as taken."""
        if self._pipe is not None:
            return self._pipe.write(data)
        if self._chardev is not None:
            self._chardev.discard(data)
        return len(data)
