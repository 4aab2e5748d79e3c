"""A machine, in a process of its own, whose guest writes records to two disks, until it is killed."""

from __future__ import annotations

import json
import select
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.support import record_guest as guest
from tests.support.program import PATIENCE, connect
from varan.block import blocking

VARAN = str(Path(sys.executable).with_name("varan-system-x86_64"))
DISKS = 2
LAYERS = [("base", "raw", 150), ("mid", "qcow2", 170), ("top", "qcow2", 180)]
"""Images of a new disk from the lowest on, and the last record in each."""
FIRST = LAYERS[-1][2] + 1
"""The guest's first record."""


class GoneError(Exception):
    """The machine is no more."""


class RefusedError(Exception):
    """A command's error."""


def make_disks(directory: Path) -> None:
    """The guest's program, and the chains base0.raw, mid0.qcow2, top0.qcow2, base1.raw..."""
    guest.make_guest(directory / "guest.elf")
    for disk in range(DISKS):
        below: dict[str, Any] = {}
        record = 1
        for name, format, last in LAYERS:
            path = directory / f"{name}{disk}.{format}"
            blocking.create(str(path), guest.SIZE, format=format, **below)
            with blocking.open(str(path), format=format) as image:
                for number in range(record, last + 1):
                    for piece in guest.pieces(disk, number):
                        if piece.zero:
                            image.write_zeroes(piece.first * guest.SECTOR, piece.length * guest.SECTOR)
                        else:
                            image.write(piece.first * guest.SECTOR, guest.data(disk, number, piece))
            record = last + 1
            below = {"backing_file": path.name, "backing_fmt": format}


def copy_disks(source: Path, directory: Path) -> None:
    """What `make_disks` made, once more."""
    for path in source.iterdir():
        shutil.copyfile(path, directory / path.name)


class CutMachine:
    """The process, and a QMP client that remembers events. `with` ends it."""

    def __init__(self, directory: Path, drives: Sequence[str], line: str, more: Sequence[str] = ()) -> None:
        """`drives`: options of each -drive but its id. `line`: the guest's command line. `more`: further options."""
        self.directory = directory
        self._report = directory / "report"
        words = [VARAN, "-accel", "unicorn", "-m", "16", "-nodefaults", "-display", "none"]
        words += ["-kernel", str(directory / "guest.elf"), "-append", line, "-debugcon", f"file:{self._report}"]
        words += ["-qmp", f"unix:{directory}/qmp,server=on,wait=off"]
        for number, drive in enumerate(drives):
            words += ["-drive", f"if=none,id=disk{number},{drive}"]
            words += ["-device", f"virtio-blk-pci,drive=disk{number},queue-size=64"]
        words += more
        self._errors = open(directory / "errors", "w+")  # noqa: SIM115 (the process writes to it)
        self.process = subprocess.Popen(words, cwd=directory, stdout=subprocess.DEVNULL, stderr=self._errors)
        self.events: list[dict[str, Any]] = []
        self._socket: socket.socket | None = None
        self._buffer = b""
        self._asked = 0

    def __enter__(self) -> CutMachine:
        self._socket = connect(self.directory / "qmp")
        self._next(time.monotonic() + PATIENCE)
        self.execute("qmp_capabilities")
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        if self._socket is not None:
            self._socket.close()
        self._errors.close()

    def kill(self) -> None:
        """The power goes."""
        self.process.kill()
        self.process.wait()

    def kill_in(self, seconds: float) -> None:
        """It goes then, whatever is under way."""
        threading.Timer(seconds, self.process.kill).start()

    def complaints(self) -> str:
        """What it said on its standard error."""
        return (self.directory / "errors").read_text()

    def numbers(self) -> dict[tuple[str, int], int]:
        """The last number that the guest has said by letter and disk."""
        said = guest.reports(self._report.read_text()) if self._report.exists() else []
        return {(letter, disk): number for letter, disk, number in said}

    def flushed(self, disk: int) -> int:
        """The record up to which all of a disk are flushed."""
        return self.numbers().get(("F", disk), FIRST - 1)

    def _next(self, deadline: float) -> dict[str, Any] | None:
        """The next message, None when there is none up to `deadline`."""
        assert self._socket is not None
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._socket], [], [], max(0, deadline - time.monotonic()))
            if not ready:
                return None
            try:
                more = self._socket.recv(1 << 16)
            except OSError:
                more = b""
            if not more:
                raise GoneError
            self._buffer += more
        line, _, self._buffer = self._buffer.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def execute(self, command: str, **arguments: Any) -> Any:
        """What a command returns. Raises RefusedError, GoneError."""
        assert self._socket is not None
        self._asked += 1
        arguments = {name.replace("_", "-"): value for name, value in arguments.items() if value is not None}
        try:
            self._socket.sendall(
                json.dumps({"execute": command, "arguments": arguments, "id": self._asked}).encode() + b"\n"
            )
        except OSError:
            raise GoneError from None
        deadline = time.monotonic() + PATIENCE
        while (message := self._next(deadline)) is not None:
            if "event" in message:
                self.events.append(message)
            elif message.get("id") == self._asked:
                if "error" in message:
                    raise RefusedError(command, arguments, message["error"])
                return message["return"]
        raise AssertionError(f"no answer to {command}")

    def quit(self) -> None:
        """End it in order; fails where it complains of more than faults that were asked for."""
        self.execute("quit")
        status, complaints = self.process.wait(PATIENCE), self.complaints().splitlines()
        assert all("blkdebug" in line for line in complaints), complaints
        assert status == 0 or complaints, status

    def listen(self, seconds: float) -> None:
        """Take what comes in that time."""
        deadline = time.monotonic() + seconds
        while (message := self._next(deadline)) is not None:
            self.events.append(message)

    def until(self, *names: str, device: str) -> dict[str, Any]:
        """Wait for one of these events of a job, and forget those before it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            for at, event in enumerate(self.events):
                if event["event"] in names and event["data"]["device"] == device:
                    del self.events[: at + 1]
                    return event
            message = self._next(deadline)
            assert message is not None, f"none of {names} came"
            self.events.append(message)

    def wait_for_record(self, record: int) -> None:
        """Wait until all disks have got so far."""
        deadline = time.monotonic() + PATIENCE
        while min(map(self.flushed, range(DISKS))) < record:
            assert self.process.poll() is None, self.complaints()
            assert time.monotonic() < deadline, "the guest does not get on"
            time.sleep(0.005)


def read_by_guest(directory: Path, drives: Sequence[str]) -> list[tuple[int, int]]:
    """A new machine's guest reads disks: of each, the number of sectors that are not whole, and the sum."""
    with CutMachine(directory, drives, f"v 0 {guest.QUARTER:x} 0") as machine:
        deadline = time.monotonic() + PATIENCE
        while ("D", len(drives)) not in (numbers := machine.numbers()):
            assert machine.process.poll() is None, machine.complaints()
            assert time.monotonic() < deadline, f"the guest does not come to an end: {numbers}"
            time.sleep(0.005)
    return [(numbers["B", disk], numbers["V", disk]) for disk in range(len(drives))]
