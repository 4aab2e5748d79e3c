"""Commands that read and write: at once, and as requests that go on while further commands come."""

from __future__ import annotations

import time

from varan.block.base import BlockError, Node, Write
from varan.block.operations.zeros import first_difference
from varan.block.request import read, write, zero
from varan.block.shell import words as w
from varan.block.shell.session import Command, Session, request_words
from varan.light import TYPE_CHECKING, field, record

if TYPE_CHECKING:
    from collections.abc import Coroutine
    from typing import Any

DEFAULT_PATTERN = 0xCD
MAX_REQUEST = (1 << 31) - 512


@record(slots=True)
class Request:
    """What a read or write asks for."""

    offset: int
    lengths: list[int]
    flags: set[str] = field(default_factory=set)
    pattern: int | None = None
    check_from: int = 0
    check_length: int | None = None
    write_flags: Write = Write.NONE
    source: bytes | None = None

    @property
    def length(self) -> int:
        """Bytes of all parts."""
        return sum(self.lengths)


def _request(name: str, words: list[str], flags: str, values: str, *, vectored: bool) -> Request:
    parsed = w.parse(name, words, flags, values)
    operands = parsed.operands
    if len(operands) < 2 or (len(operands) > 2 and not vectored):
        raise w.BadWordsError("")
    request = Request(w.number(operands[0]), [w.number(word) for word in operands[1:]], parsed.flags)
    if request.length > MAX_REQUEST:
        given = request.length if vectored else operands[1]
        raise w.CommandError(f"length cannot exceed {MAX_REQUEST}, given {given}")
    if "P" in parsed.values:
        request.pattern = w.pattern(parsed.values["P"])
    return request


def _views(data: bytearray, lengths: list[int]) -> list[memoryview]:
    views, at = [], 0
    for length in lengths:
        views.append(memoryview(data)[at : at + length])
        at += length
    return views


def _run_read(name: str, flags: str, *, vectored: bool) -> Any:
    def run(session: Session, words: list[str]) -> None:
        values = "P" if vectored else "Psl"
        request = _request(name, words, flags, values, vectored=vectored)
        if not vectored:
            _pattern_window(request, w.parse(name, words, flags, values).values)
        session.drive(_read(session, request, name))

    return run


def _pattern_window(request: Request, values: dict[str, str]) -> None:
    if ("s" in values or "l" in values) and request.pattern is None:
        raise w.CommandError("-s and -l only have an effect with -P")
    request.check_from = w.number(values.get("s", "0"))
    if "l" in values:
        request.check_length = w.number(values["l"])
    if request.check_from + (request.check_length or 0) > request.length:
        raise w.CommandError("pattern verification range exceeds end of read data")


async def _read(session: Session, request: Request, name: str) -> None:
    data = bytearray(request.length)
    started = time.perf_counter()
    try:
        if "b" in request.flags:
            await _vm_state(session.requests, "read", request.offset, _views(data, request.lengths))
        else:
            await _read_checked(session.requests, request, data)
    except BlockError as error:
        raise w.CommandError(f"{name.replace('aio_read', 'readv')} failed: {request_words(error)}") from error
    seconds = time.perf_counter() - started
    wrong = _verify(session, request, data)
    if "q" not in request.flags:
        if "v" in request.flags:
            session.say(w.dump(data, request.offset))
        session.say(w.report("read", request.offset, len(data), len(data), seconds, terse="C" in request.flags))
    if wrong and not name.startswith("aio_"):
        session.failed = True


async def _read_checked(node: Node, request: Request, data: bytearray) -> None:
    await read(node, request.offset, _views(data, request.lengths))


def _verify(session: Session, request: Request, data: bytearray) -> bool:
    """Whether the pattern is missing; says where it was looked for."""
    if request.pattern is None:
        return False
    start = request.check_from
    length = len(data) - start if request.check_length is None else request.check_length
    part, wanted = data[start : start + length], bytes([request.pattern]) * length
    if first_difference(part, wanted, length) == length:
        return False
    session.say(f"Pattern verification failed at offset {request.offset + start}, {length} bytes")
    return True


def _run_write(name: str, flags: str, *, vectored: bool) -> Any:
    def run(session: Session, words: list[str]) -> None:
        session.drive(_write(session, _write_request(name, words, flags, vectored=vectored), name))

    return run


def _write_request(name: str, words: list[str], flags: str, *, vectored: bool) -> Request:
    values = "P" if vectored else "Ps"
    request = _request(name, words, flags, values, vectored=vectored)
    parsed = w.parse(name, words, flags, values)
    given = parsed.flags
    _check_write_flags(given, request.pattern is not None, "s" in parsed.values)
    if "z" in given and len(request.lengths) > 1:
        raise w.CommandError("-z supports only a single length parameter")
    if "f" in given:
        request.write_flags |= Write.FUA
    if "c" in given:
        request.write_flags |= Write.COMPRESSED
    if "u" in given:
        request.write_flags |= Write.MAY_UNMAP
    if "n" in given:
        request.write_flags |= Write.NO_FALLBACK
    if "s" in parsed.values:
        request.source = _source(parsed.values["s"])
    return request


def _check_write_flags(given: set[str], has_pattern: bool, has_source: bool) -> None:
    if "b" in given and given & {"c", "z"}:
        raise w.CommandError("-b and -c or -z cannot be specified at the same time")
    if {"c", "z"} <= given:
        raise w.CommandError("-c and -z cannot be specified at the same time")
    if "f" in given and given & {"b", "c"}:
        raise w.CommandError("-f and -b or -c cannot be specified at the same time")
    for flag in ("n", "u"):
        if flag in given and "z" not in given:
            raise w.CommandError(f"-{flag} requires -z to be specified")
    if ("z" in given) + has_pattern + has_source > 1:
        raise w.CommandError("Only one of -z, -P, and -s can be specified at the same time")


def _source(path: str) -> bytes:
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_REQUEST)
    except OSError as error:
        raise w.BadWordsError(f"{path}: {error.strerror}") from None
    if not data:
        raise w.BadWordsError(f"{path}: file is empty")
    return data


async def _write(session: Session, request: Request, name: str) -> None:
    node, length = session.requests, request.length
    data = bytearray() if "z" in request.flags else bytearray(_content(request))
    started = time.perf_counter()
    try:
        if "z" in request.flags:
            await zero(node, request.offset, length, request.write_flags)
        elif "b" in request.flags:
            await _vm_state(node, "write", request.offset, _views(data, request.lengths))
        else:
            _check_compressed(node, request)
            await write(node, request.offset, _views(data, request.lengths), request.write_flags)
    except BlockError as error:
        raise w.CommandError(f"{name} failed: {request_words(error)}") from error
    if "q" not in request.flags:
        seconds = time.perf_counter() - started
        session.say(w.report("wrote", request.offset, length, length, seconds, terse="C" in request.flags))


def _content(request: Request) -> bytes:
    if request.source is not None:
        times = -(-request.length // len(request.source))
        return (request.source * times)[: request.length]
    return bytes([DEFAULT_PATTERN if request.pattern is None else request.pattern]) * request.length


def _check_compressed(node: Node, request: Request) -> None:
    if not request.write_flags & Write.COMPRESSED:
        return
    cluster = node.limits.zero_alignment
    end = request.offset + request.length
    if request.offset % cluster or (request.length % cluster and end != node.length):
        raise w.CommandError("write failed: Invalid argument")


async def _vm_state(node: Node, what: str, offset: int, views: list[memoryview]) -> None:
    call = getattr(node, f"{what}_vmstate", None)
    if call is None:
        raise w.CommandError(f"{what} failed: Operation not supported")
    await call(offset, views)


def _spawned(coroutine: Coroutine[Any, Any, None], session: Session) -> Coroutine[Any, Any, None]:
    async def run() -> None:
        try:
            await coroutine
        except w.CommandError as error:
            session.say(str(error))

    return run()


def _aio_read(session: Session, words: list[str]) -> None:
    request = _request("aio_read", words, "Ciqv", "P", vectored=True)
    session.spawn(_spawned(_read(session, request, "aio_read"), session))


def _aio_write(session: Session, words: list[str]) -> None:
    request = _write_request("aio_write", words, "Cfiquz", vectored=True)
    session.spawn(_spawned(_write(session, request, "aio_write"), session))


def _aio_flush(session: Session, words: list[str]) -> None:
    session.settle()


_READ_HELP = """ -b, -- read from the VM state rather than the virtual disk
 -C, -- numbers only: bytes,ops,time,bytes/sec,ops/sec
 -l, -- how many bytes to compare (with -P)
 -p, -- without meaning
 -P, -- compare what is read with this byte
 -q, -- do not report
 -s, -- first byte to compare (with -P)
 -v, -- dump what is read"""
_WRITE_HELP = """ -b, -- write to the VM state rather than the virtual disk
 -c, -- compressed
 -C, -- numbers only: bytes,ops,time,bytes/sec,ops/sec
 -f, -- on stable storage when done
 -n, -- with -z: fail rather than write zeros
 -p, -- without meaning
 -P, -- the byte to write (0xcd)
 -q, -- do not report
 -s, -- write this file's content, again and again
 -u, -- with -z: space may be given back
 -z, -- write zeros"""

COMMANDS = (
    Command(
        "read",
        "[-abCqv] [-P pattern [-s off] [-l len]] off len",
        "reads a number of bytes at a specified offset",
        _run_read("read", "abCpqv", vectored=False),
        2,
        None,
        _READ_HELP,
        aliases=("r",),
    ),
    Command(
        "readv",
        "[-Cqv] [-P pattern] off len [len..]",
        "reads a number of bytes at a specified offset",
        _run_read("readv", "Cqv", vectored=True),
        2,
        None,
        _READ_HELP,
        aliases=("rv",),
    ),
    Command(
        "write",
        "[-bcCfnquz] [-P pattern | -s source_file] off len",
        "writes a number of bytes at a specified offset",
        _run_write("write", "bcCfnpquz", vectored=False),
        2,
        None,
        _WRITE_HELP,
        aliases=("w",),
        writes=True,
    ),
    Command(
        "writev",
        "[-Cfq] [-P pattern] off len [len..]",
        "writes a number of bytes at a specified offset",
        _run_write("writev", "Cfq", vectored=True),
        2,
        None,
        _WRITE_HELP,
        aliases=("wv",),
        writes=True,
    ),
    Command(
        "aio_read",
        "[-Ciqv] [-P pattern] off len [len..]",
        "asynchronously reads a number of bytes",
        _aio_read,
        2,
        None,
        _READ_HELP,
    ),
    Command(
        "aio_write",
        "[-Cfiquz] [-P pattern] off len [len..]",
        "asynchronously writes a number of bytes",
        _aio_write,
        2,
        None,
        _WRITE_HELP,
        writes=True,
    ),
    Command("aio_flush", "", "completes all outstanding aio requests", _aio_flush),
)
