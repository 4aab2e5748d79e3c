"""An interactive line shell on a blocking client: `query-status`, `memsave val=0 size=16 filename=x`, `help cont`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from varan.errors import QmpError, VaranError
from varan.qmp.blocking import BlockingClient
from varan.qmp.describe import Catalogue
from varan.qmp.peer import QmpConnectionError, QmpEvent
from varan.qmp.words import parse_line

PROMPT = "(qmp) "
OWN_COMMANDS = ("help", "exit")
_DELIMITERS = " \t\n"

Show = Callable[[Any], None]


class Completer:
    """Completes command names, then argument names, then values from a fixed list."""

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    def candidates(self, line: str, word: str) -> list[str]:
        """What `word`, at the end of `line`, may become."""
        before = line[: len(line) - len(word)].split() if word else line.split()
        if not before:
            return [f"{name} " for name in (*self._catalogue.commands, *OWN_COMMANDS) if name.startswith(word)]
        if before == ["help"]:
            return [name for name in self._catalogue.commands if name.startswith(word)]
        arguments = self._catalogue.arguments(before[0])
        key, equals, start = word.partition("=")
        if equals:
            values = next((argument.values for argument in arguments if argument.name == key), ())
            return [f"{key}={value} " for value in values if value.startswith(start)]
        given = {item.partition("=")[0] for item in before[1:]}
        return [f"{item.name}=" for item in arguments if item.name not in given and item.name.startswith(word)]


class Shell:
    """Reads lines until the end of input, `exit` or the end of the connection."""

    def __init__(self, client: BlockingClient, show: Show, print_line: Callable[[str], None]) -> None:
        """`show` prints a result or an event, `print_line` everything else."""
        self._client = client
        self._show = show
        self._print = print_line
        self.catalogue = fetch_catalogue(client)

    def run(self, lines: Iterable[str]) -> int:
        """Execute each line; returns the exit status."""
        try:
            for line in lines:
                for event in self._client.pending_events():
                    self._show(event_value(event))
                if line.strip() == "exit":
                    return 0
                self._execute(line)
        except QmpConnectionError as error:
            self._print(str(error))
            return 1
        return 0

    def _execute(self, line: str) -> None:
        try:
            words = line.split()
            if words[:1] == ["help"]:
                self._help(words[1:])
            elif (parsed := parse_line(line)) is not None:
                name, arguments = parsed
                self._show(self._client.execute(name, arguments or None))
        except QmpConnectionError:
            raise
        except QmpError as error:
            self._print(f"{error.class_name}: {error}")
        except VaranError as error:
            self._print(str(error))

    def _help(self, names: list[str]) -> None:
        if not names:
            self._print("COMMAND [KEY=VALUE...], `help COMMAND`, `exit`. Commands:")
            self._print("  " + " ".join(self.catalogue.commands))
        for name in names:
            self._print(self.catalogue.help(name) or f"{name}: there is no such command")


def fetch_catalogue(client: BlockingClient) -> Catalogue:
    """What the server offers: from its introspection, or from its list of commands where it has none."""
    try:
        return Catalogue(client.execute("query-qmp-schema"))
    except QmpConnectionError:
        raise
    except QmpError:
        return Catalogue.of_names(entry["name"] for entry in client.execute("query-commands"))


def event_value(event: QmpEvent) -> dict[str, Any]:
    """The event as JSON tells it."""
    value: dict[str, Any] = {
        "timestamp": {"seconds": event.seconds, "microseconds": event.microseconds},
        "event": event.name,
    }
    return {**value, "data": event.data} if event.data else value


def install_completion(catalogue: Catalogue) -> None:
    """Let the terminal's line editor complete with the Tab key."""
    import readline

    completer = Completer(catalogue)

    def complete(word: str, state: int) -> str | None:
        candidates = completer.candidates(readline.get_line_buffer()[: readline.get_endidx()], word)
        return candidates[state] if state < len(candidates) else None

    readline.set_completer(complete)
    readline.set_completer_delims(_DELIMITERS)
    readline.parse_and_bind("tab: complete")
