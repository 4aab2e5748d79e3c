"""The tables other than the DSDT: root pointers, FADT, FACS, MADT, HPET, WAET."""

from __future__ import annotations

import struct

from varan.board.boot.acpi.hardware import AcpiHardware, Apics
from varan.board.boot.acpi.table import HEADER, Checksum, Pointer, Table, description
from varan.devices.acpi import gpe, pm1, smi
from varan.devices.acpi.power import GPE0_BASE, PM_BASE, SCI

FACS = "FACS"
RSDP = "RSDP"
FACS_SIZE = 64
WAKING_VECTOR = 12
"""Where the FACS has the real-mode address at which the guest wants to wake."""

RESET_PORT, RESET_VALUE = 0xCF9, 0x06
RTC_CENTURY = 0x32

WBINVD, PROC_C1, SLP_BUTTON, RESET_REG_SUP = 1 << 0, 1 << 2, 1 << 5, 1 << 10
LEGACY_DEVICES, HAS_8042 = 1 << 0, 1 << 1
NO_C2, NO_C3 = 101, 1001
"""Latencies (microseconds) beyond which a power state of processors does not exist."""

PCAT_COMPAT = 1
CPU_ENABLED = 1
LEVEL_HIGH = 0b1101
"""Interrupt flags of the MADT: active high, level-triggered."""
RTC_GOOD, PM_TIMER_GOOD = 1 << 0, 1 << 1

FADT_BODY = struct.Struct(
    "<II BBHI BBBB"  # FACS, DSDT; reserved, profile, SCI, SMI_CMD; enable, disable, S4BIOS, PSTATE
    "8I"  # PM1a_EVT, PM1b_EVT, PM1a_CNT, PM1b_CNT, PM2_CNT, PM_TMR, GPE0, GPE1
    "8B 4H 5B H B I"  # block lengths, GPE1_BASE, CST_CNT; latencies, flushing; duty, alarms, century; boot flags, flags
    "12s B H B QQ 96s"  # RESET_REG, RESET_VALUE, ARM, minor; X_FACS, X_DSDT; eight X_ blocks
)


def rsdp() -> Table:
    """The root pointer (5.2.5.3); it points at both root tables."""
    data = struct.pack("<8sB6sBIIQB3x", b"RSD PTR ", 0, b"VARAN ", 2, 0, 36, 0, 0)
    pointers = (Pointer(16, 4, "RSDT"), Pointer(24, 8, "XSDT"))
    return Table(RSDP, data, pointers, (Checksum(8, 20), Checksum(32, 36)))


def root(signature: str, entry: int, names: tuple[str, ...]) -> Table:
    """RSDT or XSDT: the addresses of the tables, `entry` bytes each (5.2.7, 5.2.8)."""
    pointers = (Pointer(entry * index, entry, name) for index, name in enumerate(names))
    return description(signature, 1, bytes(entry * len(names)), pointers)


def facs() -> Table:
    """The structure that firmware shares with the guest (5.2.10)."""
    return Table(FACS, struct.pack("<4sI24xB31x", b"FACS", FACS_SIZE, 1), alignment=FACS_SIZE)


def fadt() -> Table:
    """The fixed hardware (5.2.9), in the form of ACPI 3.0, which every guest reads."""
    event, control, timer = PM_BASE, PM_BASE + pm1.CONTROL, PM_BASE + pm1.TIMER
    blocks = (event, 0, control, 0, 0, timer, GPE0_BASE, 0)
    lengths = (4, 2, 0, 4, gpe.BLOCK_SIZE, 0)
    extended = zip(blocks, (4, 0, 2, 0, 0, 4, gpe.BLOCK_SIZE, 0), strict=True)
    body = FADT_BODY.pack(
        *(0, 0, 0, 0, SCI, smi.COMMAND_PORT, smi.ACPI_ENABLE, smi.ACPI_DISABLE, 0, 0),
        *(*blocks, *lengths, 0, 0, NO_C2, NO_C3, 0, 0, 0, 0, 0, 0, RTC_CENTURY),
        *(LEGACY_DEVICES | HAS_8042, 0, WBINVD | PROC_C1 | SLP_BUTTON | RESET_REG_SUP),
        *(_io_register(RESET_PORT, 1), RESET_VALUE, 0, 0, 0, 0),
        b"".join(_io_register(port, length) if length else bytes(12) for port, length in extended),
    )
    pointers = (Pointer(0, 4, FACS), Pointer(4, 4, "DSDT"), Pointer(140 - HEADER.size, 8, "DSDT"))
    return description("FACP", 3, body, pointers)


def madt(apics: Apics) -> Table:
    """Interrupt controllers (5.2.12): IRQ 0 arrives at GSI 2, and the SCI is level-triggered."""
    parts = [struct.pack("<II", apics.local_address, PCAT_COMPAT)]
    parts += [struct.pack("<BBBBI", 0, 8, cpu, id, CPU_ENABLED) for cpu, id in enumerate(apics.local_ids)]
    parts.append(struct.pack("<BBBBII", 1, 12, apics.io_apic_id, 0, apics.io_apic_address, 0))
    parts.append(_override(0, 2, 0))
    parts += [_override(line, line, LEVEL_HIGH) for line in (5, SCI, 10, 11)]
    parts.append(struct.pack("<BBBHB", 4, 6, 0xFF, 0, 1))  # NMI: LINT1 of every CPU
    return description("APIC", 3, b"".join(parts))


def hpet(address: int) -> Table:
    """Event timers (IA-PC HPET 1.0a, 3.2.4): Intel, 64 bits, three comparators, legacy replacement."""
    return description("HPET", 1, struct.pack("<I12sBHB", 0x8086A201, _register(0, 64, address), 0, 100, 0))


def waet() -> Table:
    """Emulated devices that need no work-arounds for faults of real ones (Windows ACPI Emulated Devices Table)."""
    return description("WAET", 1, struct.pack("<I", RTC_GOOD | PM_TIMER_GOOD))


def fixed_tables(hardware: AcpiHardware) -> list[Table]:
    """The tables that the root tables list, in their order."""
    tables = [fadt()]
    if hardware.apics is not None:
        tables.append(madt(hardware.apics))
    if hardware.hpet_address is not None:
        tables.append(hpet(hardware.hpet_address))
    return [*tables, waet()]


def _override(irq: int, gsi: int, flags: int) -> bytes:
    return struct.pack("<BBBBIH", 2, 10, 0, irq, gsi, flags)


def _io_register(port: int, size: int) -> bytes:
    return _register(1, 8 * size, port)


def _register(space: int, bits: int, address: int) -> bytes:
    """A generic address structure (5.2.3.2)."""
    return struct.pack("<BBBBQ", space, bits, 0, 0, address)
