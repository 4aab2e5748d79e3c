"""ACPI tables as blocks of bytes that point at one another, and their way to final addresses.

A table is made without knowing where it will lie: the places in it that hold other tables' addresses are listed beside
its bytes, and so are its checksums. `Table.place` fills them in where no firmware runs; firmware that places the tables
itself needs the same lists.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

HEADER = struct.Struct("<4sIBB6s8sI4sI")
"""Signature, length, revision, checksum, OEM id, OEM table id, OEM revision, creator id, creator revision (5.2.6)."""
CHECKSUM = 9
"""Where the header has its checksum."""
OEM = b"VARAN "
CREATOR = b"VARN"


class Pointer(NamedTuple):
    """`size` bytes at `offset` of a table hold the address of the table called `target`."""

    offset: int
    size: int
    target: str


class Checksum(NamedTuple):
    """The byte at `offset` makes the first `length` bytes add up to 0 modulo 256."""

    offset: int
    length: int


@dataclass(frozen=True, slots=True)
class Table:
    """One block. `alignment` is that of its address, in bytes."""

    name: str
    data: bytes
    pointers: tuple[Pointer, ...] = ()
    checksums: tuple[Checksum, ...] = ()
    alignment: int = 16

    def place(self, addresses: Mapping[str, int]) -> bytes:
        """The bytes with all pointers and checksums. Raises OverflowError for an address that a pointer cannot hold."""
        data = bytearray(self.data)
        for offset, size, target in self.pointers:
            data[offset : offset + size] = addresses[target].to_bytes(size, "little")
        for offset, length in self.checksums:
            data[offset] = 0
            data[offset] = -sum(data[:length]) & 0xFF
        return bytes(data)


def description(signature: str, revision: int, body: bytes, pointers: Iterable[Pointer] = ()) -> Table:
    """A table with the standard header. The offsets of `pointers` count from the start of `body`."""
    length = HEADER.size + len(body)
    header = HEADER.pack(signature.encode(), length, revision, 0, OEM, b"VARANPC ", 1, CREATOR, 1)
    moved = tuple(pointer._replace(offset=pointer.offset + HEADER.size) for pointer in pointers)
    return Table(signature, header + body, moved, (Checksum(CHECKSUM, length),))


def lay_out(tables: Iterable[Table], base: int) -> tuple[dict[str, int], int]:
    """Addresses by name, one table after the other from `base` on, and the end."""
    addresses, at = {}, base
    for table in tables:
        at = -(-at // table.alignment) * table.alignment
        addresses[table.name] = at
        at += len(table.data)
    return addresses, at
