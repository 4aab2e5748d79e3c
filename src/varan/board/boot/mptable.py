"""The MultiProcessor table that firmware leaves in memory (Intel MultiProcessor Specification 1.4, chapter 4).

Guests without ACPI find there the CPUs' local APICs, the I/O APIC, and which interrupt comes in at which pin.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Sequence
from typing import NamedTuple

from varan.core.irq import LOCAL_APIC
from varan.core.memory import MemorySpace
from varan.devices.irq import ioapic
from varan.devices.irq.gsi import TIMER_PIN
from varan.devices.irq.lapic_state import VERSION_VALUE

ADDRESS = 0xF_1000
"""In the area of the BIOS ROM, which is RAM where no firmware is loaded and which the memory map reserves."""

_FLOATING = struct.Struct("<4sIBBB5B")
_HEADER = struct.Struct("<4sHBB8s12sIHHIHBB")
_PROCESSOR = struct.Struct("<BBBBIIII")
_BUS = struct.Struct("<BB6s")
_IO_APIC = struct.Struct("<BBBBI")
_INTERRUPT = struct.Struct("<BBHBBBB")

_ENABLED, _BOOT_CPU = 1, 2
_SIGNATURE, _FEATURES = 0x600, 0x201
"""Family 6, with an FPU and an APIC; guests ask CPUID for the rest."""
_PCI_BUS, _ISA_BUS = 0, 0xFF
"""A PCI bus has its own number. Those behind bridges are not told of: their pins come out on the root bus."""
_CONFORMS, _LEVEL_HIGH = 0x0, 0xD
"""Trigger mode and polarity: the bus's own, or level-triggered and active high."""
_INTERRUPT_ENTRY, _LOCAL_ENTRY = 3, 4
_INT, _NMI, _EXTINT = 0, 1, 3
_ALL_APICS = 0xFF
_ISA_INTERRUPTS = tuple(irq for irq in range(16) if irq != 2)


class PciInterrupt(NamedTuple):
    """Interrupt pin `pin` (0 to 3) of root bus slot `slot` comes in at `gsi`."""

    slot: int
    pin: int
    gsi: int


def install(memory: MemorySpace, apic_ids: Sequence[int], pci: Sequence[PciInterrupt]) -> None:
    """Put the table into guest memory, for CPUs with these APIC numbers, the first CPU's first.

    A board without memory there gets none.
    """
    memory.write_ram(ADDRESS, table(ADDRESS, apic_ids, pci))


def table(address: int, apic_ids: Sequence[int], pci: Sequence[PciInterrupt]) -> bytes:
    """The floating pointer structure for physical `address`, and the configuration table behind it."""
    return _table(address, tuple(apic_ids), tuple(pci))


@functools.lru_cache
def _table(address: int, apic_ids: tuple[int, ...], pci: tuple[PciInterrupt, ...]) -> bytes:
    entries = _entries(apic_ids, pci)
    body = b"".join(entries)
    header = _HEADER.pack(
        b"PCMP", _HEADER.size + len(body), 4, 0, b"VARAN   ", b"PC          ", 0, 0, len(entries), LOCAL_APIC, 0, 0, 0
    )
    at = address + _FLOATING.size
    return _with_checksum(_FLOATING.pack(b"_MP_", at, 1, 4, 0, *[0] * 5), 10) + _with_checksum(header + body, 7)


def _entries(apic_ids: Sequence[int], pci: Sequence[PciInterrupt]) -> list[bytes]:
    """All entries in the order of their types, as 4.3 wants them."""
    version = VERSION_VALUE & 0xFF
    entries = [
        _PROCESSOR.pack(0, id, version, _ENABLED | (0 if place else _BOOT_CPU), _SIGNATURE, _FEATURES, 0, 0)
        for place, id in enumerate(apic_ids)
    ]
    entries += [_BUS.pack(1, _PCI_BUS, b"PCI   "), _BUS.pack(1, _ISA_BUS, b"ISA   ")]
    entries.append(_IO_APIC.pack(2, ioapic.RESET_ID, ioapic.VERSION_NUMBER, _ENABLED, ioapic.BASE))
    entries += [
        _INTERRUPT.pack(_INTERRUPT_ENTRY, _INT, _LEVEL_HIGH, _PCI_BUS, slot << 2 | pin, ioapic.RESET_ID, gsi)
        for slot, pin, gsi in pci
    ]
    taken = {one.gsi for one in pci}
    isa = [irq for irq in _ISA_INTERRUPTS if irq not in taken]
    entries += [_isa_interrupt(_INTERRUPT_ENTRY, _INT, irq, ioapic.RESET_ID, irq or TIMER_PIN) for irq in isa]
    entries.append(_isa_interrupt(_LOCAL_ENTRY, _EXTINT, 0, apic_ids[0], 0))
    entries.append(_isa_interrupt(_LOCAL_ENTRY, _NMI, 0, _ALL_APICS, 1))
    return entries


def _isa_interrupt(entry: int, kind: int, irq: int, apic: int, pin: int) -> bytes:
    return _INTERRUPT.pack(entry, kind, _CONFORMS, _ISA_BUS, irq, apic, pin)


def _with_checksum(structure: bytes, at: int) -> bytes:
    """The structure with its byte `at` such that all add up to 0."""
    return structure[:at] + bytes([-sum(structure) & 0xFF]) + structure[at + 1 :]
