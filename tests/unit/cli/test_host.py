"""A process that runs one machine, with a machine that only waits."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from varan.api.values import PanicAction, ShutdownCause
from varan.cli import host
from varan.cli.builder import Configuration
from varan.cli.process import InheritedFd, ProcessSpec
from varan.errors import VaranError
from varan.machine.spec import Actions, MachineSpec

PROGRAM = "varan-test"


class WaitingMachine:
    """Runs until somebody ends it; `signal_in` names the step during which the process gets `signal`."""

    def __init__(self, signal_in: str = "start", number: signal.Signals = signal.SIGTERM) -> None:
        self.signal_in = signal_in
        self.number = number
        self.steps: list[str] = []
        self.vcpus: list[Any] = [SimpleNamespace(index=0, thread_id=threading.get_native_id())]
        self.chardevs: dict[str, Any] = {}
        self.problem: VaranError | None = None
        self.ended: asyncio.Future[ShutdownCause]

    def _step(self, name: str) -> None:
        self.steps.append(name)
        if name == self.signal_in:
            os.kill(os.getpid(), self.number)

    async def open(self) -> None:
        self.ended = asyncio.get_running_loop().create_future()
        self._step("open")
        if self.problem:
            raise self.problem
        if self.signal_in == "open":
            await asyncio.Event().wait()

    async def start(self) -> None:
        self._step("start")

    def quit(self, cause: ShutdownCause) -> None:
        self.ended.set_result(cause)

    async def wait_closed(self) -> ShutdownCause:
        cause = await self.ended
        self.steps.append(cause.value)
        return cause


@pytest.fixture(autouse=True)
def unchanged_process() -> Iterator[None]:
    """Put back what hosting a machine changes in this process."""
    root = logging.getLogger("varan")
    interval, comm, log = sys.getswitchinterval(), Path("/proc/self/comm").read_bytes(), (root.handlers, root.level)
    yield
    sys.setswitchinterval(interval)
    Path("/proc/self/comm").write_bytes(comm.strip())
    root.handlers, root.propagate = log[0], True
    root.setLevel(log[1])


def run(machine: WaitingMachine, spec: MachineSpec | None = None, **process: Any) -> int:
    return host.run(Configuration(spec or MachineSpec(), ProcessSpec(**process)), PROGRAM, lambda spec: machine)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_the_machine_with_its_cause(number: signal.Signals) -> None:
    machine = WaitingMachine("start", number)
    assert run(machine) == 0
    assert machine.steps == ["open", "start", "host-signal"]


def test_signal_while_opening_gives_up_and_leaves_no_file(tmp_path: Path) -> None:
    machine = WaitingMachine("open")
    assert run(machine, pidfile=str(tmp_path / "pid")) == 0
    assert machine.steps == ["open"]
    assert list(tmp_path.iterdir()) == []


def test_pid_file_is_there_when_announced_and_gone_at_the_end(tmp_path: Path) -> None:
    seen: list[str] = []
    path = tmp_path / "pid"
    configuration = Configuration(MachineSpec(), ProcessSpec(pidfile=str(path)))
    status = host.run(configuration, PROGRAM, lambda spec: WaitingMachine(), lambda: seen.append(path.read_text()))
    assert (status, seen, path.exists()) == (0, [f"{os.getpid()}\n"], False)


def test_error_while_opening_is_one_line_and_status_1(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    machine = WaitingMachine()
    machine.problem = VaranError("no\nkernel")
    assert run(machine, pidfile=str(tmp_path / "pid")) == 1
    assert capsys.readouterr().err == "varan-test: no\\nkernel\n"
    assert list(tmp_path.iterdir()) == []


def test_guest_panic_fails_the_process_when_asked_to() -> None:
    for action, status in ((PanicAction.EXIT_FAILURE, 1), (PanicAction.SHUTDOWN, 0)):
        machine = WaitingMachine("")

        async def panic(machine: WaitingMachine = machine) -> None:
            machine.quit(ShutdownCause.GUEST_PANIC)

        machine.start = panic  # type: ignore[method-assign]
        assert run(machine, MachineSpec(actions=Actions(panic=action))) == status


def test_descriptor_that_is_not_open_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(WaitingMachine(), inherited_fds=(InheritedFd(987, 4),)) == 1
    assert capsys.readouterr().err == "varan-test: -add-fd fd=987,set=4: fd is not open\n"


def test_inherited_descriptor_is_kept_from_children() -> None:
    reader, writer = os.pipe()
    try:
        os.set_inheritable(writer, True)
        assert run(WaitingMachine(), inherited_fds=(InheritedFd(writer, 1),)) == 0
        assert not os.get_inheritable(writer)
    finally:
        os.close(reader)
        os.close(writer)


def test_process_and_threads_get_their_names() -> None:
    comm = Path("/proc/self/comm")
    assert run(WaitingMachine(), title="guest-of-honour") == 0
    assert comm.read_text() == "guest-of-honour\n"
    assert run(WaitingMachine(), name_threads=True) == 0
    assert comm.read_text() == "CPU 0\n"
    machine = WaitingMachine()
    machine.vcpus.append(SimpleNamespace(index=1, thread_id=threading.get_native_id()))
    assert run(machine, name_threads=True) == 0
    assert comm.read_text() == "CPU 0-1\n"


def test_terminals_are_told_by_name(capsys: pytest.CaptureFixture[str]) -> None:
    machine = WaitingMachine()
    machine.chardevs = {"a": SimpleNamespace(filename="null"), "b": SimpleNamespace(filename="pty:/dev/pts/7")}
    assert run(machine) == 0
    assert capsys.readouterr().out == "char device redirected to /dev/pts/7 (label b)\n"


def test_message_carries_time_and_name(capsys: pytest.CaptureFixture[str]) -> None:
    machine = WaitingMachine()
    machine.problem = VaranError("trouble")
    assert run(machine, timestamps=True, label="vm") == 1
    stamp, name, rest = capsys.readouterr().err.split(" ", 2)
    assert stamp.endswith("Z") and len(stamp) == len("2026-01-01T00:00:00.000000Z")
    assert (name, rest) == ("vm", "varan-test: trouble\n")
