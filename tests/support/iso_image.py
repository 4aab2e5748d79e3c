"""Discs with files on them (ECMA-119, level 1: one directory)."""

from __future__ import annotations

import struct
from collections.abc import Mapping

BLOCK = 2048
DESCRIPTORS, ROOT = 16, 18
DATE = bytes((126, 1, 1, 0, 0, 0, 0))
DIRECTORY = 0x02


def make_iso(files: Mapping[str, bytes]) -> bytes:
    """The image; names are like "READ.ME"."""
    at = ROOT + 1
    records = [_record(b"\0", ROOT, BLOCK, DIRECTORY), _record(b"\1", ROOT, BLOCK, DIRECTORY)]
    contents = b""
    for name, data in sorted(files.items()):
        records.append(_record(f"{name};1".encode(), at, len(data), 0))
        contents += data + bytes(-len(data) % BLOCK)
        at += -(-len(data) // BLOCK)
    volume = bytearray(b"\x01CD001\x01".ljust(BLOCK, b"\0"))
    volume[8:72] = b" " * 64
    for offset, value, width in ((80, at, 4), (120, 1, 2), (124, 1, 2), (128, BLOCK, 2)):
        volume[offset : offset + 2 * width] = _both(value, width)
    root = records[0]
    volume[156 : 156 + len(root)] = root
    end = b"\xffCD001\x01".ljust(BLOCK, b"\0")
    return bytes(DESCRIPTORS * BLOCK) + bytes(volume) + end + b"".join(records).ljust(BLOCK, b"\0") + contents


def _both(value: int, width: int) -> bytes:
    """A number in both byte orders."""
    return value.to_bytes(width, "little") + value.to_bytes(width, "big")


def _record(name: bytes, block: int, size: int, flags: int) -> bytes:
    body = struct.pack("<B", 0) + _both(block, 4) + _both(size, 4) + DATE + bytes((flags, 0, 0)) + _both(1, 2)
    body += bytes((len(name),)) + name
    body += bytes((len(body) + 1) % 2)
    return bytes((len(body) + 1,)) + body
