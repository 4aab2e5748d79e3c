"""Typed commands: words to arguments, completion, help, and the shell on a client."""

from __future__ import annotations

from typing import Any

import pytest

from varan.errors import CommandNotFound
from varan.qmp.describe import Catalogue
from varan.qmp.dispatch import introspection
from varan.qmp.peer import QmpConnectionError, QmpEvent
from varan.qmp.shell import Completer, Shell
from varan.qmp.words import WordsError, parse_arguments, parse_line


@pytest.mark.parametrize(
    ("words", "arguments"),
    [
        ([], {}),
        (["a=1", "b=x", "c=true", "d=null"], {"a": 1, "b": "x", "c": True, "d": None}),
        (['a="1"'], {"a": "1"}),
        (['a=[1, {"b": 2}]'], {"a": [1, {"b": 2}]}),
        (["a.b=1", "a.c.d=x"], {"a": {"b": 1, "c": {"d": "x"}}}),
        (["a="], {"a": ""}),
        (["a=b=c"], {"a": "b=c"}),
        (["path=/tmp/x.y"], {"path": "/tmp/x.y"}),
        (["a=0x10"], {"a": "0x10"}),
    ],
)
def test_words_make_arguments(words: list[str], arguments: dict[str, Any]) -> None:
    assert parse_arguments(words) == arguments


@pytest.mark.parametrize("words", [["a"], ["=1"], ["a..b=1"], ["a=1", "a=2"], ["a=1", "a.b=2"], ["a.b=1", "a=2"]])
def test_words_that_make_no_arguments(words: list[str]) -> None:
    with pytest.raises(WordsError):
        parse_arguments(words)


def test_line_is_quoted_as_in_a_shell() -> None:
    line = "human-monitor-command command-line='info status' x=\"a b\""
    assert parse_line(line) == ("human-monitor-command", {"command-line": "info status", "x": "a b"})
    assert parse_line("   ") is None
    with pytest.raises(WordsError):
        parse_line("a 'b")


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return Catalogue(introspection())


@pytest.mark.parametrize(
    ("line", "word", "candidates"),
    [
        ("query-st", "query-st", ["query-status "]),
        ("hel", "hel", ["help "]),
        ("help query-sta", "query-sta", ["query-status"]),
        ("pmemsave ", "", ["val=", "size=", "filename="]),
        ("pmemsave val=1 f", "f", ["filename="]),
        ("pmemsave val=1 ", "", ["size=", "filename="]),
        ("set-action reboot=s", "reboot=s", ["reboot=shutdown "]),
        ("bogus ", "", []),
    ],
)
def test_completion(catalogue: Catalogue, line: str, word: str, candidates: list[str]) -> None:
    assert Completer(catalogue).candidates(line, word) == candidates


def test_help_has_synopsis_and_documentation(catalogue: Catalogue) -> None:
    text = catalogue.help("memsave")
    assert text is not None
    assert text.startswith("memsave val=int size=int filename=str [cpu-index=int]\n")
    assert "virtual address" in text
    assert "\n  cpu-index: the vCPU" in text
    assert "@" not in text
    assert catalogue.help("bogus") is None


def test_help_of_a_command_that_returns_something(catalogue: Catalogue) -> None:
    assert "returns {running, " in (catalogue.help("query-status") or "")
    assert "returns [" in (catalogue.help("query-chardev") or "")


class FakeClient:
    """Answers from a table; `None` stands for a server that has gone."""

    def __init__(self, answers: dict[str, Any]) -> None:
        self.answers = answers
        self.asked: list[tuple[str, Any]] = []
        self.events: list[QmpEvent] = []

    def execute(self, name: str, arguments: dict[str, Any] | None = None) -> Any:
        self.asked.append((name, arguments))
        if name not in self.answers:
            raise CommandNotFound(name)
        if self.answers[name] is None:
            raise QmpConnectionError("gone")
        return self.answers[name]

    def pending_events(self) -> list[QmpEvent]:
        events, self.events = self.events, []
        return events


def run_shell(client: FakeClient, *lines: str) -> tuple[int, list[Any]]:
    shown: list[Any] = []
    shell = Shell(client, shown.append, shown.append)  # type: ignore[arg-type]
    return shell.run(lines), shown


def test_shell_executes_lines_and_goes_on_after_errors() -> None:
    client = FakeClient({"query-qmp-schema": introspection(), "query-status": {"running": True}})
    status, shown = run_shell(client, "", "bogus", "query-status x=1", "query-status bad", "exit", "query-status")
    assert status == 0
    assert shown == [
        "CommandNotFound: The command bogus has not been found",
        {"running": True},
        "'bad': an argument is key=value",
    ]
    assert client.asked[1:] == [("bogus", None), ("query-status", {"x": 1})]


def test_shell_shows_events_between_lines() -> None:
    client = FakeClient({"query-qmp-schema": introspection()})
    client.events.append(QmpEvent("STOP", {}, 1, 2))
    assert run_shell(client, "") == (0, [{"timestamp": {"seconds": 1, "microseconds": 2}, "event": "STOP"}])


def test_shell_of_a_server_without_introspection() -> None:
    client = FakeClient({"query-commands": [{"name": "old-command"}]})
    _, shown = run_shell(client, "help", "help old-command", "help nothing")
    assert shown[1:] == ["  old-command", "old-command", "nothing: there is no such command"]


def test_shell_ends_when_the_server_goes() -> None:
    client = FakeClient({"query-qmp-schema": introspection(), "quit": {}, "query-status": None})
    assert run_shell(client, "quit", "query-status", "quit") == (1, [{}, "gone"])
