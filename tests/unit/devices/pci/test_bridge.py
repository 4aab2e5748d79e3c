"""PCI-to-PCI bridges: configuration cycles, windows, interrupts and bus mastering across them."""

from __future__ import annotations

import pytest
from tests.support.pci import PciRig, io_bar, memory_bar, sample

from varan.devices.pci import registers as r
from varan.devices.pci.bar import Bar
from varan.devices.pci.bridge import CONTROL_ISA, CONTROL_RESET, PCI_BRIDGE, BridgeFunction
from varan.devices.pci.bus import PciBus
from varan.devices.pci.registers import BAR_IO

BRIDGE = 5 << 3
BEHIND = 2 << 3
MEMORY = 0xE0000000
ON = r.COMMAND_IO | r.COMMAND_MEMORY


class Rig(PciRig):
    """A bridge in slot 5 with bus 1 behind it, windows open, and a function with a memory and an I/O BAR in slot 2."""

    def __init__(self) -> None:
        super().__init__()
        self.bridge = self.add_bridge(self.bus, BRIDGE)
        self.number(self.bridge, 0, 1, 1)
        self.bridge.set_memory_window(MEMORY, MEMORY + 0x200000)
        self.bridge.set_io_window(0xC000, 0xD000)
        self.bridge.set_prefetchable_window(1, 0)
        self.command(BRIDGE, ON)
        bar, self.registers = memory_bar()
        ports, self.port_registers = io_bar()
        self.function = sample((0, ports), (1, bar))
        self.bridge.secondary.attach(self.function, BEHIND)
        self.command(BEHIND, ON, bus=1)
        self.place(MEMORY, 0xC000)

    def add_bridge(self, bus: PciBus, devfn: int) -> BridgeFunction:
        bridge = BridgeFunction(PCI_BRIDGE, self.bus.fabric, name="bridge")
        bus.attach(bridge, devfn)
        return bridge

    def number(self, bridge: BridgeFunction, primary: int, secondary: int, subordinate: int) -> None:
        bridge.write_config(r.PRIMARY_BUS, 4, primary | secondary << 8 | subordinate << 16)

    def place(self, memory: int, port: int) -> None:
        self.write(BEHIND, r.BAR0, 4, port, bus=1)
        self.write(BEHIND, r.BAR0 + 4, 4, memory, bus=1)

    def mapped(self) -> list[tuple[int, int]]:
        return [(region.start, region.end) for region in self.memory]

    def mapped_ports(self) -> list[tuple[int, int]]:
        return [(mapped.base, mapped.base + mapped.length) for mapped in self.ports if mapped.base >= 0x1000]


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_header_is_a_bridges(rig: Rig) -> None:
    assert rig.read(BRIDGE, r.HEADER_TYPE, 1) == r.HEADER_BRIDGE
    assert rig.read(BRIDGE, r.CLASS_CODE + 1, 2) == 0x0604
    rig.write(BRIDGE, r.MEMORY_BASE, 4, 0xFFFFFFFF)
    assert rig.read(BRIDGE, r.MEMORY_BASE, 4) == 0xFFF0FFF0
    rig.write(BRIDGE, r.PREFETCHABLE_BASE, 4, 0)
    assert rig.read(BRIDGE, r.PREFETCHABLE_BASE, 4) == 0x00010001


def test_configuration_cycles_find_the_bus_by_its_number(rig: Rig) -> None:
    assert rig.read(BEHIND, r.VENDOR_ID, 2, bus=1) == 0x1AF4
    rig.number(rig.bridge, 0, 7, 9)
    assert rig.read(BEHIND, r.VENDOR_ID, 2, bus=1) == 0xFFFF
    assert rig.read(BEHIND, r.VENDOR_ID, 2, bus=7) == 0x1AF4
    assert rig.read(BEHIND, r.VENDOR_ID, 2, bus=8) == 0xFFFF


def test_bus_behind_two_bridges_is_reached_through_the_subordinate_range(rig: Rig) -> None:
    inner = rig.add_bridge(rig.bridge.secondary, 3 << 3)
    inner.secondary.attach(sample(), BEHIND)
    rig.number(inner, 1, 2, 2)
    assert rig.read(BEHIND, r.VENDOR_ID, 2, bus=2) == 0xFFFF
    rig.number(rig.bridge, 0, 1, 2)
    assert rig.read(BEHIND, r.VENDOR_ID, 2, bus=2) == 0x1AF4
    assert inner.secondary.rank == (BRIDGE, 3 << 3)


def test_bus_numbers_in_a_circle_end_somewhere(rig: Rig) -> None:
    inner = rig.add_bridge(rig.bridge.secondary, 3 << 3)
    for secondary in (0, 1, 2, 255):
        for subordinate in (0, 1, 255):
            rig.number(inner, 1, secondary, subordinate)
            rig.number(rig.bridge, 0, secondary, subordinate)
            for bus in (0, 1, 2, 254, 255):
                assert rig.read(BEHIND, r.VENDOR_ID, 2, bus=bus) in (0x1AF4, 0x1B36, 0xFFFF)


def test_windows_gate_what_is_behind(rig: Rig) -> None:
    assert rig.mapped() == [(MEMORY, MEMORY + 0x1000)]
    assert rig.mapped_ports() == [(0xC000, 0xC020)]
    rig.place(MEMORY + 0x200000, 0xD000)
    assert (rig.mapped(), rig.mapped_ports()) == ([], [])
    rig.place(MEMORY + 0x1FF000, 0xCFE0)
    assert rig.mapped() == [(MEMORY + 0x1FF000, MEMORY + 0x200000)]
    rig.command(BRIDGE, r.COMMAND_MEMORY)
    assert (len(rig.mapped()), rig.mapped_ports()) == (1, [])
    rig.command(BRIDGE, r.COMMAND_IO)
    assert (rig.mapped(), len(rig.mapped_ports())) == ([], 1)


def test_window_of_the_outermost_bridge_gates_what_is_behind_the_innermost(rig: Rig) -> None:
    inner = rig.add_bridge(rig.bridge.secondary, 3 << 3)
    rig.number(inner, 1, 2, 2)
    rig.number(rig.bridge, 0, 1, 2)
    bar, _ = memory_bar()
    inner.secondary.attach(sample((0, bar)), BEHIND)
    rig.command(BEHIND, ON, bus=2)
    rig.write(BEHIND, r.BAR0, 4, MEMORY + 0x100000, bus=2)
    inner.set_memory_window(MEMORY + 0x100000, MEMORY + 0x200000)
    rig.command(3 << 3, ON, bus=1)
    place = (MEMORY + 0x100000, MEMORY + 0x101000)
    assert place in rig.mapped()
    rig.bridge.set_memory_window(MEMORY, MEMORY + 0x100000)
    assert place not in rig.mapped()
    rig.bridge.set_memory_window(MEMORY, MEMORY + 0x200000)
    assert place in rig.mapped()


def test_bar_that_is_partly_in_a_window_shows_that_part(rig: Rig) -> None:
    large, registers = memory_bar(0x400000)
    rig.bridge.secondary.attach(sample((0, large)), 4 << 3)
    rig.command(4 << 3, ON, bus=1)
    rig.write(4 << 3, r.BAR0, 4, MEMORY, bus=1)
    rig.place(0, 0)
    rig.bridge.set_memory_window(MEMORY + 0x100000, MEMORY + 0x200000)
    rig.bridge.set_prefetchable_window(MEMORY + 0x100000, MEMORY + 0x300000)
    assert rig.mapped() == [(MEMORY + 0x100000, MEMORY + 0x200000), (MEMORY + 0x200000, MEMORY + 0x300000)]
    rig.memory.write(MEMORY + 0x200004, 4, 1)
    assert registers.accesses == [(0x200004, 4)]


def test_prefetchable_window_reaches_above_4_gib(rig: Rig) -> None:
    _, registers = memory_bar()
    wide = Bar("mem64", 4096, registers.read, registers.write, prefetchable=True)
    rig.bridge.secondary.attach(sample((0, wide)), 4 << 3)
    rig.command(4 << 3, ON, bus=1)
    rig.write(4 << 3, r.BAR0 + 4, 4, 0x20, bus=1)
    assert (0x20_0000_0000, 0x20_0000_1000) not in rig.mapped()
    rig.bridge.set_prefetchable_window(0x20_0000_0000, 0x20_0010_0000)
    assert (0x20_0000_0000, 0x20_0000_1000) in rig.mapped()
    assert rig.bridge.prefetchable_window == (0x20_0000_0000, 0x20_000F_FFFF)


def test_isa_enable_keeps_three_quarters_of_each_kilobyte_of_ports_back(rig: Rig) -> None:
    rig.place(MEMORY, 0xC100)
    assert rig.mapped_ports() == [(0xC100, 0xC120)]
    rig.write(BRIDGE, r.BRIDGE_CONTROL, 2, CONTROL_ISA)
    assert rig.mapped_ports() == []
    rig.place(MEMORY, 0xC400)
    assert rig.mapped_ports() == [(0xC400, 0xC420)]


def test_interrupt_pins_are_swizzled_by_slot(rig: Rig) -> None:
    rig.function.set_intx(1)
    assert rig.pins.asserted == {(5, 2)}
    inner = rig.add_bridge(rig.bridge.secondary, 3 << 3)
    deep = sample(pin=4)
    inner.secondary.attach(deep, 6 << 3)
    rig.function.set_intx(0)
    deep.set_intx(1)
    assert rig.pins.asserted == {(5, (3 + 6 + 3) % 4)}


def test_bus_mastering_needs_every_bridge_on_the_way(rig: Rig) -> None:
    rig.command(BEHIND, r.COMMAND_MASTER, bus=1)
    assert not rig.function.bus_master
    rig.command(BRIDGE, r.COMMAND_MASTER)
    assert rig.function.bus_master
    rig.function.send_message(0xFEE00000, 0x31)
    assert rig.messages == [(0xFEE00000, 0x31)]


def test_reset_of_the_bridge_closes_its_windows(rig: Rig) -> None:
    rig.bridge.reset()
    assert (rig.mapped(), rig.mapped_ports()) == ([], [])


def test_secondary_bus_reset_resets_what_is_behind_once(rig: Rig) -> None:
    inner = rig.add_bridge(rig.bridge.secondary, 3 << 3)
    deep = sample()
    inner.secondary.attach(deep, BEHIND)
    deep.write_config(r.INTERRUPT_LINE, 1, 5)
    rig.function.set_intx(1)
    rig.write(BRIDGE, r.BRIDGE_CONTROL, 2, CONTROL_RESET)
    assert (rig.mapped(), rig.pins.asserted) == ([], set())
    assert rig.function.register(r.BAR0, 4) == BAR_IO
    assert deep.register(r.INTERRUPT_LINE, 1) == 0
    assert rig.bridge.memory_window == (MEMORY, MEMORY + 0x1FFFFF)
    deep.write_config(r.INTERRUPT_LINE, 1, 5)
    rig.write(BRIDGE, r.BRIDGE_CONTROL, 2, CONTROL_RESET)
    assert deep.register(r.INTERRUPT_LINE, 1) == 5


def test_loaded_bridge_forwards_what_the_saved_one_did(rig: Rig) -> None:
    other = Rig()
    other.bridge.reset()
    other.bridge.load(rig.bridge.save())
    assert other.mapped() == rig.mapped()
    assert other.mapped_ports() == rig.mapped_ports()
