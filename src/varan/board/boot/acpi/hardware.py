"""What the tables tell about a board; the board fills it in from what it has."""

from __future__ import annotations

from dataclasses import dataclass

from varan.devices.acpi.identity import AcpiIdentity


@dataclass(frozen=True, slots=True)
class Apics:
    """The interrupt controllers of the MADT."""

    local_ids: tuple[int, ...]
    """The number of each CPU's local APIC."""
    io_apic_id: int
    io_apic_address: int
    local_address: int


@dataclass(frozen=True, slots=True)
class Window:
    """Addresses `first` to `last` that a bus takes: port numbers or memory."""

    first: int
    last: int


@dataclass(frozen=True, slots=True)
class HotplugBus:
    """A PCI bus as hot-plug knows it: `slots` can be filled and emptied while the guest runs."""

    number: int | None = None
    """What the hot-plug registers call it, None where it has no such slots."""
    slots: tuple[int, ...] = ()
    bridges: tuple[tuple[int, HotplugBus], ...] = ()
    """The buses behind its bridges, by devfn."""


@dataclass(frozen=True, slots=True)
class PciHost:
    """The root bus."""

    io: tuple[Window, ...]
    memory: tuple[Window, ...]
    hotplug: HotplugBus | None = None
    """None where nothing can come or go."""


@dataclass(frozen=True, slots=True)
class AcpiHardware:
    """Power management is always there: without it there are no tables."""

    cpus: int
    isa: tuple[AcpiIdentity, ...] = ()
    """The ISA devices."""
    system: tuple[AcpiIdentity, ...] = ()
    """Devices on the CPUs' own bus."""
    apics: Apics | None = None
    hpet_address: int | None = None
    pci: PciHost | None = None
    s3: bool = True
    s4: bool = True
    """Whether the sleep states are offered."""
