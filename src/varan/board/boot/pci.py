"""What firmware does to the PCI buses before it starts a kernel: bus numbers, BARs, bridge windows, interrupts.

A directly booted kernel finds no firmware's traces otherwise, and relies on them. The layout is the one that PC
firmware gives: INTx on 10 and 11, I/O from C000h, memory in the hole below the I/O APIC, prefetchable 64-bit BARs
above RAM where the hole is full. What does not fit anywhere stays unassigned.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from varan.board.boot.mptable import PciInterrupt
from varan.core.ports import PortSpace
from varan.devices.irq.i8259 import ELCR_PORT
from varan.devices.pci import registers as r
from varan.devices.pci.address import FUNCTIONS, SLOTS
from varan.devices.pci.bar import Rom
from varan.devices.pci.bridge import IO_GRANULE, MEMORY_GRANULE, BridgeFunction
from varan.devices.pci.bus import PciBus
from varan.devices.pci.function import PciFunction
from varan.devices.pci.intx import PINS, swizzle
from varan.devices.pci.piix3 import PIRQRC, pirq

PIRQ_INTERRUPTS = (10, 10, 11, 11)
"""What PIRQA to PIRQD raise."""
IO_WINDOW = (0xC000, 0x10000)
LOW_WINDOW_STARTS = (0x80000000, 0xC0000000, 0xE0000000)
"""The first of these that is not below the end of low RAM starts the memory hole."""
LOW_WINDOW_END = 0xFEC00000
"""The I/O APIC and what follows it end the memory hole below 4 GiB."""
LAST_BUS = 0xFF
ROOM = 2 << 20
"""Bytes of memory that a bridge gets for devices that are not there yet."""
HIGH_WINDOW_ALIGN = 1 << 30
HIGH_WINDOW_END = 1 << 39
"""Below the last address that every CPU model can reach."""


@dataclass
class Window:
    """A run of addresses from which BARs are cut, upwards. `at` is the first free one."""

    at: int
    end: int

    def take(self, size: int, align: int) -> int | None:
        """The start of a run of `size`, None when none is left."""
        start = -(-self.at // align) * align
        if start + size > self.end:
            return None
        self.at = start + size
        return start


@dataclass
class Windows:
    """Where BARs may go: ports, memory below 4 GiB, memory above RAM."""

    io: Window
    low: Window
    high: Window


def pc_windows(low_memory: int, memory_end: int) -> Windows:
    """The windows of a PC with `low_memory` bytes of RAM below 4 GiB, all of whose RAM ends at `memory_end`."""
    first = next(start for start in LOW_WINDOW_STARTS if start >= low_memory)
    high = -(-max(memory_end, 1 << 32) // HIGH_WINDOW_ALIGN) * HIGH_WINDOW_ALIGN
    return Windows(Window(*IO_WINDOW), Window(first, LOW_WINDOW_END), Window(high, HIGH_WINDOW_END))


def initialize(root: PciBus, isa_bridge: PciFunction, ports: PortSpace, windows: Windows) -> None:
    """Set everything below `root` up. The caller holds the machine lock."""
    for number, interrupt in enumerate(PIRQ_INTERRUPTS):
        isa_bridge.write_config(PIRQRC + number, 1, interrupt)
    for interrupt in set(PIRQ_INTERRUPTS):
        port = ELCR_PORT + interrupt // 8
        ports.write(port, 1, ports.read(port, 1) | 1 << interrupt % 8)
    _number_buses(root, 0)
    _assign_bus(root, windows)
    _route_interrupts(root, [])


@functools.cache
def interrupts() -> tuple[PciInterrupt, ...]:
    """Where the pins of all slots of the root bus come in after `initialize`, whatever is in them."""
    pins = [(slot, pin) for slot in range(SLOTS) for pin in range(PINS)]
    return tuple(PciInterrupt(slot, pin, PIRQ_INTERRUPTS[pirq(slot, pin)]) for slot, pin in pins)


def _number_buses(bus: PciBus, number: int) -> int:
    """Number the buses below `bus`, which is `number`, depth first; returns the last number given."""
    last = number
    for bridge in _bridges(bus):
        bridge.write_config(r.PRIMARY_BUS, 1, number)
        bridge.write_config(r.SECONDARY_BUS, 1, last + 1)
        bridge.write_config(r.SUBORDINATE_BUS, 1, 0xFF)
        reserved = last + 1 + (bridge.reserve.buses or 0)
        last = min(max(_number_buses(bridge.secondary, last + 1), reserved), LAST_BUS)
        bridge.write_config(r.SUBORDINATE_BUS, 1, last)
    return last


def _bridges(bus: PciBus) -> list[BridgeFunction]:
    return [function for _, function in sorted(bus.functions.items()) if isinstance(function, BridgeFunction)]


def _assign_bus(bus: PciBus, windows: Windows) -> None:
    """Place the BARs of one bus, the largest first, then open each bridge's windows around what is behind it."""
    wanted = [
        (bar.size, -devfn, -index, function)
        for devfn, function in bus.functions.items()
        for index, bar in function.layout.bars.items()
        if not isinstance(bar, Rom)
    ]
    starts = windows.io.at, windows.low.at, windows.high.at
    for _, _, index, function in sorted(wanted, key=lambda item: item[:3], reverse=True):
        _assign_bar(function, -index, windows)
    if bus.bridge is not None:
        _leave_room(bus.bridge, windows, *starts)
    for bridge in _bridges(bus):
        _assign_behind(bridge, windows)
    for function in bus.functions.values():
        _enable(function)


def _assign_bar(function: PciFunction, index: int, windows: Windows) -> None:
    bar = function.layout.bars[index]
    if bar.is_io:
        start = windows.io.take(bar.size, bar.size)
    else:
        start = windows.low.take(bar.size, bar.size)
        if start is None and bar.kind == "mem64" and bar.prefetchable:
            start = windows.high.take(bar.size, bar.size)
    if start is not None:
        function.write_config(function.layout.bar_offset(index), bar.width, start)


def _assign_behind(bridge: BridgeFunction, windows: Windows) -> None:
    """Give the bus behind `bridge` what is left of the windows, and close them after what it took.

    Prefetchable BARs below 4 GiB go through the plain memory window; the prefetchable one is for those above.
    """
    _align(windows.io, IO_GRANULE)
    _align(windows.low, MEMORY_GRANULE)
    _align(windows.high, MEMORY_GRANULE)
    starts = windows.io.at, windows.low.at, windows.high.at
    _assign_bus(bridge.secondary, windows)
    _align(windows.io, IO_GRANULE)
    _align(windows.low, MEMORY_GRANULE)
    _align(windows.high, MEMORY_GRANULE)
    bridge.set_io_window(starts[0], windows.io.at)
    bridge.set_memory_window(starts[1], windows.low.at)
    bridge.set_prefetchable_window(starts[2], windows.high.at)


def _leave_room(bridge: BridgeFunction, windows: Windows, io: int, low: int, high: int) -> None:
    """Keep some of the windows from `io`, `low` and `high` on for devices that come later: what the bridge says, or
    where it says nothing and slots can be filled while the guest runs, ROOM and, while there are many, some ports.
    """
    wanted, pluggable = bridge.reserve, bridge.secondary.hotplug is not None
    memory = wanted.memory if wanted.memory is not None else ROOM if pluggable else 0
    _keep(windows.low, low, memory + (wanted.prefetchable_32 or 0))
    _keep(windows.high, high, wanted.prefetchable_64 or 0)
    many = windows.io.end - io >= 2 * IO_GRANULE
    _keep(windows.io, io, wanted.io if wanted.io is not None else IO_GRANULE if pluggable and many else 0)


def _keep(window: Window, start: int, size: int) -> None:
    """Cut no less than `size` from `start` on."""
    window.at = min(max(window.at, start + size), window.end)


def _align(window: Window, granule: int) -> None:
    window.at = min(-(-window.at // granule) * granule, window.end)


def _enable(function: PciFunction) -> None:
    bits = r.COMMAND_IO | r.COMMAND_MEMORY | (r.COMMAND_MASTER if function.layout.is_bridge else 0)
    function.write_config(r.COMMAND, 2, function.command | bits)


def _route_interrupts(bus: PciBus, path: list[int]) -> None:
    """Write into each interrupt line register what its pin raises; `path`: the slots of the bridges above."""
    for devfn, function in bus.functions.items():
        slot = devfn // FUNCTIONS
        if function.interrupt_pin:
            pin, at = function.interrupt_pin - 1, slot
            for above in reversed(path):
                pin, at = swizzle(pin, at), above
            function.write_config(r.INTERRUPT_LINE, 1, PIRQ_INTERRUPTS[pirq(at, pin)])
        if isinstance(function, BridgeFunction):
            _route_interrupts(function.secondary, [*path, slot])
