"""Output into a file, and input from another (`file`)."""

from __future__ import annotations

import errno
import logging
import os
import stat
from collections.abc import Mapping

from varan.chardev.backend import Backend
from varan.chardev.descriptor import DescriptorLine
from varan.chardev.log import NO_LOG, LogOptions
from varan.chardev.params import Params

logger = logging.getLogger(__name__)


class File(Backend):
    """`file`: output goes to `path`; input, where there is any, comes from `input_path`."""

    def __init__(
        self, id: str, path: str, *, append: bool = False, input_path: str | None = None, log: LogOptions = NO_LOG
    ) -> None:
        super().__init__(id, log)
        self._path = path
        self._append = append
        self._input_path = input_path
        self._fds: list[int] = []
        self._line: DescriptorLine | None = None

    @property
    def filename(self) -> str:
        return "file"

    async def acquire(self) -> None:
        keep = os.O_APPEND if self._append else os.O_TRUNC
        output = self._open("path", self._path, os.O_WRONLY | os.O_CREAT | keep)
        source = None
        if self._input_path is not None:
            source = self._open("input-path", self._input_path, os.O_RDONLY)
        self._line = DescriptorLine(source, output, self._failed)
        self.connected(self._line)

    def _open(self, option: str, path: str, flags: int) -> int:
        try:
            # O_NONBLOCK matters when it is a FIFO or terminal, which must not hold up the machine.
            fd = os.open(path, flags | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC, 0o666)
        except OSError as error:
            why = error.strerror
            if error.errno == errno.ENXIO and stat.S_ISFIFO(os.stat(path).st_mode):
                why = "nobody reads this FIFO; use the pipe kind, or start its reader first"
            raise self.error(f"option '{option}': '{path}': {why}") from error
        self._fds.append(fd)
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise self.error(f"option '{option}': '{path}' is a directory")
        return fd

    def _failed(self, error: OSError | None) -> None:
        logger.warning("chardev '%s': '%s': output ends here: %s", self.id, self._path, error and error.strerror)
        if self._line is not None:
            self._line.stop()
            self.disconnected(self._line)

    async def release(self) -> None:
        if self._line is not None:
            await self._line.drain()
            self._line.stop()
        while self._fds:
            os.close(self._fds.pop())


def create(id: str, options: Mapping[str, str]) -> File:
    """A file chardev. Raises ChardevError for a bad option."""
    params = Params(id, options)
    log = LogOptions.take(params)
    path = params.take_required_path("path")
    append = params.take_bool("append")
    input_path = params.take_path("input-path")
    params.finish()
    return File(id, path, append=bool(append), input_path=input_path, log=log)
