"""What every kind of chardev shares: who its frontend is, its log file, and the life of one connection."""

from __future__ import annotations

import abc
import logging
from collections.abc import Callable
from typing import Protocol

from varan.chardev.base import Chardev, ChardevError, Frontend, Pipe
from varan.chardev.log import LoggedPipe, LogOptions, OutputLog

logger = logging.getLogger(__name__)


class Line(Pipe, Protocol):
    """A connection as its chardev sees it. It reads nothing before `start`."""

    def start(self, frontend: Frontend) -> None:
        """Deliver input to `frontend` from now on, unless that has paused it."""


class Backend(Chardev):
    """A chardev that hands each connection to a frontend.

    Kinds implement `acquire` and `release`; they call `connected` and `disconnected`. With `attach` there is one
    frontend for every connection, one after the other; with `attach_each` each has one of its own.
    """

    def __init__(self, id: str, log: LogOptions) -> None:
        super().__init__(id)
        self._log_options = log
        self._log: OutputLog | None = None
        self._factory: Callable[[], Frontend] | None = None
        self._lines: dict[Line, Frontend | None] = {}
        self._left: set[Line] = set()
        """Those whose frontend has left, paused."""

    @abc.abstractmethod
    async def acquire(self) -> None:
        """Get the host resource; see `open`."""

    @abc.abstractmethod
    async def release(self) -> None:
        """Give back whatever there is of the host resource; called also when `acquire` failed or never ran."""

    @property
    def frontend_open(self) -> bool:
        return self._factory is not None

    @property
    def is_connected(self) -> bool:
        """Whether anybody is at the other end."""
        return bool(self._lines)

    def error(self, problem: str) -> ChardevError:
        """The error that says `problem` about this chardev."""
        return ChardevError(f"chardev '{self.id}': {problem}")

    async def open(self) -> None:
        try:
            if self._log_options.path is not None and self._log is None:
                self._log = OutputLog(self.id, self._log_options)
            await self.acquire()
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        await self.release()
        for line in list(self._lines):
            self.disconnected(line)
        if self._log is not None:
            self._log.close()
            self._log = None

    def attach(self, frontend: Frontend) -> None:
        self._take_frontends(lambda: frontend)
        self.frontend = frontend

    def detach(self, frontend: Frontend) -> None:
        if self.frontend is not frontend:
            return
        self._factory = self.frontend = None
        for line in self._lines:
            self._lines[line] = None
            self._left.add(line)
            line.pause_input()

    def attach_each(self, factory: Callable[[], Frontend]) -> None:
        self._take_frontends(factory)

    def discard(self, data: bytes | bytearray | memoryview) -> None:
        if self._log is not None:
            self._log.write(data)

    def connected(self, line: Line) -> None:
        """Somebody is at the other end of `line`."""
        logger.info("chardev '%s': connected: %s", self.id, self.filename)
        self._lines[line] = None
        if self._factory is not None:
            self._introduce(line, self._factory)

    def disconnected(self, line: Line) -> None:
        """Nobody is at the other end of `line` any more. Said twice it is heard once."""
        if line in self._lines:
            logger.info("chardev '%s': disconnected", self.id)
        self._left.discard(line)
        frontend = self._lines.pop(line, None)
        if frontend is not None:
            frontend.closed()

    def _take_frontends(self, factory: Callable[[], Frontend]) -> None:
        if self._factory is not None:
            raise self.error("is in use already; give each user a chardev of its own, or share this one with mux=on")
        self._factory = factory
        for line in list(self._lines):
            self._introduce(line, factory)

    def _introduce(self, line: Line, factory: Callable[[], Frontend]) -> None:
        frontend = factory()
        self._lines[line] = frontend
        frontend.opened(line if self._log is None else LoggedPipe(line, self._log))
        if line in self._lines:
            line.start(frontend)
            if line in self._left:
                self._left.remove(line)
                line.resume_input()
