"""Blocks are asked for ahead of large writes on ext4, and nobody notices."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from varan.block.transports import posix, reserve
from varan.block.transports.reserve import SMALLEST, Reservation

Calls = list[tuple[int, int, int]]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Calls:
    """What fallocate is asked for (mode, offset, length), as if every file were on ext4."""
    made: Calls = []
    monkeypatch.setattr(reserve, "_file_system", lambda fd: 0xEF53)
    monkeypatch.setattr(posix, "fallocate", lambda fd, *arguments: made.append(arguments))
    return made


def test_large_writes_have_their_blocks_given_and_the_file_keeps_its_length(calls: Calls) -> None:
    Reservation(-1).ahead_of(4096, SMALLEST)
    assert calls == [(posix.FALLOC_KEEP_SIZE, 4096, SMALLEST)]


def test_small_writes_cost_no_further_call(calls: Calls) -> None:
    Reservation(-1).ahead_of(0, SMALLEST - 1)
    assert calls == []


def test_other_file_systems_are_left_alone(calls: Calls, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reserve, "_file_system", lambda fd: 0x01021994)
    Reservation(-1).ahead_of(0, SMALLEST)
    assert calls == []


def test_a_refusal_is_silent_and_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(fd: int, mode: int, offset: int, length: int) -> None:
        asked.append(offset)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(reserve, "_file_system", lambda fd: 0xEF53)
    monkeypatch.setattr(posix, "fallocate", refuse)
    reservation = Reservation(-1)
    reservation.ahead_of(0, SMALLEST)
    reservation.ahead_of(SMALLEST, SMALLEST)
    assert asked == [0]


def test_a_real_file_reads_as_before(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"content")
    with path.open("r+b") as stream:
        Reservation(stream.fileno()).ahead_of(0, SMALLEST)
    assert path.read_bytes() == b"content"
