"""The stream parser: framing, recovery and limits, whatever the chunking."""

from __future__ import annotations

import tracemalloc
from typing import Any

import msgspec
import pytest

from varan.errors import JSONParsing
from varan.qmp.wire import JsonStream, Limits, double_quoted

SMALL = Limits(nesting=4, size=64, tokens=16)


def parse(data: bytes, step: int | None = None, limits: Limits | None = None) -> list[Any]:
    """Values and error texts of `data`, fed in pieces of `step` bytes."""
    stream = JsonStream(lambda message: [msgspec.json.decode(message)], limits)
    found: list[Any] = []
    step = step or max(len(data), 1)
    for start in range(0, len(data), step):
        stream.feed(data[start : start + step])
        while (value := stream.next()) is not None:
            found.append(f"error: {value}" if isinstance(value, JSONParsing) else value[0])
    return found


def errors(found: list[Any]) -> int:
    return sum(isinstance(value, str) and value.startswith("error: ") for value in found)


CASES = [
    (b'{"a":1}', [{"a": 1}]),
    (b' {"a":1}\r\n {"b":[]}\n', [{"a": 1}, {"b": []}]),
    (b'{"a":1}{"b":2}', [{"a": 1}, {"b": 2}]),
    (b'{"a":\n[1,\n{"b":2}]}', [{"a": [1, {"b": 2}]}]),
    (b'{"a":"}{][\\"\\\\"}', [{"a": '}{]["\\'}]),
    (b'{"a":"\xc3\xa9\xf0\x9f\xa6\x8e"}', [{"a": "é🦎"}]),
    (b'{"a":"\\ud83e\\udd8e"}', [{"a": "🦎"}]),
    (b"{'a': 'it\\'s \"x\"'}", [{"a": 'it\'s "x"'}]),
    (b'{"a": "it\\\'s", \'b\': ""}', [{"a": "it's", "b": ""}]),
    (b'1 -2.5e3 true null "x" [1] ', [1, -2500.0, True, None, "x", [1]]),
    (b'{"a":123456789012345678901234567890}', [{"a": 123456789012345678901234567890}]),
]


@pytest.mark.parametrize(("data", "values"), CASES)
@pytest.mark.parametrize("step", [None, 1, 2, 3, 7])
def test_stream_values_in_any_chunking(data: bytes, values: list[Any], step: int | None) -> None:
    assert parse(data, step) == values


GOOD = b'{"good":1}'
BROKEN = [
    b"{]\n",
    b'{"a":@}\n',
    b'{"a":1,}',
    b'{"a" 1}',
    b"}}}\n",
    b",:,\n",
    b"nonsense words here\n",
    b"{\x01\n",
    b"{\xff",
    b"\xff",
    b'{"unfinished": [1, "two\xff',
    b'{"line end in a string\n',
    b'{"bad escape \\\x02"}\n',
    b"{'bad \x01 quote'}\n",
    b'{"a":"\xe9"}',
    b'{"a":"\\ud800"}',
    b'{"a":01}',
    b'{"a":1e999}',
    b'{"a":NaN}',
    b"\x00\x00\x00\n",
    b"%p\n",
    b"[" * 1025 + b"\n",
    b"[" * 2000 + b"]" * 2000,
    b"7" * 2000 + b"\n",
]


@pytest.mark.parametrize("broken", BROKEN, ids=lambda data: repr(data[:16]))
@pytest.mark.parametrize("step", [None, 1, 5])
def test_stream_recovers_after_one_error(broken: bytes, step: int | None) -> None:
    found = parse(broken + GOOD, step)
    assert found[1:] == [{"good": 1}]
    assert errors(found) == 1


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"{\xff", "stray byte 0xFF"),
        (b'{"a":"\x01"}', "stray byte 0x01 in a string"),
        (b"} ", "expecting value, got '}'"),
        (b"bogus ", "invalid value 'bogus'"),
        (b'{"a":"\xe9"}', "invalid UTF-8 sequence in string"),
        (b'{"a":"\\ud800"}', "\\u escape that is not a character"),
        (b"[" * 1025, "nesting depth limit exceeded"),
    ],
)
def test_stream_error_says_what_is_wrong(data: bytes, text: str) -> None:
    assert parse(data) == [f"error: JSON parse error, {text}"]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"[[[[[1]]]]]", "nesting depth limit exceeded"),
        (b'["' + b"x" * 100 + b'"]', "message size limit exceeded"),
        (b"[" + b"1," * 20 + b"1]", "token count limit exceeded"),
        (b"[" + b"[]," * 10 + b"1]", "token count limit exceeded"),
    ],
)
@pytest.mark.parametrize("step", [None, 1, 3])
def test_stream_limit_is_reported_once_and_the_value_skipped(data: bytes, text: str, step: int | None) -> None:
    found = parse(data + GOOD, step, SMALL)
    assert found == [f"error: JSON parse error, {text}", {"good": 1}]


def test_stream_takes_a_value_at_its_limits() -> None:
    assert parse(b"[[[[1]]]]", limits=SMALL) == [[[[[1]]]]]
    text = b"x" * (64 - 4)
    assert parse(b'["' + text + b'"]', limits=SMALL) == [[text.decode()]]


@pytest.mark.parametrize(
    "piece",
    [b"[" * 65536, b"}" * 65536, b"\x00" * 65536, b"a" * 65536, b"\xff\xfe" * 64, b"[1," * 20000, b"{" * 65536],
    ids=["nesting", "closers", "nul", "word", "flushes", "arrays", "objects"],
)
def test_stream_endless_garbage_is_not_kept(piece: bytes) -> None:
    stream = JsonStream(msgspec.json.decode)
    count = 0
    for _ in range(32):
        stream.feed(piece)
        while stream.next() is not None:
            count += 1
        assert stream.buffered <= 4096
    assert count >= 1


def test_stream_endless_small_values_inside_one_are_passed_over_quickly() -> None:
    decoded = []
    stream = JsonStream(decoded.append, SMALL)
    for _ in range(64):
        stream.feed(b"[" + b"[]," * 20000)
        while (found := stream.next()) is not None:
            assert str(found) == "JSON parse error, token count limit exceeded"
    assert decoded == []
    stream = JsonStream(msgspec.json.decode, SMALL)
    stream.feed(b"[" + b"[]," * 100 + b"\n" + GOOD)
    assert isinstance(stream.next(), JSONParsing)
    assert stream.next() == {"good": 1}


def test_stream_endless_string_is_kept_up_to_the_limit_only() -> None:
    limits = Limits(size=1 << 20)
    stream = JsonStream(msgspec.json.decode, limits)
    stream.feed(b'{"a": "')
    piece = b"x" * 65536
    reported = []
    tracemalloc.start()
    try:
        for _ in range(256):
            stream.feed(piece)
            while (value := stream.next()) is not None:
                reported.append(str(value))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert reported == ["JSON parse error, message size limit exceeded"]
    assert stream.buffered == 0
    assert peak < 4 * limits.size


def test_stream_byte_by_byte_decodes_once() -> None:
    decoded = 0

    def decode(data: bytes) -> Any:
        nonlocal decoded
        decoded += len(data)
        return msgspec.json.decode(data)

    stream = JsonStream(decode)
    message = b'{"a": "' + b"y" * 20000 + b'", "b": [' + b"1," * 2000 + b"1]}"
    values = []
    for index in range(len(message)):
        stream.feed(message[index : index + 1])
        if (value := stream.next()) is not None:
            values.append(value)
    assert values == [{"a": "y" * 20000, "b": [1] * 2001}]
    assert decoded <= len(message) + 1


def test_stream_many_values_on_one_line() -> None:
    assert parse(b'{"a":1}' * 5000) == [{"a": 1}] * 5000


def test_double_quoted_leaves_double_quoted_strings_alone() -> None:
    assert double_quoted(b"""{"it's": 'a "b"', 'c': "\\\\'"}""") == b"""{"it's": "a \\"b\\"", "c": "\\\\'"}"""
