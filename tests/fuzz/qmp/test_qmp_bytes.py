"""Random bytes and random chunkings: never an exception, never more memory than allowed, always the same answer."""

from __future__ import annotations

import json
from typing import Any

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.qmp_service import VERSION, FakeMachine

from varan.errors import JSONParsing
from varan.qmp.peer import Message, message_stream
from varan.qmp.request import Request, decode_request
from varan.qmp.session import Session
from varan.qmp.wire import SCALAR_LIMIT, JsonStream, Limits
from varan.qmp.words import WordsError, parse_line

LIMITS = Limits(nesting=6, size=80, tokens=20)

json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=4),
    max_leaves=12,
)
TOKENS = b"{ } [ ] \" ' \\ \\' \\\" : , 1 tru null \n \r \t \x00 \x01 \xfe \xff \xc3 \xa9 \\u \\ud800".split(b" ")
PARTS = (b" ", b'{"execute": "query-status"}', b'"arguments": {', b'"id": ', b'{"exec-oob":"stop","id":')
LONG = (b"x" * 90, b"[" * 8, b"7" * 30)
fragments = st.sampled_from([*TOKENS, *PARTS, *LONG])
streams = st.lists(fragments | st.binary(max_size=3), max_size=40).map(b"".join)
cuts = st.lists(st.integers(1, 7), min_size=1, max_size=20)


def pieces(data: bytes, sizes: list[int]) -> list[bytes]:
    found, start, index = [], 0, 0
    while start < len(data):
        size = sizes[index % len(sizes)]
        found.append(data[start : start + size])
        start, index = start + size, index + 1
    return found


def parse(stream: JsonStream[Any], parts: list[bytes]) -> list[Any]:
    found = []
    for part in parts:
        stream.feed(part)
        while (value := stream.next()) is not None:
            found.append("error" if isinstance(value, JSONParsing) else value)
        assert stream.buffered <= max(LIMITS.size, SCALAR_LIMIT) + 7
    return found


@given(streams, cuts)
@settings(max_examples=400, deadline=None)
@example(b"[" * 7 + b"\n{}", [1])
@example(b'"' + b"x" * 78 + b"\\", [3])
@example(b'{"a":"' + b"x" * 73 + b'"}', [80])
def test_stream_gives_the_same_in_any_chunking(data: bytes, sizes: list[int]) -> None:
    whole = JsonStream(lambda message: [msgspec.json.decode(message)], LIMITS)
    whole.feed(data)
    at_once = []
    while (value := whole.next()) is not None:
        at_once.append("error" if isinstance(value, JSONParsing) else value)
    parts = pieces(data, sizes)
    assert parse(JsonStream(lambda message: [msgspec.json.decode(message)], LIMITS), parts) == at_once


@given(st.lists(json_values.filter(lambda value: isinstance(value, dict | list)), max_size=5), cuts, st.booleans())
@settings(max_examples=200, deadline=None)
def test_stream_gives_every_value(values: list[Any], sizes: list[int], pretty: bool) -> None:
    data = b"\r\n".join(json.dumps(value, indent=2 if pretty else None).encode() for value in values)
    stream = JsonStream(lambda message: [json.loads(message)])
    found = []
    for part in pieces(data, sizes):
        stream.feed(part)
        while (value := stream.next()) is not None:
            found.append(value)
    assert found == [[value] for value in values]


@given(streams, cuts)
@settings(max_examples=300, deadline=None)
def test_session_answers_any_bytes_with_json_lines(data: bytes, sizes: list[int]) -> None:
    session = Session(VERSION, limits=LIMITS)
    session.negotiate()
    dispatcher = FakeMachine().service().dispatcher
    for part in pieces(data, sizes):
        session.receive(part)
        while (request := session.next_request()) is not None:
            outcome = dispatcher.begin(session, request)
            if not isinstance(outcome, bytes):
                outcome.close()
                session.finish(request)
                continue
            assert outcome.endswith(b"}\r\n") and outcome.count(b"\n") == 1
            reply = msgspec.json.decode(outcome)
            assert ("return" in reply) != ("error" in reply)


@given(json_values)
@settings(max_examples=200, deadline=None)
def test_request_of_any_value(value: Any) -> None:
    request = decode_request(json.dumps(value).encode())
    assert isinstance(request, Request)
    if not (isinstance(value, dict) and ("execute" in value or "exec-oob" in value)):
        assert request.error is not None


@given(json_values)
@settings(max_examples=200, deadline=None)
def test_id_is_echoed_whatever_it_is(value: Any) -> None:
    request = decode_request(json.dumps({"execute": "stop", "id": value}).encode())
    assert request.error is None and request.id is not None
    assert b"\n" not in request.id
    assert json.loads(request.id) == value


@given(streams, cuts)
@settings(max_examples=200, deadline=None)
def test_client_takes_any_bytes(data: bytes, sizes: list[int]) -> None:
    stream = message_stream()
    for part in pieces(data, sizes):
        stream.feed(part)
        while (message := stream.next()) is not None:
            assert isinstance(message, Message | JSONParsing)


@given(st.text(max_size=40))
@settings(max_examples=200, deadline=None)
def test_any_line_is_a_command_or_a_words_error(line: str) -> None:
    try:
        parsed = parse_line(line)
    except WordsError:
        return
    assert parsed is None or isinstance(parsed[1], dict)
