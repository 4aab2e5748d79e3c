"""The two programs as processes, with the demonstration guest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.support.program import PATIENCE, Program, RawQmp, wait_until_gone

SYSTEM = "varan.cli.system"
QMP = ("-qmp", "unix:vm.sock,server=on,wait=off")
DEMO = ("-demo", "-display", "none", "-accel", "unicorn", "-m", "64")


def system(folder: Path, *arguments: str) -> Program:
    return Program(SYSTEM, arguments, folder)


def run_to_end(folder: Path, arguments: Sequence[str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", SYSTEM, *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_console_on_the_terminal_and_qmp_on_a_socket(tmp_path: Path) -> None:
    with system(tmp_path, *DEMO, *QMP, "-serial", "stdio", "-name", "vm") as program:
        program.expect("varan> ")
        program.type("echo hello\r")
        program.expect("hello\r\nhello")
        qmp = RawQmp(tmp_path / "vm.sock")
        assert "QMP" in qmp.greeting
        assert qmp.execute("query-status")["status"] == "running"
        assert qmp.execute("query-name") == {"name": "vm"}
        qmp.execute("quit")
        assert [event["event"] for event in qmp.events_to_the_end()] == ["SHUTDOWN"]
        qmp.close()
        assert program.end() == (0, "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_signal_ends_the_machine_and_leaves_no_file(number: signal.Signals, tmp_path: Path) -> None:
    with system(tmp_path, *DEMO, *QMP, "-pidfile", "pid") as program:
        qmp = RawQmp(tmp_path / "vm.sock")
        assert (tmp_path / "pid").read_text() == f"{program.process.pid}\n"
        program.process.send_signal(number)
        shutdown = qmp.events_to_the_end()[-1]
        assert (shutdown["event"], shutdown["data"]) == ("SHUTDOWN", {"guest": False, "reason": "host-signal"})
        qmp.close()
        assert program.end() == (0, "")
    assert list(tmp_path.iterdir()) == []


def test_every_log_item_has_something_to_say(tmp_path: Path) -> None:
    log = ["-d", "accel,chardev,hmp,machine,qmp", "-D", "log", "-msg", "timestamp=on"]
    with system(tmp_path, *DEMO, *QMP, *log) as program:
        qmp = RawQmp(tmp_path / "vm.sock")
        qmp.execute("human-monitor-command", **{"command-line": "info status"})
        qmp.execute("quit")
        qmp.close()
        assert program.end() == (0, "")
    lines = (tmp_path / "log").read_text().splitlines()
    assert all(line.split("Z varan-system-x86_64: ")[0].count(":") == 2 for line in lines), lines
    for part in ("accelerator unicorn", "connected: unix:vm.sock", "'info status'", "prelaunch -> running", "quit"):
        assert any(part in line for line in lines), part


def test_escape_key_ends_the_machine_from_its_console(tmp_path: Path) -> None:
    with system(tmp_path, "-demo", "-nographic", "-accel", "unicorn") as program:
        program.expect("varan> ")
        program.type("\x01c")
        program.type("info status\r")
        program.expect("VM status: running")
        program.type("\x01x")
        assert program.end()[0] == 0


def test_guest_waits_for_cont_when_told_to(tmp_path: Path) -> None:
    with system(tmp_path, *DEMO, *QMP, "-serial", "stdio", "-S") as program:
        qmp = RawQmp(tmp_path / "vm.sock")
        assert qmp.execute("query-status")["status"] == "prelaunch"
        qmp.execute("cont")
        program.expect("varan> ")
        qmp.close()
        assert program.end(signal.SIGTERM) == (0, "")


def test_daemon_is_reachable_when_the_command_returns(tmp_path: Path) -> None:
    done = run_to_end(tmp_path, [*DEMO, *QMP, "-daemonize", "-pidfile", "pid"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    pid = int((tmp_path / "pid").read_text())
    try:
        qmp = RawQmp(tmp_path / "vm.sock")
        assert qmp.execute("query-status")["running"] is True
        assert {os.readlink(f"/proc/{pid}/fd/{number}") for number in range(3)} == {"/dev/null"}
        qmp.close()
    finally:
        os.kill(pid, signal.SIGTERM)
        wait_until_gone(pid)
    assert list(tmp_path.iterdir()) == []


def test_daemon_that_cannot_start_fails_the_command(tmp_path: Path) -> None:
    done = run_to_end(tmp_path, ["-display", "none", "-kernel", "absent", "-daemonize", "-pidfile", "pid", *QMP])
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.splitlines()[-1].startswith("varan-system-x86_64: ")
    assert "absent" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_second_machine_on_the_same_pid_file_is_refused(tmp_path: Path) -> None:
    with system(tmp_path, *DEMO, *QMP, "-pidfile", "pid") as program:
        RawQmp(tmp_path / "vm.sock").close()
        done = run_to_end(tmp_path, [*DEMO, "-pidfile", "pid"])
        assert done.returncode == 1
        assert done.stderr.endswith(f"another process holds '{tmp_path / 'pid'}'\n")
        assert (tmp_path / "pid").exists()
        assert program.end(signal.SIGTERM)[0] == 0


def test_signal_while_waiting_for_a_client_ends_the_program(tmp_path: Path) -> None:
    with system(tmp_path, *DEMO, "-qmp", "unix:vm.sock,server=on,wait=on") as program:
        while not (tmp_path / "vm.sock").exists():
            assert program.process.poll() is None
        assert program.end(signal.SIGTERM)[0] == 0
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        (["-kernel", "absent"], "absent"),
        (["-kernel", "empty"], "empty"),
        (["-demo", "-m", "100T"], "104857600 MiB"),
        (["-demo", "-cpu", "Cray"], "Cray"),
        (["-demo", "-serial", "unix:absent/s,server=on,wait=off"], "absent/s"),
        (["-demo", "-chardev", "null,id=a,colour=red"], "colour"),
        (["-demo", "-accel", "unicorn,colour=red"], "colour"),
        (["-bios", "absent"], "absent"),
        (["-demo", "-D", "absent/log"], "absent/log"),
    ],
)
def test_what_cannot_be_had_is_one_line(arguments: list[str], part: str, tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    accel = [] if "-accel" in arguments else ["-accel", "unicorn"]
    done = run_to_end(tmp_path, ["-display", "none", *accel, *arguments])
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (1, "", 1), done.stderr
    assert done.stderr.startswith("varan-system-x86_64: ")
    assert part in done.stderr


def test_inherited_descriptor_takes_the_console(tmp_path: Path) -> None:
    target = os.open(tmp_path / "console", os.O_RDWR | os.O_CREAT)
    try:
        line = [*DEMO, *QMP, "-add-fd", f"fd={target},set=4", "-serial", "file:/dev/fdset/4"]
        command = [sys.executable, "-m", SYSTEM, *line]
        with subprocess.Popen(command, cwd=tmp_path, pass_fds=[target]) as process:
            qmp = RawQmp(tmp_path / "vm.sock")
            while b"varan> " not in (tmp_path / "console").read_bytes():
                assert process.poll() is None
            qmp.execute("quit")
            qmp.close()
            assert process.wait(PATIENCE) == 0
    finally:
        os.close(target)


def test_run_tells_how_to_talk_to_it_and_cleans_up(tmp_path: Path) -> None:
    with Program("varan.cli.main", ["run", "--accel", "unicorn"], tmp_path) as program:
        program.expect("varan> ")
        (socket_path,) = tmp_path.glob("varan-*/qmp.sock")
        announced = f"varan qmp {socket_path} query-status"
        command = [sys.executable, "-m", "varan.cli.main", *announced.split()[1:]]
        done = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert (done.returncode, json.loads(done.stdout)["status"]) == (0, "running")
        program.type("\x01x")
        status, errors = program.end()
    assert status == 0
    assert announced in errors
    assert len(errors.splitlines()) == 3
    assert list(tmp_path.iterdir()) == []
