"""Handlers of schema/pci.json. Everything is read from configuration space as it is now."""

from __future__ import annotations

from varan.api.values import (
    PciBridgeInfo,
    PciBusInfo,
    PciDeviceClass,
    PciDeviceId,
    PciDeviceInfo,
    PciInfo,
    PciMemoryRange,
    PciMemoryRegion,
)
from varan.commands.registry import handler
from varan.devices.bus import buses_below
from varan.devices.pci import registers as r
from varan.devices.pci.address import FUNCTIONS
from varan.devices.pci.bridge import BridgeFunction
from varan.devices.pci.bus import PciBus
from varan.devices.pci.classes import NAMES
from varan.devices.pci.function import PciFunction
from varan.machine.machine import Machine

UNASSIGNED = -1


@handler("query-pci")
async def query_pci(machine: Machine) -> list[PciInfo]:
    """Walks the buses below each root."""
    with machine.lock:
        return [
            PciInfo(bus=bus.number, devices=_devices(bus))
            for bus in buses_below(machine.tree.root)
            if isinstance(bus, PciBus) and bus.bridge is None
        ]


def _devices(bus: PciBus) -> list[PciDeviceInfo]:
    return [_device(bus, function) for _, function in sorted(bus.functions.items())]


def _device(bus: PciBus, function: PciFunction) -> PciDeviceInfo:
    slot, number = divmod(function.devfn, FUNCTIONS)
    device_class = function.register(r.CLASS_CODE + 1, 2)
    info = PciDeviceInfo(
        bus=bus.number,
        slot=slot,
        function=number,
        class_info=PciDeviceClass(class_=device_class),
        id=_id(function),
        irq_pin=function.interrupt_pin,
        qdev_id=(function.device.id if function.device is not None else None) or "",
        regions=[_region(function, index) for index in sorted(function.layout.bars)],
    )
    if device_class in NAMES:
        info.class_info.desc = NAMES[device_class]
    if function.interrupt_pin:
        info.irq = function.register(r.INTERRUPT_LINE, 1)
    if isinstance(function, BridgeFunction):
        info.pci_bridge = _bridge(function)
    return info


def _id(function: PciFunction) -> PciDeviceId:
    id = PciDeviceId(device=function.register(r.DEVICE_ID, 2), vendor=function.register(r.VENDOR_ID, 2))
    if not function.layout.is_bridge:
        id.subsystem = function.register(r.SUBSYSTEM_ID, 2)
        id.subsystem_vendor = function.register(r.SUBSYSTEM_VENDOR_ID, 2)
    return id


def _region(function: PciFunction, index: int) -> PciMemoryRegion:
    bar, address = function.layout.bars[index], function.bar_address(index)
    region = PciMemoryRegion(
        bar=index,
        type="io" if bar.is_io else "memory",
        address=UNASSIGNED if address is None else address,
        size=bar.size,
    )
    if not bar.is_io:
        region.prefetch = bar.prefetchable
        region.mem_type_64 = bar.kind == "mem64"
    return region


def _bridge(function: BridgeFunction) -> PciBridgeInfo:
    secondary = function.secondary.number
    bus = PciBusInfo(
        number=function.register(r.PRIMARY_BUS, 1),
        secondary=secondary,
        subordinate=function.register(r.SUBORDINATE_BUS, 1),
        io_range=_range(*function.io_window),
        memory_range=_range(*function.memory_window),
        prefetchable_range=_range(*function.prefetchable_window),
    )
    return PciBridgeInfo(bus=bus, devices=_devices(function.secondary)) if secondary else PciBridgeInfo(bus=bus)


def _range(base: int, limit: int) -> PciMemoryRange:
    """The protocol's integers have a sign."""
    return PciMemoryRange(base=_signed(base), limit=_signed(limit))


def _signed(address: int) -> int:
    return address - (1 << 64) if address >> 63 else address
