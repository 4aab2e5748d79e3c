"""Words of commands, and the lines of reports."""

from __future__ import annotations

import pytest

from varan.block.shell import words as w


def test_options_and_operands() -> None:
    parsed = w.parse("read", ["-qP", "0xab", "0", "-v", "64k", "--", "-1"], "qv", "P")
    assert parsed.flags == {"q", "v"}
    assert parsed.values == {"P": "0xab"}
    assert parsed.operands == ["0", "64k", "-1"]


@pytest.mark.parametrize(("words", "message"), [(["-z"], "invalid option -- 'z'"), (["-P"], "an argument -- 'P'")])
def test_bad_options_are_named(words: list[str], message: str) -> None:
    with pytest.raises(w.BadWordsError, match=message):
        w.parse("read", words, "q", "P")


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("255", 255), ("0xcd", 0xCD), ("017", 15)])
def test_patterns(text: str, value: int) -> None:
    assert w.pattern(text) == value


@pytest.mark.parametrize("text", ["256", "-1", "x", ""])
def test_what_is_no_pattern(text: str) -> None:
    with pytest.raises(w.CommandError):
        w.pattern(text)


@pytest.mark.parametrize("text", ["-1", "x", "1.5", "8E"])
def test_what_is_no_number_of_bytes(text: str) -> None:
    with pytest.raises(w.CommandError):
        w.number(text)


@pytest.mark.parametrize(
    ("value", "shown"),
    [(0, "0 bytes"), (1000, "1000 bytes"), (1536, "1.500 KiB"), (1 << 20, "1 MiB"), (11.5, "11.500000 bytes")],
)
def test_amounts(value: float, shown: str) -> None:
    assert w.amount(value) == shown


@pytest.mark.parametrize(("seconds", "shown"), [(0.256, "00.25 sec"), (59.999, "59.99 sec"), (3661.5, "1:01:01.50")])
def test_times(seconds: float, shown: str) -> None:
    assert w.clock(seconds) == shown


def test_reports() -> None:
    assert w.report("wrote", 4096, 65536, 65536, 0.5) == (
        "wrote 65536/65536 bytes at offset 4096\n64 KiB, 1 ops; 00.50 sec (128 KiB/sec and 2.0000 ops/sec)"
    )
    assert w.report("read", 0, 512, 512, 0.5, terse=True) == "512,1,0:00:00.50,1024.000,2.000"


def test_dumps() -> None:
    assert w.dump(bytes([0xCD]) * 16 + b"aZ9.", 32) == (
        "00000020:  " + "cd " * 16 + " " + "." * 16 + "\n00000030:  61 5a 39 2e  aZ9."
    )
