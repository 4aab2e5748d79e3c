"""A serial console in the program's own hands: read what the guest prints, wait for it, type into it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

from varan.chardev.base import Chardev, ChardevError, Frontend
from varan.errors import VaranError

KEPT = 1 << 20
"""Bytes of output kept for `Console.expect` and `Console.text`; older ones are forgotten."""


class ExpectTimeout(VaranError, TimeoutError):
    """What was waited for did not come in time."""


class Console(Chardev):
    """The host end of a serial port, inside the program.

    Output is kept (the last `KEPT` bytes), `expect` consumes it in order, `write` and `send_line` type.
    """

    def __init__(self, id: str = "serial0") -> None:
        super().__init__(id)
        self._output = bytearray()
        self._forgotten = 0
        self._consumed = 0
        self._input: list[bytes] = []
        self._paused = False
        self._waiting: list[asyncio.Future[None]] = []
        self._closed = False
        self._echo: list[Callable[[bytes], None]] = []

    @property
    def filename(self) -> str:
        return "console"

    async def open(self) -> None:
        if self.frontend is not None:
            self.frontend.opened(_ConsolePipe(self))

    async def close(self) -> None:
        self._closed = True
        self._wake()

    def attach(self, frontend: Frontend) -> None:
        if self.frontend is not None:
            raise ChardevError(f"chardev '{self.id}': is in use already")
        self.frontend = frontend

    def detach(self, frontend: Frontend) -> None:
        if self.frontend is frontend:
            self.frontend = None

    def on_output(self, callback: Callable[[bytes], None]) -> None:
        """Call `callback` with all that the guest prints, as it comes."""
        self._echo.append(callback)

    @property
    def text(self) -> str:
        """What the guest has printed (the last `KEPT` bytes), UTF-8 with replacements."""
        return self._output.decode("utf-8", "replace")

    def write(self, data: str | bytes) -> None:
        """Type `data` into the guest's serial port. Never blocks; what the guest is slow to read waits."""
        self._input.append(data.encode() if isinstance(data, str) else data)
        self._deliver()

    def send_line(self, line: str) -> None:
        """Type `line` and the Enter key."""
        self.write(line + "\r")

    async def expect(self, pattern: str | re.Pattern[str], timeout: float | None = 30) -> re.Match[str]:
        """Wait until the guest prints something that `pattern` (a plain string or compiled expression) matches.

        Only output after the previous match counts; what precedes the match is consumed with it. `timeout` is in
        seconds. Raises ExpectTimeout (with the last lines printed), or ChardevError once the machine has ended.
        """
        if isinstance(pattern, str):
            # Output is searched byte by byte, one character each.
            expression = re.compile(re.escape(pattern.encode().decode("latin-1")))
        else:
            expression = pattern
        deadline = None if timeout is None else asyncio.get_running_loop().time() + timeout
        while True:
            match = expression.search(self._unread())
            if match:
                self._consumed += match.end()
                return match
            if self._closed:
                raise ChardevError(f"the machine ended before its console showed {expression.pattern!r}")
            await self._more(deadline, expression.pattern)

    def _unread(self) -> str:
        return self._output[max(self._consumed - self._forgotten, 0) :].decode("latin-1")

    async def _more(self, deadline: float | None, wanted: str) -> None:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append(future)
        try:
            await asyncio.wait_for(future, None if deadline is None else max(deadline - loop.time(), 0))
        except TimeoutError:
            tail = "\n".join(self._unread().splitlines()[-10:])
            raise ExpectTimeout(f"the console did not show {wanted!r} in time; its last lines:\n{tail}") from None
        finally:
            if future in self._waiting:
                self._waiting.remove(future)

    def _receive_output(self, data: bytes | bytearray | memoryview) -> None:
        self._output += data
        excess = len(self._output) - KEPT
        if excess > 0:
            del self._output[:excess]
            self._forgotten += excess
            self._consumed = max(self._consumed, self._forgotten)
        for callback in self._echo:
            callback(bytes(data))
        self._wake()

    def _wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def _deliver(self) -> None:
        while self._input and not self._paused and self.frontend is not None:
            self.frontend.receive(self._input.pop(0))

    def _pause(self, paused: bool) -> None:
        self._paused = paused
        self._deliver()


class _ConsolePipe:
    """The frontend's side of a Console."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def write(self, data: bytes | bytearray | memoryview) -> int:
        self._console._receive_output(data)
        return len(data)

    def close(self) -> None:
        """A console stays."""

    def pause_input(self) -> None:
        self._console._pause(True)

    def resume_input(self) -> None:
        self._console._pause(False)
