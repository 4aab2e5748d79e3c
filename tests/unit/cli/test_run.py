"""`varan run`: few options, the same description."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from varan.cli import run
from varan.cli.builder import Configuration
from varan.cli.option import HelpRequested, UsageError
from varan.cli.options import OPTIONS
from varan.cli.parser import Parser
from varan.machine.spec import MIB, BootSpec, ChardevSpec, MonitorMode, MonitorSpec


def parse(*arguments: str) -> argparse.Namespace:
    parser: argparse.ArgumentParser = Parser(prog="varan")
    run.add_parser(parser.add_subparsers(dest="command"))
    return parser.parse_args(["run", *arguments])


def configure(*arguments: str, qmp: str = "/run/q.sock") -> Configuration:
    return run.configure(parse(*arguments), qmp)


def test_without_options_the_demonstration_runs_with_console_and_qmp() -> None:
    machine = configure().machine
    assert machine.boot == BootSpec(demo=True)
    assert machine.memory == 256 * MIB
    assert machine.chardevs == (
        ChardevSpec("serial0", "stdio", {"signal": "off"}, mux=True),
        ChardevSpec("compat_monitor0", "socket", {"path": "/run/q.sock", "server": "on", "wait": "off"}),
    )
    assert machine.serials == ("serial0",)
    assert machine.monitors == (
        MonitorSpec("serial0"),
        MonitorSpec("compat_monitor0", MonitorMode.CONTROL, id="compat_monitor0"),
    )


def test_kernel_boots_with_a_console_on_the_serial_port() -> None:
    assert configure("--kernel", "k").machine.boot == BootSpec(kernel="k", append="console=ttyS0")
    boot = configure("--kernel=k", "--initrd", "i", "--append", "quiet").machine.boot
    assert boot == BootSpec(kernel="k", initrd="i", append="quiet")


def test_options_reach_the_description() -> None:
    configuration = configure(
        *("--memory", "1G", "--cpus", "2", "--accel", "kvm", "--accel", "tcg", "--cpu", "max", "--name", "vm"),
        *("--serial", "null", "--paused", "--no-reboot", "--log", "qmp"),
    )
    machine = configuration.machine
    assert (machine.memory, machine.cpus, machine.cpu_model, machine.name) == (1 << 30, 2, "max", "vm")
    assert machine.accelerators == (("kvm", {}), ("unicorn", {}))
    assert machine.chardevs[0] == ChardevSpec("serial0", "null")
    assert machine.autostart is False
    assert configuration.process.log_items == ("qmp",)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--initrd", "i"], "--initrd needs --kernel"),
        (["--append", "a"], "--append needs --kernel"),
        (["--kernel", "k", "--demo"], "--kernel and --demo cannot be used together"),
        (["--memory", "x"], "--memory x: parameter 'size' expects a size such as 256M or 1.5G, below 2^64, not 'x'"),
        (["--accel", "x"], "--accel x: invalid accelerator x; known are kvm, unicorn"),
        (["--kernel"], "argument --kernel: expected one argument"),
    ],
)
def test_error_names_the_option_as_spelled(arguments: list[str], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        configure(*arguments)
    assert str(caught.value) == message


def test_log_help_lists_items() -> None:
    with pytest.raises(HelpRequested, match="chardev"):
        configure("--log", "help")


def test_every_flag_means_an_option_of_the_table() -> None:
    assert {flag.means for flag in run.FLAGS} <= {option.name for option in OPTIONS}


@pytest.mark.parametrize(
    ("address", "device", "target"),
    [
        ("/tmp/a,b", "unix:/tmp/a,,b,server=on,wait=off", "/tmp/a,b"),
        ("vm.sock", "unix:vm.sock,server=on,wait=off", "vm.sock"),
        ("unix:vm.sock,server=on", "unix:vm.sock,server=on", "vm.sock"),
        ("tcp:127.0.0.1:4444", "tcp:127.0.0.1:4444,server=on,wait=off", "tcp:127.0.0.1:4444"),
    ],
)
def test_qmp_address_in_both_notations(address: str, device: str, target: str) -> None:
    assert (run.qmp_device(address), run.qmp_target(address)) == (device, target)


def test_socket_folder_is_private_and_in_the_runtime_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    folder = run.make_socket_folder()
    assert folder.parent == tmp_path
    assert folder.stat().st_mode & 0o777 == 0o700
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path / "absent"))
    other = run.make_socket_folder()
    other.rmdir()
    assert other.parent != tmp_path


def test_announcement_says_how_to_talk_boot_and_leave() -> None:
    lines: list[str] = []
    run._announce("/run/my vm/q.sock", parse(), lines.append)
    text = "".join(lines)
    assert text.count("\n") == 3
    assert "varan qmp '/run/my vm/q.sock' query-status" in text
    assert "varan run --kernel" in text
    assert "Ctrl-A x" in text


def test_announcement_names_the_key_that_works() -> None:
    lines: list[str] = []
    run._announce("q.sock", parse("--serial", "pty"), lines.append)
    assert lines[-1] == "Leave:            Ctrl-C\n"
