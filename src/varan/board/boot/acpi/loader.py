"""The tables as firmware gets them that places them itself: two files, and a script for it (the table loader of QEMU's
firmware configuration device, as SeaBIOS and OVMF read it).

The script's commands: allocate memory for a file and load it; add the address of a file to a number in another; put a
checksum into a file.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

from varan.board.boot.acpi.table import Table, lay_out
from varan.board.boot.acpi.tables import RSDP

TABLES_FILE, RSDP_FILE, SCRIPT_FILE = "etc/acpi/tables", "etc/acpi/rsdp", "etc/table-loader"
ALLOCATE, ADD_POINTER, ADD_CHECKSUM = 1, 2, 3
HIGH_MEMORY, F_SEGMENT = 1, 2
"""Where a file goes: anywhere below 4 GiB, or where root pointers are looked for."""
COMMAND_SIZE = 128
FILE_NAME = "56s"


def files(tables: Sequence[Table]) -> dict[str, bytes]:
    """The files by name, for tables of which the RSDP is the last."""
    *others, rsdp = tables
    places, end = lay_out(others, 0)
    content = bytearray(end)
    for table in others:
        at = places[table.name]
        content[at : at + len(table.data)] = _within(table, places)
    alignment = max(table.alignment for table in others)
    script = [
        _command(ALLOCATE, f"{FILE_NAME}IB", RSDP_FILE.encode(), rsdp.alignment, F_SEGMENT),
        _command(ALLOCATE, f"{FILE_NAME}IB", TABLES_FILE.encode(), alignment, HIGH_MEMORY),
    ]
    for table in tables:
        file, at = (RSDP_FILE, 0) if table is rsdp else (TABLES_FILE, places[table.name])
        script += _pointers(table, file, at)
    for table in tables:
        file, at = (RSDP_FILE, 0) if table is rsdp else (TABLES_FILE, places[table.name])
        script += _checksums(table, file, at)
    return {TABLES_FILE: bytes(content), RSDP_FILE: _within(rsdp, places), SCRIPT_FILE: b"".join(script)}


def _within(table: Table, places: dict[str, int]) -> bytes:
    """The table with pointers that count from the start of the tables' file."""
    assert RSDP not in {target for _, _, target in table.pointers}
    data = bytearray(table.data)
    for offset, size, target in table.pointers:
        data[offset : offset + size] = places[target].to_bytes(size, "little")
    return bytes(data)


def _pointers(table: Table, file: str, at: int) -> list[bytes]:
    form = f"{FILE_NAME}{FILE_NAME}IB"
    return [
        _command(ADD_POINTER, form, file.encode(), TABLES_FILE.encode(), at + offset, size)
        for offset, size, _ in table.pointers
    ]


def _checksums(table: Table, file: str, at: int) -> list[bytes]:
    return [
        _command(ADD_CHECKSUM, f"{FILE_NAME}III", file.encode(), at + offset, at, length)
        for offset, length in table.checksums
    ]


def _command(number: int, form: str, *operands: bytes | int) -> bytes:
    return struct.pack(f"<I{form}", number, *operands).ljust(COMMAND_SIZE, b"\0")
