"""The image that commands are about, the requests under way, and the commands."""

from __future__ import annotations

import importlib
import sys

from varan.block.base import BlockError, ErrorKind, Node, OpenOptions
from varan.block.drive import run_now
from varan.block.graph import Graph, Source
from varan.block.request import truncate
from varan.block.shell.words import BadWordsError, CommandError
from varan.errors import VaranError
from varan.light import TYPE_CHECKING, field, record

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine, Iterable
    from typing import Any, TypeVar

    T = TypeVar("T")


MODULES = ("transfer", "zeroing", "inspect", "debug", "general")
_SUSPENDING = frozenset({"blkdebug", "throttle"})
"""Drivers whose requests may wait for a later command or for time: they need an event loop."""

_SYSTEM_WORDS = {
    ErrorKind.NOT_FOUND: "No such file or directory",
    ErrorKind.PERMISSION: "Operation not permitted",
    ErrorKind.LOCKED: "Resource temporarily unavailable",
    ErrorKind.READ_ONLY: "Operation not permitted",
    ErrorKind.NO_SPACE: "No space left on device",
    ErrorKind.UNSUPPORTED: "Operation not supported",
    ErrorKind.INVALID: "Invalid argument",
    ErrorKind.IN_USE: "Device or resource busy",
}


@record(frozen=True, slots=True)
class Command:
    """A command: how many operands and options (words) it takes, and what it does."""

    name: str
    synopsis: str
    help: str
    run: Callable[[Session, list[str]], None]
    least: int = 0
    most: int | None = 0
    """None: any number."""
    details: str = ""
    needs_image: bool = True
    writes: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The one-line help."""
        return f"{self.name} {self.synopsis} -- {self.help}"


@record(slots=True)
class Defaults:
    """How images are opened unless a command says otherwise."""

    format: str | None = None
    read_only: bool = False
    cache: str = "writeback"
    discard: bool = True
    share: bool = False
    by_options: bool = False


@record
class Session:
    """The state that commands change."""

    defaults: Defaults = field(default_factory=Defaults)
    secret: Callable[[str], bytes] | None = None
    commands: dict[str, Command] = field(default_factory=dict)
    graph: Graph | None = None
    node: Node | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    opened: tuple[Source, str | None] = ("", None)
    """What the image was opened from, and its format."""
    breaks: list[str] = field(default_factory=list)
    """Tags of breakpoints that no request has come to yet."""
    failed: bool = False
    finished: bool = False
    program: str = "varan-io"
    """Who complains, and who uses the image."""
    _loop: asyncio.AbstractEventLoop | None = None

    def __post_init__(self) -> None:
        for name in MODULES:
            self.learn(importlib.import_module(f"varan.block.shell.{name}").COMMANDS)

    def learn(self, commands: Iterable[Command]) -> None:
        """Know further commands."""
        for command in commands:
            for key in (command.name, *command.aliases):
                self.commands[key] = command

    def say(self, text: str) -> None:
        """Show lines of a command's output."""
        print(text)

    def complain(self, text: str) -> None:
        """Show what is wrong with a command."""
        print(text, file=sys.stderr)

    @property
    def image(self) -> Node:
        """The open image. Raises CommandError when there is none."""
        if self.node is None:
            raise BadWordsError("no file open, try 'help open'")
        return self.node

    @property
    def requests(self) -> Node:
        """Where requests for the image go."""
        return self.image

    def resize(self, length: int, preallocation: str) -> None:
        """Make the image longer or shorter. Raises BlockError."""
        self.drive(truncate(self.image, length, preallocation, exact=False))

    def open(self, source: Source, options: OpenOptions, format: str | None) -> None:
        """Open an image. Raises BlockError."""
        if self.secret is not None:
            options.secret = self.secret
        graph = Graph(inline=True)
        self.node = self.drive(graph.open(source, format=format, options=options, user=self.program))
        self.graph = graph
        if any(node.driver in _SUSPENDING for node in graph.nodes.values()):
            self.loop()

    def close(self) -> None:
        """Finish what is under way and close the image. Raises BlockError."""
        if self.graph is None:
            return
        graph, self.graph = self.graph, None
        try:
            self.settle()
        finally:
            self.node = None
            self.drive(graph.close_all())

    @property
    def has_loop(self) -> bool:
        """Whether an event loop runs the requests."""
        return self._loop is not None

    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop; from here on everything runs in it."""
        if self._loop is None:
            import asyncio

            self._loop = asyncio.new_event_loop()
        return self._loop

    def drive(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """The result of a coroutine on the image."""
        return run_now(coroutine) if self._loop is None else self._loop.run_until_complete(coroutine)

    def spawn(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Start a request and let it run as far as it gets without waiting."""
        loop = self.loop()
        self.tasks.append(loop.create_task(coroutine))
        self.turn()

    def turn(self) -> None:
        """Let the requests under way get as far as they get without waiting, and say which stopped at breakpoints."""
        self.drive(_a_few_turns())
        for tag in self.breaks[:]:
            node = self.debug_node()
            if node is not None and node.is_suspended(tag):
                self.breaks.remove(tag)
                self.say(f"blkdebug: Suspended request '{tag}'")

    def debug_node(self) -> Any:
        """The blkdebug node of the image, None where it has none."""
        node: Node | None = self.image
        while node is not None and node.driver != "blkdebug":
            below = node.children.get("file")
            node = below.node if below is not None else None
        return node

    def settle(self) -> None:
        """Wait for the requests under way."""
        tasks, self.tasks = self.tasks, []
        for task in tasks:
            self.drive(_wait(task))

    def execute(self, line: str) -> None:
        """Do one command line. What fails is told and remembered."""
        words = line.split()
        if not words:
            return
        command = self.commands.get(words[0])
        try:
            if command is None:
                raise BadWordsError(f'command "{words[0]}" not found')
            if command.needs_image:
                _ = self.image
            _check_count(command, len(words) - 1)
            command.run(self, words[1:])
        except BadWordsError as error:
            if str(error):
                self.complain(str(error))
            if command is not None and (not str(error) or "invalid option" in str(error)):
                self.say(command.line)
            self.failed = True
        except CommandError as error:
            if str(error):
                self.say(str(error))
            self.failed = True
        except VaranError as error:
            self.complain(f"{self.program}: {error}")
            self.failed = True
        finally:
            sys.stdout.flush()


def _check_count(command: Command, count: int) -> None:
    if count >= command.least and (command.most is None or count <= command.most):
        return
    if command.most is None:
        expected = f"at least {command.least} arguments"
    elif command.most == command.least:
        expected = f"{command.least} arguments"
    else:
        expected = f"between {command.least} and {command.most} arguments"
    raise BadWordsError(f"bad argument count {count} to {command.name}, expected {expected}")


def system_words(error: BlockError) -> str:
    """The host's words for a kind of error."""
    return _SYSTEM_WORDS.get(error.kind, "Input/output error")


def request_words(error: BlockError) -> str:
    """The same of a request; one out of bounds is an input/output error as well."""
    return "Input/output error" if "are out of the" in str(error) else system_words(error)


async def _a_few_turns() -> None:
    import asyncio

    for _ in range(3):
        await asyncio.sleep(0)


async def _wait(task: asyncio.Task[None]) -> None:
    await task
