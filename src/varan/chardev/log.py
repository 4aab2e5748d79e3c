"""A chardev's log file: a copy of all that was sent to its other end (`logfile=`, `logappend=`)."""

from __future__ import annotations

import logging
import os
from dataclasses import dataclass

from varan.chardev.base import ChardevError, Pipe
from varan.chardev.params import Params

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class LogOptions:
    """Where the copy goes. `append` keeps what the file had."""

    path: str | None = None
    append: bool = False

    @classmethod
    def take(cls, params: Params) -> LogOptions:
        """The options every kind has. Raises ChardevError."""
        path = params.take_path("logfile")
        append = params.take_bool("logappend")
        if append is not None and path is None:
            raise params.error("option 'logappend' needs logfile=FILE")
        return cls(path, bool(append))


NO_LOG = LogOptions()


class OutputLog:
    """An open log file. A write that fails is reported once and ends the log, not the machine."""

    def __init__(self, id: str, options: LogOptions) -> None:
        """Open the file. Raises ChardevError."""
        assert options.path is not None
        self._id = id
        self._path = options.path
        keep = os.O_APPEND if options.append else os.O_TRUNC
        try:
            self._fd = os.open(options.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | keep, 0o666)
        except OSError as error:
            raise ChardevError(f"chardev '{id}': logfile '{options.path}': {error.strerror}") from error

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Append `data`."""
        if self._fd < 0:
            return
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            logger.warning("chardev '%s': logfile '%s' ends here: %s", self._id, self._path, error.strerror)
            self.close()

    def close(self) -> None:
        """Close the file. May be called twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class LoggedPipe:
    """A pipe that copies what is taken to a log."""

    def __init__(self, pipe: Pipe, log: OutputLog) -> None:
        self._pipe = pipe
        self._log = log
        self.close = pipe.close
        self.pause_input = pipe.pause_input
        self.resume_input = pipe.resume_input

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """See `Pipe.write`."""
        taken = self._pipe.write(data)
        self._log.write(memoryview(data)[:taken])
        return taken
