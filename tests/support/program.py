"""Varan's programs as processes of their own, and what talks to them."""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

PATIENCE = 60.0
"""Seconds after which something that should have happened has not."""


class Program:
    """A running program with pipes to its terminal streams; use it in `with`, which ends it."""

    def __init__(self, module: str, arguments: Sequence[str], folder: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=folder,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "XDG_RUNTIME_DIR": str(folder)},
        )
        self.seen = b""

    def __enter__(self) -> Program:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate(timeout=PATIENCE)

    def type(self, text: str) -> None:
        """Send `text` to the program's standard input."""
        assert self.process.stdin is not None
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def expect(self, text: str) -> str:
        """Read the standard output up to `text`; returns what came before it."""
        assert self.process.stdout is not None
        wanted, deadline = text.encode(), time.monotonic() + PATIENCE
        while wanted not in self.seen:
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            data = os.read(self.process.stdout.fileno(), 4096) if ready else b""
            if not data:
                why = "output ended" if ready else "time is up"
                raise AssertionError(f"{why} before {text!r} came; seen: {self.seen!r}")
            self.seen += data
        before, _, self.seen = self.seen.partition(wanted)
        return before.decode(errors="replace")

    def end(self, number: signal.Signals | None = None) -> tuple[int, str]:
        """Send a signal (None: none) and wait for the end: the exit status and the standard error output."""
        if number is not None:
            self.process.send_signal(number)
        _, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, errors.decode()


class RawQmp:
    """A QMP connection over a unix socket that knows nothing but lines of JSON."""

    def __init__(self, path: Path) -> None:
        self._socket = connect(path)
        self._lines = self._socket.makefile("rb")
        self.events: list[dict[str, Any]] = []
        self.greeting = self.read()
        self.execute("qmp_capabilities")

    def read(self) -> dict[str, Any]:
        """The next message; an empty one when the connection has ended."""
        line = self._lines.readline()
        message: dict[str, Any] = json.loads(line) if line else {}
        return message

    def execute(self, command: str, **arguments: Any) -> Any:
        """What `command` returns; events that come before it are kept. Fails for an error."""
        self._socket.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        while "event" in (message := self.read()):
            self.events.append(message)
        return message["return"]

    def events_to_the_end(self) -> list[dict[str, Any]]:
        """All events until the other side closes the connection."""
        while message := self.read():
            self.events.append(message)
        return self.events

    def close(self) -> None:
        """Leave."""
        self._lines.close()
        self._socket.close()


def connect(path: Path) -> socket.socket:
    """A connection to the listening socket `path`, as soon as there is one."""
    deadline = time.monotonic() + PATIENCE
    while True:
        client = socket.socket(socket.AF_UNIX)
        client.settimeout(PATIENCE)
        try:
            client.connect(str(path))
        except (FileNotFoundError, ConnectionRefusedError):
            client.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return client


def wait_until_gone(pid: int) -> None:
    """Wait until the process `pid` has ended, which is nobody's child here."""
    deadline = time.monotonic() + PATIENCE
    while Path(f"/proc/{pid}").exists():
        assert time.monotonic() < deadline, f"process {pid} is still there"
        time.sleep(0.01)
