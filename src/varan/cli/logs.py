"""The process's log: what -d and -D choose, how a line looks, where it goes."""

from __future__ import annotations

import logging
import os
import time
from typing import IO

from varan.cli.process import ProcessSpec
from varan.errors import VaranError

ITEMS = {
    "accel": "the choice of an accelerator, and its work",
    "block": "disks: block jobs, errors",
    "chardev": "character devices: connections, errors",
    "hmp": "human monitors",
    "ide": "IDE drives: requests that the host fails",
    "jobs": "jobs that fail",
    "machine": "run states and the life of the machine",
    "net": "network back ends: connections, errors, what guests do wrong",
    "qmp": "QMP sessions",
    "virtio": "virtio devices: drivers that break the rules",
    "all": "everything",
}
"""Item: what it logs. Items other than `all` are the first part of a logger's name after `varan.`."""


class MessageFormat:
    """How a message for the user looks: `[time] [guest name] program: text`."""

    def __init__(self, program: str, spec: ProcessSpec) -> None:
        self._program = program
        self._timestamps = spec.timestamps
        self._label = spec.label

    def format(self, text: str, seconds: float | None = None) -> str:
        """The line for `text`; `seconds` since the epoch, now unless given."""
        parts = []
        if self._timestamps:
            parts.append(_timestamp(time.time() if seconds is None else seconds))
        if self._label:
            parts.append(self._label)
        parts.append(f"{self._program}: {text}")
        return " ".join(parts)


class _Formatter(logging.Formatter):
    def __init__(self, message_format: MessageFormat) -> None:
        super().__init__()
        self._message_format = message_format

    def format(self, record: logging.LogRecord) -> str:
        text = record.getMessage()
        if record.exc_info:
            text = f"{text}\n{self.formatException(record.exc_info)}"
        return self._message_format.format(text, record.created)


def configure(spec: ProcessSpec, message_format: MessageFormat, stream: IO[str]) -> None:
    """Send Varan's log to `stream` or to -D's file, in which `%d` is the process's number.

    Raises VaranError when the file cannot be opened.
    """
    handler: logging.Handler
    if spec.log_file is None:
        handler = logging.StreamHandler(stream)
    else:
        path = spec.log_file.replace("%d", str(os.getpid()))
        try:
            handler = logging.FileHandler(path)
        except OSError as error:
            raise VaranError(f"cannot open log file '{path}': {error.strerror}") from error
    handler.setFormatter(_Formatter(message_format))
    root = logging.getLogger("varan")
    root.handlers = [handler]
    root.propagate = False
    root.setLevel(logging.DEBUG if "all" in spec.log_items else logging.WARNING)
    for item in ITEMS:
        if item != "all":
            wanted = item in spec.log_items
            logging.getLogger(f"varan.{item}").setLevel(logging.DEBUG if wanted else logging.NOTSET)
    if spec.announce_accelerator and not {"accel", "all"}.intersection(spec.log_items):
        logging.getLogger("varan.accel").setLevel(logging.INFO)


def _timestamp(seconds: float) -> str:
    """UTC, ISO 8601, to the microsecond."""
    whole, fraction = divmod(seconds, 1)
    return f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(whole))}.{int(fraction * 1_000_000):06d}Z"
