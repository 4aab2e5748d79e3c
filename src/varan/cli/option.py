"""One option of QEMU's command-line grammar, and the parser that takes an argument vector apart by a table of them.

The grammar: an option is a word that begins with one dash (or two); its argument, where it takes one, is the next word.
"""

from __future__ import annotations

from varan.errors import VaranError
from varan.light import TYPE_CHECKING, Enum, record

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from varan.cli.builder import Builder


class UsageError(VaranError):
    """A command line that cannot be understood, or asks for what there is not."""


class HelpRequested(Exception):
    """The user asked for a list instead of a machine; `text` is what to print."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


class Group(Enum):
    """The sections of the help, in their order."""

    GENERAL = "General"
    MACHINE = "Machine and CPU"
    BOOT = "What boots"
    DISK = "Disks"
    CHARDEV = "Character devices, consoles and monitors"
    NETWORK = "Network"
    DISPLAY = "Display"
    PROCESS = "Process and messages"
    ABSENT = "Accepted because it is so already"
    REFUSED = "Not supported yet"


@record(frozen=True, slots=True)
class Option:
    """A row of the option table.

    `argument` is the placeholder shown in the help, None for an option without argument. `fold` adds what the option
    says to a builder; it raises VaranError for a bad value and HelpRequested when a list was asked for.
    """

    name: str
    argument: str | None
    group: Group
    help: str
    fold: Callable[[Builder, str], None]
    aliases: tuple[str, ...] = ()
    repeatable: bool = False

    @property
    def synopsis(self) -> str:
        """The option as the help shows it: `-m [size=]SIZE`."""
        return f"-{self.name} {self.argument}" if self.argument else f"-{self.name}"


@record(frozen=True, slots=True)
class Occurrence:
    """An option found on a command line; `spelled` is the name the user wrote, with its dash."""

    option: Option
    spelled: str
    value: str

    def apply(self, builder: Builder) -> None:
        """Fold the value into `builder`. Raises UsageError that quotes the option."""
        try:
            self.option.fold(builder, self.value)
        except VaranError as error:
            raise UsageError(f"{self.quoted}: {error}") from error

    @property
    def quoted(self) -> str:
        """The option as the user wrote it."""
        return f"{self.spelled} {self.value}" if self.option.argument else self.spelled


def parse_arguments(arguments: Sequence[str], options: Iterable[Option]) -> Iterator[Occurrence]:
    """The options on a command line, in order. Raises UsageError at the first word that is none."""
    by_name = {name: option for option in options for name in (option.name, *option.aliases)}
    words = iter(arguments)
    for word in words:
        if not word.startswith("-") or word == "-":
            raise UsageError(f"{word}: a disk image as an argument is not supported yet")
        name = word.removeprefix("-").removeprefix("-")
        option = by_name.get(name)
        if option is None:
            raise UsageError(f"{word}: invalid option")
        value = ""
        if option.argument is not None:
            try:
                value = next(words)
            except StopIteration:
                raise UsageError(f"{word}: requires an argument") from None
        yield Occurrence(option, f"-{name}", value)
