"""Command lines as qemu-img and qemu-io read them: short and long options and operands, in any order.

Short options may be written together (`-qf raw`), their argument with or without a space; long ones as `--name VALUE`
or `--name=VALUE`, and by any beginning that is unique. Everything after `--` is an operand.
"""

from __future__ import annotations

from varan.cli.option import HelpRequested, UsageError
from varan.light import TYPE_CHECKING, field, record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

HELP_WORDS = ("-h", "--help")


@record(frozen=True, slots=True)
class Flag:
    """An option. `argument` is the placeholder of its argument, None when it takes none."""

    key: str
    names: tuple[str, ...]
    help: str
    argument: str | None = None

    @property
    def synopsis(self) -> str:
        """The option as the help shows it: `-f, --format FMT`."""
        names = ", ".join(self.names)
        return f"{names} {self.argument}" if self.argument else names


@record(slots=True)
class Line:
    """A command line taken apart."""

    given: list[tuple[str, str]] = field(default_factory=list)
    """Key and argument of every option, in order."""
    operands: list[str] = field(default_factory=list)

    def has(self, key: str) -> bool:
        """Whether the option was given."""
        return any(name == key for name, _ in self.given)

    def last(self, key: str) -> str | None:
        """The argument of its last occurrence, None when it was not given."""
        return next((value for name, value in reversed(self.given) if name == key), None)

    def all(self, key: str) -> list[str]:
        """The arguments of all its occurrences."""
        return [value for name, value in self.given if name == key]


@record(frozen=True, slots=True)
class Command:
    """A subcommand: its name, operands as the help shows them, options, and what it does (returns the exit status)."""

    name: str
    operands: str
    help: str
    flags: tuple[Flag, ...]
    run: Callable[[Line], int]


def parse(words: Sequence[str], flags: Sequence[Flag]) -> Line:
    """Take `words` apart. Raises UsageError; HelpRequested with empty text when help is asked for."""
    by_name = {name: flag for flag in flags for name in flag.names}
    line = Line()
    queue = list(reversed(words))
    while queue:
        word = queue.pop()
        if word in HELP_WORDS and word not in by_name:
            raise HelpRequested("")
        if word == "--":
            line.operands += reversed(queue)
            break
        if word.startswith("--"):
            _take_long(word, by_name, queue, line)
        elif word.startswith("-") and len(word) > 1:
            _take_short(word, by_name, queue, line)
        else:
            line.operands.append(word)
    return line


def _take_long(word: str, by_name: dict[str, Flag], queue: list[str], line: Line) -> None:
    name, equals, value = word.partition("=")
    flag = by_name.get(name)
    if flag is None:
        matches = {id(other): other for full, other in by_name.items() if full.startswith(name)}
        if len(matches) != 1:
            raise UsageError(f"{'ambiguous' if matches else 'unrecognized'} option '{name}'")
        flag = next(iter(matches.values()))
    if flag.argument is None:
        if equals:
            raise UsageError(f"option '{name}' takes no argument")
        line.given.append((flag.key, ""))
    else:
        line.given.append((flag.key, value if equals else _argument(name, queue)))


def _take_short(word: str, by_name: dict[str, Flag], queue: list[str], line: Line) -> None:
    for index in range(1, len(word)):
        name = f"-{word[index]}"
        flag = by_name.get(name)
        if flag is None:
            raise UsageError(f"unrecognized option '{name}'")
        if flag.argument is None:
            line.given.append((flag.key, ""))
            continue
        rest = word[index + 1 :]
        line.given.append((flag.key, rest or _argument(name, queue)))
        return


def _argument(name: str, queue: list[str]) -> str:
    if not queue:
        raise UsageError(f"missing argument for option '{name}'")
    return queue.pop()


def describe(program: str, command: Command) -> str:
    """What `PROGRAM COMMAND --help` prints."""
    lines = [f"usage: {program} {command.name} [options] {command.operands}".rstrip(), "", command.help, ""]
    if command.flags:
        lines += ["options:", *option_rows(command.flags)]
    return "\n".join(lines).rstrip()


def option_rows(flags: Sequence[Flag]) -> list[str]:
    """The options as lines of a help text."""
    width = max((len(flag.synopsis) for flag in flags), default=0)
    return [f"  {flag.synopsis:{width}}  {flag.help}" for flag in flags]
