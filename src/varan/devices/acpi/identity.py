"""What ACPI tells guests about a device that they cannot find by themselves."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AcpiIdentity:
    """One device of the DSDT: `name` has up to four characters, `id` is its hardware id (EISA or ACPI form)."""

    name: str
    id: str
    ports: tuple[tuple[int, int], ...] = ()
    """First port and number of ports of each run."""
    irq: int | None = None
    """Its ISA interrupt."""
    gsi: int | None = None
    """Its global system interrupt, level-triggered and shared, where it is not an ISA device."""
    memory: tuple[tuple[int, int], ...] = ()
    """First address and number of bytes of each run, below 4 GiB."""
    unit: int | None = None
    """Tells devices with the same hardware id apart."""
    dma: int | None = None
    """Its ISA DMA channel."""
