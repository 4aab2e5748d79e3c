"""The terminal (or the pipes) that the program was started with (`stdio`)."""

from __future__ import annotations

import asyncio
import atexit
import os
import signal
import termios
from collections.abc import Mapping
from typing import Any, ClassVar

from varan.chardev.backend import Backend
from varan.chardev.descriptor import DescriptorLine, NonBlocking
from varan.chardev.log import NO_LOG, LogOptions
from varan.chardev.params import Params


class RawMode:
    """A terminal handed over character by character, until `restore`; the end of the process restores it too."""

    def __init__(self, fd: int, *, signals: bool) -> None:
        """`signals`: whether the keys that interrupt (Ctrl-C), quit and suspend keep doing so."""
        self._fd = fd
        self._signals = signals
        self._saved: list[Any] | None = termios.tcgetattr(fd)
        self.apply()
        atexit.register(self.restore)

    def apply(self) -> None:
        """Put the terminal into raw mode (again: a shell resets it while we are suspended)."""
        if self._saved is None:
            return
        mode = termios.tcgetattr(self._fd)
        mode[0] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP | termios.INLCR | termios.IGNCR
            | termios.ICRNL | termios.IXON
        )  # fmt: skip
        mode[1] |= termios.OPOST  # log lines of this program share the screen and end in a bare newline
        mode[2] = (mode[2] & ~(termios.CSIZE | termios.PARENB)) | termios.CS8
        mode[3] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.IEXTEN)
        if not self._signals:
            mode[3] &= ~termios.ISIG
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._fd, termios.TCSANOW, mode)

    def restore(self) -> None:
        """Give the terminal back as it was. May be called twice."""
        if self._saved is not None:
            try:
                termios.tcsetattr(self._fd, termios.TCSANOW, self._saved)
            except termios.error:
                pass  # the terminal itself has gone
            self._saved = None
            atexit.unregister(self.restore)


class Stdio(Backend):
    """`stdio`: input from descriptor 0, output to 1. A terminal is in raw mode between `open` and `close`."""

    _taken: ClassVar[set[int]] = set()
    """Input descriptors in use. A process has one standard input, however many machines live in it."""

    def __init__(
        self, id: str, *, signals: bool = True, log: LogOptions = NO_LOG, input_fd: int = 0, output_fd: int = 1
    ) -> None:
        super().__init__(id, log)
        self._signals = signals
        self._input_fd = input_fd
        self._output_fd = output_fd
        self._descriptors: list[NonBlocking] = []
        self._line: DescriptorLine | None = None
        self._raw: RawMode | None = None
        self._resumes = False
        self._owner = False

    @property
    def filename(self) -> str:
        return "stdio"

    async def acquire(self) -> None:
        if self._input_fd in self._taken:
            raise self.error("another chardev has the standard input; share one stdio chardev with mux=on")
        self._taken.add(self._input_fd)
        self._owner = True
        try:
            source = NonBlocking(self._input_fd, os.O_RDONLY)
            self._descriptors.append(source)
            output = NonBlocking(self._output_fd, os.O_WRONLY)
            self._descriptors.append(output)
        except OSError as error:
            raise self.error(f"standard input and output: {error.strerror}") from error
        if os.isatty(source.fd):
            self._raw = RawMode(self._input_fd, signals=self._signals)
            self._watch_for_resume(self._raw)
        self._line = DescriptorLine(source.fd, output.fd, self._hung_up)
        self.connected(self._line)

    def _watch_for_resume(self, raw: RawMode) -> None:
        try:
            asyncio.get_running_loop().add_signal_handler(signal.SIGCONT, raw.apply)
            self._resumes = True
        except (ValueError, RuntimeError):
            pass  # only the main thread's loop may; a suspended program then comes back in the shell's mode

    def _hung_up(self, error: OSError | None) -> None:
        if self._line is not None:
            self._line.stop()
            self.disconnected(self._line)

    async def release(self) -> None:
        if self._line is not None:
            await self._line.drain()
            self._line.stop()
        if self._raw is not None:
            if self._resumes:
                asyncio.get_running_loop().remove_signal_handler(signal.SIGCONT)
            self._raw.restore()
            self._raw = None
        while self._descriptors:
            self._descriptors.pop().close()
        if self._owner:
            self._taken.discard(self._input_fd)
            self._owner = False


def create(id: str, options: Mapping[str, str]) -> Stdio:
    """A stdio chardev. Raises ChardevError for a bad option."""
    params = Params(id, options)
    log = LogOptions.take(params)
    signals = params.take_bool("signal")
    params.finish()
    return Stdio(id, signals=signals is not False, log=log)
