"""All tables of a board."""

from __future__ import annotations

import functools

from varan.board.boot.acpi import tables
from varan.board.boot.acpi.dsdt import dsdt
from varan.board.boot.acpi.hardware import AcpiHardware
from varan.board.boot.acpi.table import Table


@functools.lru_cache(maxsize=8)
def build(hardware: AcpiHardware) -> tuple[Table, ...]:
    """Every table, the FACS first (it needs the coarsest alignment) and the RSDP last."""
    listed = tables.fixed_tables(hardware)
    names = tuple(table.name for table in listed)
    roots = [tables.root("RSDT", 4, names), tables.root("XSDT", 8, names)]
    return (tables.facs(), dsdt(hardware), *listed, *roots, tables.rsdp())
