"""A process that runs one machine: loop, signals, log, pid file, and the exit status it ends with."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import signal
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from varan.api.values import CommandLineOptionInfo, PanicAction, ShutdownCause
from varan.chardev.base import Chardev
from varan.cli import commandline, daemon, logs, pidfile
from varan.cli.builder import Configuration
from varan.cli.message import one_line
from varan.cli.process import InheritedFd, ProcessSpec
from varan.errors import VaranError
from varan.machine.spec import MachineSpec

SWITCH_INTERVAL = 1e-4
"""Seconds after which a vCPU thread hands the interpreter to a waiting loop: bounds the latency of monitors."""

_END_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DUMP_NO_ANONYMOUS_MEMORY = "0x10"
"""Bits of /proc/self/coredump_filter: ELF headers only."""
_THREAD_NAME_LIMIT = 15


class HostedMachine(Protocol):
    """What the process needs of a machine."""

    @property
    def vcpus(self) -> Sequence[Any]:
        """Handles with `index` and `thread_id`."""

    @property
    def chardevs(self) -> Mapping[str, Chardev]:
        """The character devices by id."""

    command_line: Callable[[], list[CommandLineOptionInfo]]
    """Describes the options of the command line."""

    async def open(self) -> None:
        """Acquire everything. Raises VaranError."""

    async def start(self) -> None:
        """Let the guest run, where the description says so."""

    def quit(self, cause: ShutdownCause) -> None:
        """End the machine soon."""

    async def wait_closed(self) -> ShutdownCause:
        """Wait for its end."""


Composer = Callable[[MachineSpec], HostedMachine]


def run(
    configuration: Configuration,
    program: str,
    compose: Composer | None = None,
    announce: Callable[[], None] = lambda: None,
) -> int:
    """Run the machine to its end and return the exit status; errors become one line on the standard error output.

    `announce` is called once the machine is open, before its guest runs.
    """
    daemon.fill_standard_streams()
    process = configuration.process
    form = logs.MessageFormat(program, process)
    for warning in configuration.warnings:
        print(form.format(one_line(f"warning: {warning}")), file=sys.stderr)
    host = _Host(configuration, form, compose or _default_composer())
    try:
        _adopt(process.inherited_fds)
        return daemon.detach(host.serve) if process.daemonize else host.serve(announce)
    except VaranError as error:
        print(form.format(one_line(str(error))), file=sys.stderr)
        return 1


def _default_composer() -> Composer:
    from varan.embed import compose

    return compose


class _Host:
    def __init__(self, configuration: Configuration, form: logs.MessageFormat, compose: Composer) -> None:
        self._configuration = configuration
        self._form = form
        self._compose = compose
        self._signalled = False

    def serve(self, ready: Callable[[], None]) -> int:
        """Run the machine; calls `ready` when others can reach it. Raises VaranError."""
        process = self._configuration.process
        logs.configure(process, self._form, sys.stderr)
        _describe_process(process)
        sys.setswitchinterval(SWITCH_INTERVAL)
        return asyncio.run(self._run(ready))

    async def _run(self, ready: Callable[[], None]) -> int:
        loop = asyncio.get_running_loop()
        machine = self._compose(self._configuration.machine)
        machine.command_line = commandline.describe
        opening = loop.create_task(machine.open())
        for number in _END_SIGNALS:
            loop.add_signal_handler(number, self._end, opening, machine)
        with pidfile.held(self._configuration.process.pidfile):
            return await self._see_through(machine, opening, ready)

    async def _see_through(self, machine: HostedMachine, opening: asyncio.Task[None], ready: Callable[[], None]) -> int:
        """From the opening of the machine to its end; returns the exit status."""
        try:
            await opening
        except asyncio.CancelledError:
            if self._signalled:
                return 0
            raise
        if self._configuration.process.name_threads:
            _name_threads(machine)
        _tell_terminals(machine)
        ready()
        await machine.start()
        return self._exit_status(await machine.wait_closed())

    def _end(self, opening: asyncio.Task[None], machine: HostedMachine) -> None:
        """A signal came: end the machine, or give up opening it (it may wait for a client)."""
        self._signalled = True
        if opening.done():
            machine.quit(ShutdownCause.HOST_SIGNAL)
        else:
            opening.cancel()

    def _exit_status(self, cause: ShutdownCause) -> int:
        fails = self._configuration.machine.actions.panic is PanicAction.EXIT_FAILURE
        return 1 if fails and cause is ShutdownCause.GUEST_PANIC else 0


def _adopt(fds: Sequence[InheritedFd]) -> None:
    """Check that inherited descriptors are there, and keep them from child processes. Raises VaranError."""
    for inherited in fds:
        try:
            flags = fcntl.fcntl(inherited.fd, fcntl.F_GETFD)
            fcntl.fcntl(inherited.fd, fcntl.F_SETFD, flags | fcntl.FD_CLOEXEC)
        except (OSError, OverflowError) as error:
            raise VaranError(f"-add-fd fd={inherited.fd},set={inherited.set}: fd is not open") from error


def _describe_process(process: ProcessSpec) -> None:
    """Set what /proc shows of the process; where there is no /proc nothing would show it."""
    with contextlib.suppress(FileNotFoundError, PermissionError):
        if process.title is not None:
            Path("/proc/self/comm").write_bytes(os.fsencode(process.title)[:_THREAD_NAME_LIMIT])
    with contextlib.suppress(FileNotFoundError, PermissionError):
        if not process.dump_guest_memory:
            Path("/proc/self/coredump_filter").write_text(_DUMP_NO_ANONYMOUS_MEMORY)


def _tell_terminals(machine: HostedMachine) -> None:
    """Say which terminals the machine made: nobody can know their names beforehand. Tools parse these lines."""
    for id, chardev in machine.chardevs.items():
        kind, _, path = chardev.filename.partition(":")
        if kind == "pty":
            print(f"char device redirected to {path} (label {id})", flush=True)


def _name_threads(machine: HostedMachine) -> None:
    indexes: dict[int, list[int]] = {}
    for vcpu in machine.vcpus:
        indexes.setdefault(vcpu.thread_id, []).append(vcpu.index)
    for thread_id, (first, *others) in indexes.items():
        with contextlib.suppress(FileNotFoundError, PermissionError):
            name = f"CPU {first}-{others[-1]}" if others else f"CPU {first}"
            Path(f"/proc/self/task/{thread_id}/comm").write_text(name)
