"""The human monitor on a character device: a prompt, line editing, one command at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from varan.chardev.base import Pipe
from varan.commands.hmp.lineedit import LineEditor
from varan.commands.hmp.session import HmpSession, complete
from varan.machine.machine import Machine
from varan.version import VERSION

log = logging.getLogger("varan.hmp")

PROMPT = "(qemu) "
"""What expect scripts and libraries of many years wait for."""


class MonitorFrontend:
    """A chardev's frontend. Every connection begins a session of its own.

    While a command runs, or its output waits for a slow reader, input is held back.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._connection: _Connection | None = None

    def opened(self, pipe: Pipe) -> None:
        """Greet."""
        self.closed()
        self._connection = _Connection(pipe, HmpSession(self._machine).execute)

    def receive(self, data: bytes) -> None:
        """Keys."""
        if self._connection is not None:
            self._connection.receive(data)

    def closed(self) -> None:
        """Forget the session; a command that runs comes to its end unseen."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def focus_gained(self) -> None:
        """Show on a shared chardev that keys come here again."""
        if self._connection is not None:
            self._connection.show_line()

    def writable(self) -> None:
        """Go on with output."""
        if self._connection is not None:
            self._connection.flush()


class _Connection:
    """What lasts from one peer's coming to its going."""

    def __init__(self, pipe: Pipe, execute: Callable[[str], Awaitable[str]]) -> None:
        self._pipe = pipe
        self._execute = execute
        self._editor = LineEditor(PROMPT, complete)
        self._unread = ""
        self._unsent = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._held = False
        self._open = True
        self._send(f"Varan {VERSION} monitor - type 'help' for more information\r\n".encode())
        self._send(self._editor.prompt())

    def receive(self, data: bytes) -> None:
        self._unread += self._editor.decode(data)
        self._advance()

    def close(self) -> None:
        self._open = False

    def flush(self) -> None:
        self._send(b"")
        self._advance()

    def show_line(self) -> None:
        """Show prompt and line anew, below what others wrote meanwhile; while a command runs its own prompt follows."""
        if self._task is None:
            self._send(b"\r\n" + self._editor.redrawn())

    def _send(self, data: bytes) -> None:
        if not self._open:
            return
        self._unsent += data
        if self._unsent:
            taken = self._pipe.write(bytes(self._unsent))
            del self._unsent[:taken]

    def _advance(self) -> None:
        """Deal with input until a command starts, output stops flowing, or there is no more."""
        while self._open and self._unread and self._task is None and not self._unsent:
            output, line, self._unread = self._editor.feed(self._unread)
            self._send(output)
            if line is not None:
                self._task = asyncio.get_running_loop().create_task(self._run(line))
        self._hold(self._task is not None or bool(self._unsent))

    def _hold(self, held: bool) -> None:
        if self._open and held != self._held:
            self._held = held
            if held:
                self._pipe.pause_input()
            else:
                self._pipe.resume_input()

    async def _run(self, line: str) -> None:
        text = await self._execute(line)
        self._task = None
        self._send(text.replace("\n", "\r\n").encode() + self._editor.prompt())
        self._advance()
