"""Command lines in getopt's manner."""

from __future__ import annotations

import pytest

from varan.cli.img.grammar import Command, Flag, Line, describe, parse
from varan.cli.option import HelpRequested, UsageError

FLAGS = (
    Flag("format", ("-f", "--format"), "the format", "FMT"),
    Flag("quiet", ("-q", "--quiet"), "say nothing"),
    Flag("progress", ("-p",), "show progress"),
    Flag("object", ("--object",), "an object", "DEFINITION"),
    Flag("output", ("--output",), "the form", "FORM"),
)


def given(*words: str) -> list[tuple[str, str]]:
    return parse(words, FLAGS).given


@pytest.mark.parametrize(
    "words", [("-f", "raw"), ("-fraw",), ("--format", "raw"), ("--format=raw",), ("--form=raw",), ("-qf", "raw")]
)
def test_ways_to_give_an_argument(words: tuple[str, ...]) -> None:
    assert ("format", "raw") in given(*words)


def test_short_options_together() -> None:
    assert given("-qp", "-pfraw") == [("quiet", ""), ("progress", ""), ("progress", ""), ("format", "raw")]


def test_options_and_operands_in_any_order() -> None:
    line = parse(["a", "-q", "b", "-", "--", "-f", "c"], FLAGS)
    assert line.operands == ["a", "b", "-", "-f", "c"]
    assert line.given == [("quiet", "")]


def test_the_last_occurrence_counts_and_all_can_be_asked_for() -> None:
    line = parse(["--object", "a", "--object=b"], FLAGS)
    assert line.last("object") == "b"
    assert line.all("object") == ["a", "b"]
    assert line.last("format") is None
    assert not line.has("format")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("-z",), "unrecognized option '-z'"),
        (("-qz",), "unrecognized option '-z'"),
        (("--zork",), "unrecognized option '--zork'"),
        (("--o",), "ambiguous option '--o'"),
        (("-f",), "missing argument for option '-f'"),
        (("--format",), "missing argument for option '--format'"),
        (("--quiet=yes",), "option '--quiet' takes no argument"),
    ],
)
def test_what_cannot_be_understood_is_named(words: tuple[str, ...], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        given(*words)
    assert str(caught.value) == message


def test_help_shows_every_option() -> None:
    with pytest.raises(HelpRequested):
        given("a", "--help")
    text = describe("tool", Command("work", "FILE", "Works.", FLAGS, lambda line: len(Line().given)))
    assert text.startswith("usage: tool work [options] FILE\n")
    assert all(flag.synopsis in text and flag.help in text for flag in FLAGS)
