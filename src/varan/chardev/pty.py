"""A pseudo terminal, made for whoever opens it (`pty`)."""

from __future__ import annotations

import asyncio
import os
import select
import tty
from collections.abc import Mapping

from varan.chardev.backend import Backend
from varan.chardev.descriptor import DescriptorLine
from varan.chardev.log import NO_LOG, LogOptions
from varan.chardev.params import Params

POLL_SECONDS = 0.25
"""How often to look whether somebody has opened it: a terminal does not tell."""


class Pty(Backend):
    """`pty`: whoever opens its terminal is connected; with nobody there output is dropped."""

    def __init__(self, id: str, log: LogOptions = NO_LOG, poll_seconds: float = POLL_SECONDS) -> None:
        super().__init__(id, log)
        self._poll_seconds = poll_seconds
        self._master = -1
        self._terminal = ""
        self._line: DescriptorLine | None = None
        self._timer: asyncio.TimerHandle | None = None

    @property
    def filename(self) -> str:
        return f"pty:{self._terminal}"

    @property
    def terminal(self) -> str:
        """The path to open (/dev/pts/3), empty before `open`."""
        return self._terminal

    async def acquire(self) -> None:
        try:
            self._master, slave = os.openpty()
            try:
                self._terminal = os.ttyname(slave)
                tty.setraw(slave)
            finally:
                os.close(slave)
        except OSError as error:
            raise self.error(f"no pseudo terminal to be had (is /dev/pts mounted?): {error.strerror}") from error
        os.set_blocking(self._master, False)
        self._poll()

    def _poll(self) -> None:
        self._timer = None
        if self._somebody_there():
            self._line = DescriptorLine(self._master, self._master, self._hung_up, ends_with_input=True)
            self.connected(self._line)
        else:
            self._timer = asyncio.get_running_loop().call_later(self._poll_seconds, self._poll)

    def _somebody_there(self) -> bool:
        poller = select.poll()
        poller.register(self._master, 0)
        return not any(events & select.POLLHUP for _, events in poller.poll(0))

    def _hung_up(self, error: OSError | None) -> None:
        if self._line is None:
            return
        line, self._line = self._line, None
        line.stop()
        self.disconnected(line)
        self._poll()

    async def release(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._line is not None:
            await self._line.drain()
            self._line.stop()
            self._line = None
        if self._master >= 0:
            os.close(self._master)
            self._master = -1


def create(id: str, options: Mapping[str, str]) -> Pty:
    """A pty chardev. Raises ChardevError for a bad option."""
    params = Params(id, options)
    log = LogOptions.take(params)
    params.finish()
    return Pty(id, log)
