"""`varan run`: a machine with its console in this terminal, by options that say what they mean."""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from varan.cli.builder import Builder, Configuration
from varan.cli.option import Occurrence, UsageError
from varan.cli.options import OPTIONS
from varan.core.keyval import escape

if TYPE_CHECKING:
    Subparsers = argparse._SubParsersAction[argparse.ArgumentParser]

PROGRAM = "varan run"
DEFAULT_MEMORY = "256M"
DEFAULT_APPEND = "console=ttyS0"
_ADDRESS_KINDS = ("unix:", "tcp:", "telnet:", "chardev:", "pipe:", "file:")


@dataclass(frozen=True, slots=True)
class Flag:
    """An option of `varan run`: the row of the option table whose meaning it has."""

    name: str
    means: str
    placeholder: str | None
    help: str
    default: str | None = None
    repeatable: bool = False
    form: str = "{}"
    """What the option of the table is given; the braces stand for the flag's argument."""


FLAGS = (
    Flag("kernel", "kernel", "FILE", "Linux kernel to boot: bzImage or 64-bit ELF"),
    Flag("initrd", "initrd", "FILE", "the kernel's initial RAM disk"),
    Flag("append", "append", "TEXT", f"the kernel's command line (default with --kernel: {DEFAULT_APPEND})"),
    Flag("demo", "demo", None, "boot the built-in demonstration guest (default without --kernel)"),
    Flag(
        "disk",
        "drive",
        "FILE",
        "image of a (virtio) disk, its format guessed",
        repeatable=True,
        form="if=virtio,file={}",
    ),
    Flag("cdrom", "cdrom", "FILE", "image of an optical disc, in an IDE drive"),
    Flag("memory", "m", "SIZE", "guest memory, like 512M or 2G", DEFAULT_MEMORY),
    Flag("cpus", "smp", "N", "number of CPUs", "1"),
    Flag("accel", "accel", "NAME", "who runs the CPUs: kvm or unicorn", repeatable=True),
    Flag("cpu", "cpu", "MODEL", "CPU model"),
    Flag("name", "name", "NAME", "the machine's name"),
    Flag("serial", "serial", "DEVICE", "where the serial port leads", "mon:stdio", repeatable=True),
    Flag("paused", "S", None, "wait for `cont` before the guest runs"),
    Flag("no-reboot", "no-reboot", None, "end when the guest resets the machine"),
    Flag("log", "d", "ITEMS", "log these subjects; `--log help` lists them"),
)


def add_parser(subparsers: Subparsers) -> None:
    """Describe `varan run` to the `varan` command's parser."""
    parser = subparsers.add_parser(
        "run",
        help="start a machine with its console in this terminal",
        description="Start a machine with its console in this terminal. Without --kernel it runs the built-in "
        "demonstration guest. Ctrl-A x leaves, Ctrl-A c changes between console and monitor.",
    )
    for flag in FLAGS:
        text = flag.help + (f" (default: {flag.default})" if flag.default else "")
        if flag.placeholder is None:
            parser.add_argument(f"--{flag.name}", action="store_true", help=text)
        else:
            action = "append" if flag.repeatable else "store"
            parser.add_argument(f"--{flag.name}", metavar=flag.placeholder, action=action, help=text)
    parser.add_argument(
        "--qmp", metavar="ADDRESS", help="QMP socket: a path, or unix:PATH or tcp:HOST:PORT (default: a new path)"
    )


def run(args: argparse.Namespace) -> int:
    """Run the machine; returns the exit status. Raises VaranError."""
    folder = None if args.qmp else make_socket_folder()
    try:
        address = args.qmp or str(folder / "qmp.sock" if folder else "")
        configuration = configure(args, address)
        from varan.cli import host

        return host.run(configuration, PROGRAM, announce=lambda: _announce(qmp_target(address), args))
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


def configure(args: argparse.Namespace, qmp: str) -> Configuration:
    """What the parsed arguments ask for, with a QMP monitor at `qmp`. Raises UsageError and HelpRequested."""
    builder = Builder(PROGRAM)
    table = {option.name: option for option in OPTIONS}
    for flag in FLAGS:
        for value in _values(flag, getattr(args, flag.name.replace("-", "_"))):
            argument = value if flag.form == "{}" else flag.form.format(escape(value))
            Occurrence(table[flag.means], f"--{flag.name}", argument).apply(builder)
    Occurrence(table["qmp"], "--qmp", qmp_device(qmp)).apply(builder)
    boot = builder.boot
    if boot.kernel is None:
        if boot.initrd is not None:
            raise UsageError("--initrd needs --kernel")
        if boot.append is not None:
            raise UsageError("--append needs --kernel")
        boot.demo = True
    elif boot.demo:
        raise UsageError("--kernel and --demo cannot be used together")
    elif boot.append is None:
        boot.append = DEFAULT_APPEND
    return builder.finish()


def qmp_device(address: str) -> str:
    """`address` in the short form of QEMU's grammar: a listening socket that waits for nobody."""
    device = address if address.startswith(_ADDRESS_KINDS) else f"unix:{escape(address)}"
    if device.startswith(("unix:", "tcp:")) and ",server" not in device:
        device += ",server=on,wait=off"
    return device


def qmp_target(address: str) -> str:
    """What `varan qmp` takes to reach a monitor at `address`."""
    target = address.partition(",")[0] if address.startswith(_ADDRESS_KINDS) else address
    return target.removeprefix("unix:")


def make_socket_folder() -> Path:
    """A new private folder for the QMP socket, under $XDG_RUNTIME_DIR where there is one."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    parent = runtime if runtime and os.access(runtime, os.W_OK) else None
    return Path(tempfile.mkdtemp(prefix="varan-", dir=parent))


def _values(flag: Flag, given: str | list[str] | bool | None) -> list[str]:
    if isinstance(given, list):
        return given
    if given is True:
        return [""]
    if isinstance(given, str):
        return [given]
    return [flag.default] if flag.default is not None else []


def _announce(target: str, args: argparse.Namespace, write: Callable[[str], object] | None = None) -> None:
    write = write or sys.stderr.write
    write(f"Talk to it:       varan qmp {shlex.quote(target)} query-status\n")
    if args.kernel is None:
        write('Boot your own:    varan run --kernel vmlinuz --initrd initrd.img --append "console=ttyS0"\n')
    on_terminal = not args.serial or any(device.startswith("mon:stdio") for device in args.serial)
    write(f"Leave:            {'Ctrl-A x (Ctrl-A h shows all keys)' if on_terminal else 'Ctrl-C'}\n")
    sys.stderr.flush()
