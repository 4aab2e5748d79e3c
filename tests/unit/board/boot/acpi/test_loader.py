"""The tables as firmware places them: a small loader does what the script says."""

from __future__ import annotations

import struct

from tests.unit.board.boot.acpi.test_tables import BRIDGED

from varan.board.boot.acpi import loader
from varan.board.boot.acpi.build import build
from varan.board.boot.acpi.table import lay_out

BASES = {loader.TABLES_FILE: 0x7FE0000, loader.RSDP_FILE: 0xF5000}


def load(files: dict[str, bytes]) -> dict[str, bytearray]:
    """What firmware makes of the files, as docs of the script's commands say."""
    memory: dict[str, bytearray] = {}
    script = files[loader.SCRIPT_FILE]
    for at in range(0, len(script), loader.COMMAND_SIZE):
        (number,) = struct.unpack_from("<I", script, at)
        body = script[at + 4 : at + loader.COMMAND_SIZE]
        name = body[:56].rstrip(b"\0").decode()
        if number == loader.ALLOCATE:
            alignment, zone = struct.unpack_from("<IB", body, 56)
            assert BASES[name] % alignment == 0
            assert zone == (loader.F_SEGMENT if name == loader.RSDP_FILE else loader.HIGH_MEMORY)
            memory[name] = bytearray(files[name])
        elif number == loader.ADD_POINTER:
            source = body[56:112].rstrip(b"\0").decode()
            offset, size = struct.unpack_from("<IB", body, 112)
            value = int.from_bytes(memory[name][offset : offset + size], "little") + BASES[source]
            memory[name][offset : offset + size] = value.to_bytes(size, "little")
        else:
            assert number == loader.ADD_CHECKSUM
            offset, start, length = struct.unpack_from("<III", body, 56)
            memory[name][offset] = 0
            memory[name][offset] = -sum(memory[name][start : start + length]) & 0xFF
    return memory


def test_what_firmware_places_is_what_a_kernel_without_firmware_finds() -> None:
    tables = build(BRIDGED)
    loaded = load(loader.files(tables))
    addresses, end = lay_out(tables[:-1], BASES[loader.TABLES_FILE])
    addresses[tables[-1].name] = BASES[loader.RSDP_FILE]
    assert len(loaded[loader.TABLES_FILE]) == end - BASES[loader.TABLES_FILE]
    for table in tables[:-1]:
        start = addresses[table.name] - BASES[loader.TABLES_FILE]
        assert loaded[loader.TABLES_FILE][start : start + len(table.data)] == table.place(addresses), table.name
    assert loaded[loader.RSDP_FILE] == tables[-1].place(addresses)
