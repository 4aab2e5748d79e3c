"""The guest that writes numbered records for ever (record_guest.s), and what its disks may hold.

Which sectors a record writes, in four pieces, and with what, follows from its number and the disk's: so what a disk
holds tells which records are on it. Reports of the guest, lines on the debug console:

    F<disk> <number>   all records of the disk up to that one are flushed
    E<disk> <number>   a request of it failed; it is written again
    B<disk> <count>    sectors that are no records and no zeros
    V<disk> <sum>      all its words, each times its odd number from 1 on
    D<disks> 0         everything is read
"""

from __future__ import annotations

import re
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from tests.support.assemble import assemble
from tests.support.boot_images import ElfSegment, elf

SECTOR = 512
WORDS = SECTOR // 8
SIZE = 4 << 20
SECTORS = SIZE // SECTOR
QUARTER = SECTORS // 4
STEP, MIX = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93
MASK = (1 << 64) - 1
LOAD = 0x100000
_REPORT = re.compile(r"([A-Z])(\d) ([0-9a-f]{16})")

Numbers = np.ndarray[Any, np.dtype[np.int64]]


def make_guest(path: Path) -> None:
    """A file for `-kernel`; skips without binutils."""
    made = assemble(Path(__file__).with_name("record_guest.s").read_text(), path.parent)
    path.write_bytes(elf(ElfSegment(LOAD, made.code), entry=LOAD + made.labels["start"]))


def reports(text: str) -> list[tuple[str, int, int]]:
    """Letter, disk and number of each whole line."""
    found = map(_REPORT.fullmatch, text.splitlines())
    return [(line[1], int(line[2]), int(line[3], 16)) for line in found if line is not None]


class Piece(NamedTuple):
    """`length` sectors from `first` on: the record, or zeros."""

    first: int
    length: int
    zero: bool


@cache
def pieces(disk: int, record: int) -> tuple[Piece, ...]:
    """What a record writes, all at once."""
    found = []
    for number in range(4):
        value = ((record * 8 + number) * 8 + disk + 1) * STEP & MASK
        value = (value ^ value >> 32) * MIX & MASK
        value ^= value >> 32
        first = (value >> 16 & 0xFFFFFFFF) % (QUARTER - 16) + QUARTER * number
        found.append(Piece(first, (value & 15) + 1, not value & 0x70))
    return tuple(found)


def data(disk: int, record: int, piece: Piece) -> bytes:
    """What a piece that is not zeros writes."""
    sectors = np.arange(piece.first, piece.first + piece.length, dtype=np.uint64)
    words = np.empty((piece.length, WORDS), np.uint64)
    words[:, 0] = record << 8 | disk
    words[:, 1] = sectors
    words[:, 2:] = _rest(words)
    return words.tobytes()


def _rest(words: Any) -> Any:
    """What follows the first two words of sectors."""
    start = (words[:, 0] * np.uint64(STEP) + words[:, 1]) * np.uint64(MIX)
    return start[:, None] + np.arange(2, WORDS, dtype=np.uint64) * np.uint64(STEP)


def read(disk: int, content: bytes) -> Numbers:
    """The record in each sector, 0 for zeros. Fails where a sector is neither."""
    words = np.frombuffer(content, np.uint64).reshape(-1, WORDS)
    zero = ~words.any(axis=1)
    whole = (words[:, 2:] == _rest(words)).all(axis=1)
    whole &= (words[:, 0] & np.uint64(0xFF)) == disk
    whole &= words[:, 1] == np.arange(len(words), dtype=np.uint64)
    strange = np.flatnonzero(~(whole | zero))
    assert not len(strange), f"no records in sectors {strange[:20]} of disk {disk}"
    return (words[:, 0] >> np.uint64(8)).astype(np.int64)


def word_sum(content: bytes) -> int:
    """What the guest reports of these bytes."""
    words = np.frombuffer(content, np.uint64)
    return int((words * np.arange(1, 2 * len(words), 2, dtype=np.uint64)).sum(dtype=np.uint64))


def state(disk: int, record: int) -> Numbers:
    """What each sector has after all records up to that one: the last that wrote it, negative where with zeros."""
    found = np.zeros(SECTORS, np.int64)
    for number in range(1, record + 1):
        _put(found, disk, number)
    return found


def _put(found: Numbers, disk: int, record: int) -> None:
    for piece in pieces(disk, record):
        found[piece.first : piece.first + piece.length] = -record if piece.zero else record


def fault_after_cut(disk: int, content: bytes, flushed: int) -> str | None:
    """What is missing where all records up to `flushed` must be there, and later ones may be."""
    if len(content) < SIZE:
        return f"disk {disk}: {len(content)} bytes"
    found = read(disk, content[:SIZE])
    allowed = state(disk, flushed)
    wrong = found != np.maximum(allowed, 0)
    for record in range(flushed + 1, max(int(found.max()), flushed) + 9):
        later = np.zeros(SECTORS, np.int64)
        _put(later, disk, record)
        wrong &= (later == 0) | (found != np.maximum(later, 0))
    missing = np.flatnonzero(wrong)
    if len(missing):
        some = [(int(at), int(found[at]), int(allowed[at])) for at in missing[:8]]
        return f"disk {disk}, flushed {flushed}: {len(missing)} sectors, found and wanted: {some}"
    if content[SIZE:].strip(b"\0"):
        return f"disk {disk}: something behind its first end"
    return None


def moment(disk: int, content: bytes) -> int:
    """The record after which a disk was like this, or in the middle of which. Fails where it never was."""
    found = read(disk, content[:SIZE])
    newest = int(found.max())
    for record in (newest, newest + 1):
        before = state(disk, record - 1)
        after = before.copy()
        _put(after, disk, record)
        if ((found == np.maximum(before, 0)) | (found == np.maximum(after, 0))).all():
            return record
    before = state(disk, newest)
    wrong = np.flatnonzero(found != np.maximum(before, 0))
    some = [(int(at), int(found[at]), int(before[at])) for at in wrong[:8]]
    raise AssertionError(f"disk {disk} was never like this; newest {newest}, {len(wrong)} sectors: {some}")
