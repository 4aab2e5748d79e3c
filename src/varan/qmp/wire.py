"""JSON values out of a byte stream, in whatever pieces the bytes arrive.

`JsonStream` finds where each value ends and hands it to a decoder; it knows nothing of the protocol above. The usual
piece, one complete object, goes to the decoder at once. Otherwise the bytes are gathered and scanned once, token by
token, with the scan's position kept from piece to piece, so that the work is linear for any chunking.

What is accepted beyond JSON, as QEMU accepts it: strings in single quotes, and `\\'` in a string.

After a syntax error the stream goes on at the next `{`, `[` or end of line. A byte 0xFF, which is in no text, ends
whatever was half received: a peer that has lost its place sends one to start over. What exceeds a limit is
reported once and then scanned to its end, to the end of the line or to 0xFF without being kept.
"""

from __future__ import annotations

import enum
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import msgspec

from varan.errors import JSONParsing

T = TypeVar("T")

WHOLE_LIMIT = 1 << 20
"""Longest piece that is tried as one complete object; what a message may cost is counted beyond that."""

_DECODER_NESTING = 1000
"""What the decoder itself takes at most; a limit below it needs the scan."""

LINE_LIMIT = 4096
"""Longest line that is tried as one complete object when a piece has several."""

SCALAR_LIMIT = 1024
"""Longest number or keyword at the top level, where none of them means anything."""

SHOWN = 40
"""Characters of a wrong value that its error quotes."""

_IMPOSSIBLE = rb"\x00-\x08\x0b\x0c\x0e-\x1f\xfe\xff"
_SPACE = re.compile(rb"[ \t\r\n]*")
_TOKEN = re.compile(rb"[\[{]+|[\]}]+|[\"'" + _IMPOSSIBLE + rb"]")
_TOKEN_OR_LINE_END = re.compile(rb"[\[{]+|[\]}]+|[\"'\r\n" + _IMPOSSIBLE + rb"]")
_LINE_END = re.compile(rb"[\r\n\xfe\xff]")
_IN_STRING = {
    0x22: re.compile(rb'(?:[^"\\\x00-\x1f\xfe\xff]++|\\[^\x00-\x1f\xfe\xff])*+'),
    0x27: re.compile(rb"(?:[^'\\\x00-\x1f\xfe\xff]++|\\[^\x00-\x1f\xfe\xff])*+"),
}
_SCALAR_END = re.compile(rb"[ \[\]{},:\"'\x00-\x1f\xfe\xff]")
_RESTART = re.compile(rb"[\[{\r\n\xfe\xff]")
_STRING = re.compile(rb"\"(?:[^\"\\]++|\\.)*+\"|'((?:[^'\\]++|\\.)*+)'", re.DOTALL)
_ESCAPE_OR_QUOTE = re.compile(rb"\\(.)|\"", re.DOTALL)

_OPENERS = frozenset(b"{[")
_QUOTES = frozenset(b"\"'")
_FLUSHES = frozenset(b"\xfe\xff")
_STRAYS = frozenset(b"]},:") | frozenset(range(0x20))
_BACKSLASH = 0x5C


@dataclass(frozen=True, slots=True)
class Limits:
    """What one message may take."""

    nesting: int = 1024
    """Objects and arrays inside one another."""
    size: int = 64 << 20
    """Bytes."""
    tokens: int = 2 << 20
    """Brackets, strings and commas; bounds what the decoded value takes in memory."""


class _Mode(enum.Enum):
    """What the start of the buffer is."""

    BETWEEN = enum.auto()
    """The space between values."""
    VALUE = enum.auto()
    """An object, array or string."""
    EXCESS = enum.auto()
    """The rest of a value that exceeded a limit."""
    FLOOD = enum.auto()
    """The rest of the line of a value that does not come to an end."""
    SCALAR = enum.auto()
    """A number or keyword outside any object."""
    GARBAGE = enum.auto()
    """What follows a syntax error."""


class _Again(enum.Enum):
    AGAIN = enum.auto()


_AGAIN = _Again.AGAIN


class JsonStream(Generic[T]):
    """Takes bytes, gives decoded values and errors, in their order.

    `decode` gets the bytes of one value; it must raise msgspec.DecodeError, ValueError or RecursionError for what is
    not JSON, and nothing else, and must not give None.
    """

    def __init__(self, decode: Callable[[bytes], T], limits: Limits | None = None) -> None:
        self._decode = decode
        self._limits = limits = limits or Limits()
        unscanned = min(WHOLE_LIMIT, limits.size, limits.tokens) if limits.nesting >= _DECODER_NESTING else 0
        self._whole_limit = unscanned
        self._line_limit = min(LINE_LIMIT, unscanned)
        self._piece = b""
        self._buffer = bytearray()
        self._mode = _Mode.BETWEEN
        self._position = 0
        self._quote = 0
        self._depth = 0
        self._tokens = 0

    @property
    def buffered(self) -> int:
        """Bytes that are kept."""
        return len(self._piece) + len(self._buffer)

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        if self._buffer or self._piece or self._mode is not _Mode.BETWEEN:
            self._buffer += self._piece
            self._buffer += data
            self._piece = b""
        else:
            self._piece = data

    def next(self) -> T | JSONParsing | None:
        """The next value or error; None when more bytes are needed."""
        piece = self._piece
        if piece:
            self._piece = b""
            if piece[0] == 0x7B and len(piece) <= self._whole_limit:
                try:
                    return self._decode(piece)
                except (msgspec.DecodeError, ValueError, RecursionError):
                    pass
            self._buffer += piece
        elif not self._buffer:
            return None
        while (found := self._step()) is _AGAIN:
            pass
        return found

    def _step(self) -> T | JSONParsing | _Again | None:
        match self._mode:
            case _Mode.BETWEEN:
                return self._between()
            case _Mode.VALUE:
                return self._value()
            case _Mode.EXCESS:
                return self._excess()
            case _Mode.FLOOD:
                return self._garbage(_LINE_END)
            case _Mode.SCALAR:
                return self._scalar()
            case _Mode.GARBAGE:
                return self._garbage(_RESTART)

    def _between(self) -> T | JSONParsing | _Again | None:
        space = _SPACE.match(self._buffer)
        assert space is not None
        del self._buffer[: space.end()]
        if not self._buffer:
            return None
        first = self._buffer[0]
        if first in _FLUSHES:
            return self._fail(1, "stray byte 0xFF", _Mode.BETWEEN)
        if first in _STRAYS:
            return self._fail(1, f"expecting value, got {_show(first)}")
        if first in _OPENERS or first in _QUOTES:
            end = self._buffer.find(b"\n", 0, self._line_limit) + 1
            if end:
                try:
                    value = self._decode(bytes(self._buffer[:end]))
                except (msgspec.DecodeError, ValueError, RecursionError):
                    pass
                else:
                    del self._buffer[:end]
                    return value
            self._position = self._quote = self._depth = self._tokens = 0
            self._mode = _Mode.VALUE
        else:
            self._position = 0
            self._mode = _Mode.SCALAR
        return _AGAIN

    def _value(self) -> T | JSONParsing | _Again | None:
        """Scan on for the end of an object, array or string."""
        buffer, limits = self._buffer, self._limits
        bound = min(len(buffer), limits.size)
        while self._position < bound:
            wrong = self._string(bound) if self._quote else self._token(bound, _TOKEN)
            if wrong is not None:
                return self._fail(self._position + 1, wrong, _after(buffer[self._position]))
            if self._depth > limits.nesting:
                return self._give_up("nesting depth limit exceeded")
            if self._tokens > limits.tokens:
                return self._give_up("token count limit exceeded")
            if self._depth == 0 and not self._quote and self._position:
                return self._take()
            if self._quote and self._position == bound - 1 and buffer[self._position] == _BACKSLASH:
                break
        if len(buffer) >= limits.size:
            return self._give_up("message size limit exceeded")
        return None

    def _token(self, bound: int, pattern: re.Pattern[bytes]) -> str | None:
        """Move past the next brackets or opening quote, or to `bound`. What is wrong with it otherwise."""
        found = pattern.search(self._buffer, self._position, bound)
        start = found.start() if found else bound
        self._tokens += self._buffer.count(b",", self._position, start)
        self._position = start
        if found is None:
            return None
        byte = self._buffer[start]
        count = 1
        if byte in b"{[":
            count = found.end() - start
            self._depth += count
        elif byte in b"}]":
            count = min(found.end() - start, self._depth)
            self._depth -= count
        elif byte in _QUOTES:
            self._quote = byte
        else:
            return f"stray {_show(byte)}"
        self._tokens += count
        self._position += count
        return None

    def _string(self, bound: int) -> str | None:
        """Move past the end of the string, or as near to `bound` as it goes. What is wrong with it otherwise."""
        content = _IN_STRING[self._quote].match(self._buffer, self._position, bound)
        assert content is not None
        end = self._position = content.end()
        if end == bound:
            return None
        byte = self._buffer[end]
        if byte == self._quote:
            self._quote = 0
            self._position += 1
            return None
        if byte == _BACKSLASH:
            if end == bound - 1:
                return None
            self._position += 1
            byte = self._buffer[self._position]
        return f"stray {_show(byte)} in a string"

    def _take(self) -> T | JSONParsing:
        message = bytes(memoryview(self._buffer)[: self._position])
        del self._buffer[: self._position]
        self._mode = _Mode.BETWEEN
        return self._decoded(message)

    def _decoded(self, message: bytes) -> T | JSONParsing:
        try:
            return self._decode(message)
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            problem = error
        if b"'" in message:
            try:
                return self._decode(double_quoted(message))
            except (msgspec.DecodeError, ValueError, RecursionError) as error:
                problem = error
        return JSONParsing(explain(problem))

    def _give_up(self, what: str) -> JSONParsing:
        """Report that a limit is exceeded, and pass over the rest of the value."""
        self._mode = _Mode.EXCESS
        self._tokens = 0
        if self._depth == 0 and not self._quote:
            self._skip(self._position, _Mode.BETWEEN)
        return JSONParsing(what)

    def _excess(self) -> _Again | None:
        """Scan for the end of an excessive value without keeping it."""
        buffer = self._buffer
        while self._position < len(buffer):
            bound = len(buffer)
            wrong = self._string(bound) if self._quote else self._token(bound, _TOKEN_OR_LINE_END)
            if wrong is not None:
                mode = _Mode.BETWEEN if buffer[self._position] in b"\r\n\xfe\xff" else _Mode.GARBAGE
                return self._skip(self._position + 1, mode)
            if self._depth == 0 and not self._quote:
                return self._skip(self._position, _Mode.BETWEEN)
            if self._tokens > self._limits.tokens:
                return self._skip(self._position, _Mode.FLOOD)
            if self._quote and self._position == bound - 1 and buffer[self._position] == _BACKSLASH:
                break
        del buffer[: self._position]
        self._position = 0
        return None

    def _scalar(self) -> T | JSONParsing | _Again | None:
        found = _SCALAR_END.search(self._buffer, self._position)
        self._position = found.start() if found else len(self._buffer)
        if self._position > SCALAR_LIMIT:
            return self._fail(self._position, "expecting value")
        if found is None:
            return None
        text = self._buffer[: self._position].decode("ascii", "replace")
        result = self._take()
        if isinstance(result, JSONParsing):
            self._mode = _Mode.GARBAGE
            return JSONParsing(f"invalid value '{text[:SHOWN]}'")
        return result

    def _garbage(self, restart: re.Pattern[bytes]) -> _Again | None:
        found = restart.search(self._buffer)
        if found is None:
            self._buffer.clear()
            return None
        keep = self._buffer[found.start()] in _OPENERS
        return self._skip(found.start() if keep else found.end(), _Mode.BETWEEN)

    def _fail(self, consumed: int, what: str, mode: _Mode = _Mode.GARBAGE) -> JSONParsing:
        self._skip(consumed, mode)
        return JSONParsing(what)

    def _skip(self, count: int, mode: _Mode) -> _Again:
        del self._buffer[:count]
        self._position = 0
        self._mode = mode
        return _AGAIN


def _after(byte: int) -> _Mode:
    """Where the stream is after the byte that was wrong."""
    return _Mode.BETWEEN if byte in b"\r\n\xfe\xff" else _Mode.GARBAGE


def _show(byte: int) -> str:
    return repr(chr(byte)) if 0x20 <= byte < 0x7F else f"byte 0x{byte:02X}"


def double_quoted(message: bytes) -> bytes:
    """The message with its single-quoted strings in double quotes."""

    def escape(found: re.Match[bytes]) -> bytes:
        escaped: bytes | None = found[1]
        if escaped is None:
            return b'\\"'
        return b"'" if escaped == b"'" else found[0]

    def unescape(found: re.Match[bytes]) -> bytes:
        return b"'" if found[0] == b"\\'" else found[0]

    def requote(found: re.Match[bytes]) -> bytes:
        content: bytes | None = found[1]
        if content is None:
            return _ESCAPE_OR_QUOTE.sub(unescape, found[0]) if b"\\'" in found[0] else found[0]
        return b'"' + _ESCAPE_OR_QUOTE.sub(escape, content) + b'"'

    return _STRING.sub(requote, message)


def explain(problem: Exception) -> str:
    """What is wrong with a message that could not be decoded."""
    if isinstance(problem, RecursionError):
        return "nesting depth limit exceeded"
    if isinstance(problem, UnicodeError):
        return "invalid UTF-8 sequence in string"
    text = str(problem).removeprefix("JSON is malformed: ").partition(" - at ")[0]
    if text == "Input data was truncated":  # of a whole value: half a surrogate pair is all that it can be
        return "\\u escape that is not a character"
    return f"{text[:1].lower()}{text[1:]}"


def refuse_duplicates(message: bytes) -> None:
    """Raise ValueError when an object in `message`, which is valid JSON, has a key twice."""
    json.loads(message, object_pairs_hook=_distinct)


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) != len({key for key, _ in pairs}):
        raise ValueError("duplicate key")
