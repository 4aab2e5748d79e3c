"""What is set up for a kernel that starts without firmware."""

from __future__ import annotations

import pytest
from tests.support.pci import PciRig, io_bar, memory_bar, sample

from varan.board.boot.pci import Windows, initialize, pc_windows
from varan.devices.bus import AtOnce
from varan.devices.irq.i8259 import I8259Pair
from varan.devices.pci import registers as r
from varan.devices.pci.bar import Bar, Kind, Rom
from varan.devices.pci.bridge import PCI_BRIDGE, BridgeFunction, Reserve
from varan.devices.pci.bus import PciBus
from varan.devices.pci.function import PciFunction
from varan.devices.pci.piix3 import PIRQRC, Piix3

GIB = 1 << 30


class Rig(PciRig):
    def __init__(self) -> None:
        super().__init__()
        self.pic = I8259Pair()
        self.pic.map(self.ports)
        self.piix3 = Piix3(settings={"addr": "1", "multifunction": True})
        self.bus.plug(self.piix3, self.environment)

    def add(self, slot: int, function: PciFunction, bus: PciBus | None = None) -> PciFunction:
        (bus or self.bus).attach(function, slot << 3)
        return function

    def add_bridge(self, slot: int, bus: PciBus | None = None) -> BridgeFunction:
        bridge = BridgeFunction(PCI_BRIDGE, self.bus.fabric)
        (bus or self.bus).attach(bridge, slot << 3)
        return bridge

    def initialize(self, windows: Windows | None = None) -> None:
        initialize(self.bus, self.piix3.function, self.ports, windows or pc_windows(GIB, 4 * GIB))


def memory(size: int, kind: Kind = "mem32", prefetchable: bool = False) -> Bar:
    return Bar(kind, size, lambda offset, size: 0, lambda offset, size, value: None, prefetchable)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_interrupts_go_to_10_and_11_which_become_level_triggered(rig: Rig) -> None:
    functions = [rig.add(slot, sample()) for slot in (2, 3, 4, 5)]
    rig.initialize()
    assert rig.read(1 << 3, PIRQRC, 4) == 0x0B0B0A0A
    assert rig.ports.read(0x4D1, 1) == 0b1100
    assert rig.ports.read(0x4D0, 1) == 0
    assert [function.register(r.INTERRUPT_LINE, 1) for function in functions] == [10, 11, 11, 10]


def test_interrupt_lines_behind_a_bridge_follow_the_wires(rig: Rig) -> None:
    bridge = rig.add_bridge(5)
    inner = rig.add_bridge(1, bridge.secondary)
    near = rig.add(2, sample(), bridge.secondary)
    far = rig.add(3, sample(pin=2), inner.secondary)
    rig.initialize()
    assert near.register(r.INTERRUPT_LINE, 1) == 11  # INTA of slot 2 is the bridge's INTC, PIRQC of slot 5
    assert far.register(r.INTERRUPT_LINE, 1) == 10  # INTB, slot 3: INTA of the inner bridge, INTB of the outer, PIRQB


def test_function_without_a_pin_gets_no_line(rig: Rig) -> None:
    function = rig.add(2, sample(pin=0))
    rig.initialize()
    assert function.register(r.INTERRUPT_LINE, 1) == 0


def test_bars_are_placed_without_overlap_and_switched_on(rig: Rig) -> None:
    functions = []
    for slot in (2, 3, 4):
        ports, _ = io_bar()
        small, _ = memory_bar()
        functions.append(rig.add(slot, sample((0, ports), (1, small), (2, memory(1 << 20, "mem64")))))
    rig.initialize()
    for index in (0, 1, 2):
        found = [function.bar_address(index) for function in functions]
        assert None not in found
        assert len(set(found)) == 3
    assert all(function.command & 3 == 3 and not function.bus_master for function in functions)
    mapped = [region for region in rig.memory if region.ram is None]
    assert len(mapped) == 6
    assert all(region.start >= 0x80000000 and region.end <= 0xFEC00000 for region in mapped)


def test_bridges_are_numbered_depth_first_and_their_windows_fit(rig: Rig) -> None:
    outer, other = rig.add_bridge(5), rig.add_bridge(6)
    inner = rig.add_bridge(1, outer.secondary)
    bar, registers = memory_bar()
    ports, port_registers = io_bar()
    deep = rig.add(2, sample((0, bar), (1, ports)), inner.secondary)
    rig.initialize()
    numbers = [
        tuple(bridge.register(offset, 1) for offset in (r.PRIMARY_BUS, r.SECONDARY_BUS, r.SUBORDINATE_BUS))
        for bridge in (outer, inner, other)
    ]
    assert numbers == [(0, 1, 2), (1, 2, 2), (0, 3, 3)]
    base, port = deep.bar_address(0), deep.bar_address(1)
    assert base is not None
    assert port is not None
    rig.memory.write(base, 4, 1)
    rig.ports.write(port, 4, 1)
    assert registers.accesses == port_registers.accesses == [(0, 4)]
    assert other.forwarded(False, 0, 1 << 40) == other.forwarded(True, 0, 1 << 16) == []


def test_bridges_whose_slots_can_be_filled_later_get_room_for_that(rig: Rig) -> None:
    bridges = [rig.add_bridge(slot) for slot in (5, 6, 7)]
    inner = rig.add_bridge(3, bridges[0].secondary)
    for bridge in (*bridges, inner):
        bridge.secondary.hotplug = AtOnce()
    bar, _ = memory_bar()
    rig.add(2, sample((0, bar)), bridges[1].secondary)
    rig.initialize()
    sizes = [
        [sum(end - start for start, end in bridge.forwarded(io, 0, 1 << 32)) for io in (False, True)]
        for bridge in bridges
    ]
    assert sizes == [[4 << 20, 8192], [2 << 20, 4096], [2 << 20, 0]]
    assert inner.memory_window[0] == bridges[0].memory_window[0] + (2 << 20)


def test_bridges_get_what_they_want_kept(rig: Rig) -> None:
    bridge, other = rig.add_bridge(5), rig.add_bridge(6)
    bridge.reserve = Reserve(buses=3, io=8192, memory=5 << 20, prefetchable_32=3 << 20, prefetchable_64=2 * GIB)
    rig.initialize()
    assert [bridge.register(offset, 1) for offset in (r.SECONDARY_BUS, r.SUBORDINATE_BUS)] == [1, 4]
    assert other.register(r.SECONDARY_BUS, 1) == 5
    windows = bridge.io_window, bridge.memory_window, bridge.prefetchable_window
    assert [last + 1 - first for first, last in windows] == [8192, 8 << 20, 2 * GIB]
    assert bridge.prefetchable_window[0] >= 4 * GIB


def test_large_prefetchable_bars_go_above_ram_where_the_hole_is_full(rig: Rig) -> None:
    bridge = rig.add_bridge(5)
    wide = rig.add(2, sample((0, memory(8 * GIB, "mem64", True))))
    behind = rig.add(2, sample((0, memory(2 * GIB, "mem64", True))), bridge.secondary)
    narrow = rig.add(3, sample((0, memory(2 * GIB))))
    rig.initialize(pc_windows(3 * GIB, 6 * GIB))
    assert wide.bar_address(0) == 8 * GIB
    assert behind.bar_address(0) == 16 * GIB
    assert narrow.bar_address(0) is None
    assert (16 * GIB, 18 * GIB) in [(region.start, region.end) for region in rig.memory]


def test_what_does_not_fit_leaves_the_rest_alone(rig: Rig) -> None:
    for slot in range(2, 32):
        bars = [io_bar(256)[0] for _ in range(6)]
        rig.add(slot, sample(*enumerate(bars)))
    rig.initialize()
    placed = [port for port in rig.ports if port.base >= 0xC000]
    assert len(placed) == 64
    assert all(port.length == 256 for port in placed)


def test_roms_stay_unassigned(rig: Rig) -> None:
    function = sample()
    function.add_bar(r.ROM_INDEX, Rom(b"\x55\xaa"))
    rig.add(2, function)
    rig.initialize()
    assert function.register(r.ROM_BASE, 4) == 0


def test_memory_hole_starts_above_ram() -> None:
    assert pc_windows(2 * GIB, 4 * GIB).low.at == 0x80000000
    assert pc_windows(3 * GIB, 5 * GIB).low.at == 0xC0000000
    assert pc_windows(0xD0000000, 4 * GIB).low.at == 0xE0000000
    assert pc_windows(3 * GIB, 5 * GIB + 1).high.at == 6 * GIB
