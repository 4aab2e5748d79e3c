"""The PCI buses."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import UNSET

from varan.api.values import PciBridgeInfo, PciDeviceInfo, PciMemoryRange, PciMemoryRegion
from varan.commands import pci as handlers
from varan.commands.hmp.registry import INFO, command
from varan.commands.hmp.session import HmpSession

_WORD = (1 << 64) - 1


@command("pci", help="the functions on the PCI buses, and where their registers are", group=INFO)
async def pci(session: HmpSession) -> str:
    """In the layout that scripts read; -1 is shown as the 64 bits that it has."""
    buses = await handlers.query_pci(session.machine)
    lines = [line for bus in buses for device in bus.devices for line in _device(device)]
    return "".join(f"{line}\n" for line in lines)


def _device(device: PciDeviceInfo) -> Iterator[str]:
    yield f"  Bus {device.bus:2d}, device {device.slot:3d}, function {device.function}:"
    name = device.class_info.desc or f"Class {device.class_info.class_:04d}"
    yield f"    {name}: PCI device {device.id.vendor:04x}:{device.id.device:04x}"
    if device.id.subsystem is not UNSET:
        yield f"      PCI subsystem {device.id.subsystem_vendor:04x}:{device.id.subsystem:04x}"
    if device.irq is not UNSET:
        yield f"      IRQ {device.irq}, pin {' ABCD'[device.irq_pin]}"
    if device.pci_bridge is not UNSET:
        yield from _bridge(device.pci_bridge)
    for region in device.regions:
        yield f"      BAR{region.bar}: {_region(region)}"
    yield f'      id "{device.qdev_id}"'
    if device.pci_bridge is not UNSET:
        for behind in device.pci_bridge.devices or []:
            yield from _device(behind)


def _bridge(bridge: PciBridgeInfo) -> Iterator[str]:
    bus = bridge.bus
    yield f"      BUS {bus.number}."
    yield f"      secondary bus {bus.secondary}."
    yield f"      subordinate bus {bus.subordinate}."
    yield f"      IO range {_range(bus.io_range, 4)}"
    yield f"      memory range {_range(bus.memory_range, 8)}"
    yield f"      prefetchable memory range {_range(bus.prefetchable_range, 8)}"


def _range(range: PciMemoryRange, digits: int) -> str:
    return f"[0x{range.base & _WORD:0{digits}x}, 0x{range.limit & _WORD:0{digits}x}]"


def _region(region: PciMemoryRegion) -> str:
    first, last = region.address & _WORD, region.address + region.size - 1
    if region.type == "io":
        return f"I/O at 0x{first:04x} [0x{last:04x}]."
    width = "64" if region.mem_type_64 else "32"
    kind = " prefetchable" if region.prefetch else ""
    return f"{width} bit{kind} memory at 0x{first:08x} [0x{last:08x}]."
