"""`varan qmp`: QMP commands from the shell's command line, or interactively."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import msgspec

from varan.cli.option import UsageError
from varan.errors import VaranError
from varan.qmp import blocking
from varan.qmp.shell import PROMPT, Shell, event_value, install_completion
from varan.qmp.words import parse_arguments

if TYPE_CHECKING:
    from argparse import _SubParsersAction

    from varan.qmp.blocking import BlockingClient

INDENT = 2

Print = Callable[[str], object]


def add_parser(subparsers: _SubParsersAction[argparse.ArgumentParser]) -> None:
    """Describe `varan qmp` to the `varan` command's parser."""
    parser = subparsers.add_parser(
        "qmp",
        help="send QMP commands to a running machine",
        description="Send a QMP command to a running machine and print what it returns. Without a command: an "
        "interactive shell with completion (Tab) and `help COMMAND`.",
    )
    parser.add_argument("socket", metavar="SOCKET", help="the socket's path, unix:PATH or tcp:HOST:PORT")
    parser.add_argument("name", metavar="COMMAND", nargs="?", help="such as query-status")
    parser.add_argument(
        "words",
        metavar="KEY=VALUE",
        nargs="*",
        help="arguments: a value is JSON where it reads as JSON, else a string; dots in the key make nested objects",
    )
    style = parser.add_mutually_exclusive_group()
    style.add_argument("--json", action="store_true", help="print JSON on one line, as the machine sent it")
    style.add_argument("--pretty", action="store_true", help="print JSON indented (the default on a terminal)")
    parser.add_argument("--oob", action="store_true", help="execute the command out of band, before those that wait")
    parser.add_argument("--wait-event", metavar="NAME", help="then wait for this event and print it")
    parser.add_argument("--events", action="store_true", help="then print events as they come, until interrupted")
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=_seconds,
        help="how long to wait for the greeting (10) and the event (ever)",
    )


def run(args: argparse.Namespace) -> int:
    """Do what the arguments say; returns the exit status. Raises VaranError."""
    arguments = parse_arguments(args.words)
    output = _Output(args)
    timeout = 10.0 if args.timeout is None else args.timeout
    with blocking.connect(args.socket, timeout=timeout, oob=args.oob) as client:
        try:
            return _converse(client, args, arguments, output)
        except TimeoutError:
            raise VaranError(f"no event {args.wait_event} within {args.timeout:g} s") from None


def _converse(client: BlockingClient, args: argparse.Namespace, arguments: dict[str, Any], output: _Output) -> int:
    if args.name is not None:
        output.raw(client.execute_raw(args.name, arguments or None, oob=args.oob))
    if args.wait_event is not None:
        output.value(event_value(client.wait_event(args.wait_event, args.timeout)))
    if args.events:
        for event in client.events():
            output.value(event_value(event))
        return 0
    if args.name is None and args.wait_event is None:
        return _interact(client, output)
    return 0


def _interact(client: BlockingClient, output: _Output) -> int:
    shell = Shell(client, output.value, output.line)
    if not sys.stdin.isatty():
        return shell.run(line.rstrip("\n") for line in sys.stdin)
    install_completion(shell.catalogue)
    version = client.greeting["version"]
    number = ".".join(str(version["qemu"][part]) for part in ("major", "minor", "micro"))
    output.line(f"Connected to {version['package'] or 'QEMU'}, protocol {number}. `help` lists the commands.")
    return shell.run(_typed_lines())


def _typed_lines() -> Iterator[str]:
    for _ in itertools.count():
        try:
            yield input(PROMPT)
        except EOFError:
            print()
            return


class _Output:
    """Prints results the way the options ask for."""

    def __init__(self, args: argparse.Namespace, write: Print | None = None) -> None:
        self._json = args.json
        self._pretty = args.pretty or (not args.json and sys.stdout.isatty())
        self._write = write or sys.stdout.write

    def raw(self, text: bytes) -> None:
        """Print a result; a string, unless JSON is asked for, as the text that it is."""
        if self._json:
            self.line(text.decode())
        else:
            self.value(msgspec.json.decode(text), text)

    def value(self, value: Any, text: bytes | None = None) -> None:
        """Print a result or an event; `text`: the same as JSON."""
        if isinstance(value, str) and not self._json:
            self.line(value.rstrip("\r\n"))
            return
        text = text or msgspec.json.encode(value)
        self.line(msgspec.json.format(text, indent=INDENT if self._pretty else 0).decode())

    def line(self, text: str) -> None:
        """Print a line."""
        self._write(text + "\n")
        sys.stdout.flush()


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError(f"--timeout {text}: a number of seconds is wanted") from None
