"""A pair of FIFOs, or one file that goes both ways (`pipe`)."""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Mapping

from varan.chardev.backend import Backend
from varan.chardev.descriptor import DescriptorLine
from varan.chardev.log import NO_LOG, LogOptions
from varan.chardev.params import Params

logger = logging.getLogger(__name__)


class Pipe(Backend):
    """`pipe`: input from PATH.in and output to PATH.out, or both through PATH where the two do not exist.

    All are opened for reading and writing: so it does not matter who comes first, a writer that leaves is no end of
    the input, and output waits in the FIFO for a reader that comes later.
    """

    def __init__(self, id: str, path: str, log: LogOptions = NO_LOG) -> None:
        super().__init__(id, log)
        self._path = path
        self._fds: list[int] = []
        self._line: DescriptorLine | None = None

    @property
    def filename(self) -> str:
        return "pipe"

    async def acquire(self) -> None:
        source, output = f"{self._path}.in", f"{self._path}.out"
        if os.path.exists(source) and os.path.exists(output):
            read_fd, write_fd = self._open(source), self._open(output)
        elif os.path.exists(self._path):
            read_fd = write_fd = self._open(self._path)
        else:
            raise self.error(f"option 'path': there are no FIFOs; make them with: mkfifo {source} {output}")
        self._line = DescriptorLine(read_fd, write_fd, self._failed)
        self.connected(self._line)

    def _open(self, path: str) -> int:
        try:
            fd = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
        except OSError as error:
            raise self.error(f"option 'path': '{path}': {error.strerror}") from error
        self._fds.append(fd)
        mode = os.fstat(fd).st_mode
        if not (stat.S_ISFIFO(mode) or stat.S_ISCHR(mode)):
            raise self.error(f"option 'path': '{path}' is no FIFO; make one with mkfifo, or use the file kind")
        return fd

    def _failed(self, error: OSError | None) -> None:
        logger.warning("chardev '%s': '%s': output ends here: %s", self.id, self._path, error and error.strerror)
        if self._line is not None:
            self._line.stop()
            self.disconnected(self._line)

    async def release(self) -> None:
        if self._line is not None:
            # What a FIFO did not take has no reader that would: waiting changes nothing.
            self._line.stop()
        while self._fds:
            os.close(self._fds.pop())


def create(id: str, options: Mapping[str, str]) -> Pipe:
    """A pipe chardev. Raises ChardevError for a bad option."""
    params = Params(id, options)
    log = LogOptions.take(params)
    path = params.take_required_path("path")
    params.finish()
    return Pipe(id, path, log)
