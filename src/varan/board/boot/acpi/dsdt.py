"""The DSDT: what of a board a guest cannot find by itself (ACPI 6.5, 5.2.11.1 and chapter 6).

It is interpreted at every boot of every guest, so it holds what guests need and computes nothing that can be
written down.
"""

from __future__ import annotations

from collections.abc import Sequence

from varan.board.boot.acpi import pci, resources
from varan.board.boot.acpi.aml import EISA_ID, device, eisa_id, integer, name, package, scope, string
from varan.board.boot.acpi.hardware import AcpiHardware
from varan.board.boot.acpi.table import Table, description
from varan.devices.acpi import gpe, pcihp, pm1
from varan.devices.acpi.identity import AcpiIdentity
from varan.devices.acpi.power import GPE0_BASE, PM_BASE, SleepType

HPET_SIZE = 0x400
REVISION = 2
"""Of a DSDT whose integers have 64 bits."""


def dsdt(hardware: AcpiHardware) -> Table:
    """The table for this board."""
    terms = _sleep_states(hardware)
    processors = tuple(_processor(number) for number in range(hardware.cpus))
    isa = _isa_devices(hardware)
    system = tuple(_described(identity) for identity in hardware.system)
    if hardware.pci is None:
        terms += scope("\\_SB", *isa, *system, *processors)
    else:
        terms += scope("\\_SB", pci.host_bridge(hardware.pci, *isa), *pci.links(), *system, *processors)
        terms += pci.events(hardware.pci)
    return description("DSDT", REVISION, terms)


def _sleep_states(hardware: AcpiHardware) -> bytes:
    offered = [SleepType.S5]
    if hardware.s3:
        offered.append(SleepType.S3)
    if hardware.s4:
        offered.append(SleepType.S4)
    return b"".join(name(f"\\_{kind.name}", package(*map(integer, (kind, kind, 0, 0)))) for kind in offered)


def _processor(number: int) -> bytes:
    return device(f"C{number:03X}", name("_HID", string("ACPI0007")), name("_UID", integer(number)))


def _isa_devices(hardware: AcpiHardware) -> tuple[bytes, ...]:
    devices = [_described(identity) for identity in hardware.isa]
    devices.append(_device("PWR", "PNP0C02", _board_ports(hardware)))
    if hardware.hpet_address is not None:
        devices.append(_device("HPET", "PNP0103", [resources.memory32(hardware.hpet_address, HPET_SIZE)]))
    return tuple(devices)


def _described(identity: AcpiIdentity) -> bytes:
    descriptors = [resources.io(port, count) for port, count in identity.ports]
    if identity.irq is not None:
        descriptors.append(resources.irq(identity.irq))
    if identity.dma is not None:
        descriptors.append(resources.dma(identity.dma))
    descriptors += [resources.memory32(base, size) for base, size in identity.memory]
    if identity.gsi is not None:
        descriptors.append(resources.interrupts([identity.gsi]))
    return _device(identity.name, identity.id, descriptors, identity.unit)


def _board_ports(hardware: AcpiHardware) -> list[bytes]:
    """Ports that nothing else may be given: those of power management and hot-plug."""
    ports = [resources.io(PM_BASE, pm1.BLOCK_SIZE), resources.io(GPE0_BASE, gpe.BLOCK_SIZE)]
    if hardware.pci is not None and hardware.pci.hotplug is not None:
        ports.append(resources.io(pcihp.BASE, pcihp.SIZE))
    return ports


def _device(where: str, id: str, descriptors: Sequence[bytes], unit: int | None = None) -> bytes:
    named = [name("_HID", eisa_id(id) if EISA_ID.fullmatch(id) else string(id))]
    if unit is not None:
        named.append(name("_UID", integer(unit)))
    return device(where, *named, name("_CRS", resources.template(*descriptors)))
