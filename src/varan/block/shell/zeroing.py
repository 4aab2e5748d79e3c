"""Commands that flush, discard and resize."""

from __future__ import annotations

import time

from varan.block.base import BlockError
from varan.block.request import discard
from varan.block.shell import words as w
from varan.block.shell.session import Command, Session, request_words


def _flush(session: Session, words: list[str]) -> None:
    session.drive(session.requests.flush())


def _discard(session: Session, words: list[str]) -> None:
    parsed = w.parse("discard", words, "Cq")
    if len(parsed.operands) != 2:
        raise w.BadWordsError("discard: an offset and a length are expected")
    offset, length = map(w.number, parsed.operands)
    started = time.perf_counter()
    try:
        session.drive(discard(session.requests, offset, length))
    except BlockError as error:
        raise w.CommandError(f"discard failed: {request_words(error)}") from error
    if "q" not in parsed.flags:
        seconds = time.perf_counter() - started
        session.say(w.report("discard", offset, length, length, seconds, terse="C" in parsed.flags))


def _truncate(session: Session, words: list[str]) -> None:
    parsed = w.parse("truncate", words, "", "m")
    if len(parsed.operands) != 1:
        raise w.BadWordsError("truncate: a size is expected")
    session.resize(w.number(parsed.operands[0]), parsed.values.get("m", "off"))


COMMANDS = (
    Command("flush", "", "flush all in-core file state to disk", _flush, aliases=("f",)),
    Command(
        "discard",
        "[-Cq] off len",
        "discards a number of bytes at a specified offset",
        _discard,
        2,
        None,
        " -C, -- numbers only: bytes,ops,time,bytes/sec,ops/sec\n -q, -- do not report",
        aliases=("d",),
        writes=True,
    ),
    Command(
        "truncate",
        "[-m prealloc_mode] off",
        "truncates the current file at the given offset",
        _truncate,
        1,
        3,
        " -m, -- preallocation mode: off, metadata, falloc or full",
        aliases=("t",),
        writes=True,
    ),
)
