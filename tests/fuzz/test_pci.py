"""Whatever a guest writes into configuration space and BARs: nothing raises, nothing grows, and state says it all."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.bus import Wire
from tests.support.pci import PciRig, Registers, io_bar, memory_bar, sample

from varan.core.memory import GuestRam
from varan.core.state import decode, encode
from varan.devices.pci import registers as r
from varan.devices.pci.bar import Bar, Rom
from varan.devices.pci.bridge import PCI_BRIDGE, BridgeFunction
from varan.devices.pci.bus import PciBus
from varan.devices.pci.function import PciFunction
from varan.devices.pci.msi import MsiCapability
from varan.devices.pci.msix import MsixTable
from varan.devices.pci.piix3 import Piix3

MOST_REGIONS = 200
FIXED_REGIONS = 4
"""RAM, the fixed ports and the two of the host bridge."""
RAM = 0x100000


class Rig(PciRig):
    """RAM, the PIIX3, three alike devices: on the root bus, behind a bridge, behind a bridge behind that."""

    def __init__(self) -> None:
        self.wires = [Wire() for _ in range(16)]
        super().__init__(gsi=lambda number: self.wires[number])
        self.memory.map_ram(0, GuestRam(RAM))
        self.ports.map(0x3F8, 8, lambda offset, size: 0, lambda offset, size, value: None, name="fixed")
        self.piix3 = Piix3(settings={"addr": "1", "multifunction": True})
        self.bus.plug(self.piix3, self.environment)
        outer = self._bridge(self.bus, 2)
        inner = self._bridge(outer.secondary, 1)
        for bridge, numbers in ((outer, 0x00020100), (inner, 0x00020201)):
            bridge.write_config(r.PRIMARY_BUS, 4, numbers)
            bridge.set_memory_window(0xE0000000, 0xF0000000)
            bridge.set_io_window(0xC000, 0x10000)
            bridge.write_config(r.COMMAND, 2, 7)
        self.devices = [self._device(bus) for bus in (self.bus, outer.secondary, inner.secondary)]
        self.functions: list[Any] = [outer, inner, *(function for function, _, _ in self.devices)]
        self.tables = [table for _, table, _ in self.devices]
        self.parts = [*self.functions, *self.tables, self.piix3.function]

    def _bridge(self, bus: PciBus, slot: int) -> BridgeFunction:
        bridge = BridgeFunction(PCI_BRIDGE, self.bus.fabric, interrupt_pin=1)
        bus.attach(bridge, slot << 3)
        return bridge

    def _device(self, bus: PciBus) -> tuple[PciFunction, MsixTable, MsiCapability]:
        store = Registers(0x10000)
        function = sample(
            (0, io_bar()[0]),
            (1, memory_bar(0x1000)[0]),
            (4, Bar("mem64", 0x10000, store.read, store.write, prefetchable=True)),
        )
        function.add_bar(r.ROM_INDEX, Rom(b"\x55\xaa"))
        table, msi = MsixTable(function, 5, 2), MsiCapability(function, 4)
        bus.attach(function, 3 << 3)
        return function, table, msi

    def regions(self) -> list[tuple[int, int, str]]:
        memory = [(region.start, region.end, region.name) for region in self.memory]
        return memory + [(mapped.base, mapped.base + mapped.length, mapped.name) for mapped in self.ports]


SIZES = st.sampled_from((1, 2, 4))
NUMBERS = st.one_of(st.integers(0, 3), st.integers(0, 255))
DEVFNS = st.sampled_from((1 << 3, 2 << 3, 3 << 3, 3 << 3, 31 << 3))
OFFSETS = st.one_of(
    st.sampled_from((4, 0x10, 0x14, 0x18, 0x1C, 0x20, 0x24, 0x28, 0x30, 0x42, 0x62)), st.integers(0, 255)
)
VALUES = st.one_of(
    st.sampled_from((0, 1, 3, 7, 0x407, 0xC000, 0x3F0, 0xE0000000, 0xE0001000, 0xFF000, 0xFFFFF000, 0xFFFFFFFF)),
    st.sampled_from((0x00020100, 0x00FF0100, 0xF000, 0x0010FFF0, 0xE010E000, 0xFFF00000, 0xC0, 0x0A0A0A0A)),
    st.integers(0, 0xFFFFFFFF),
)
PLACES = st.one_of(
    st.integers(0, 1 << 40), st.sampled_from((0xE0000000, 0xE0000FFE, 0xFF000, 0xE0000804)), st.integers(0, 1 << 21)
)
STEPS = st.one_of(
    st.tuples(st.just("config"), NUMBERS, DEVFNS, OFFSETS, SIZES, VALUES),
    st.tuples(st.just("bars"), NUMBERS, DEVFNS, VALUES),
    st.tuples(st.just("read"), NUMBERS, DEVFNS, OFFSETS, SIZES),
    st.tuples(st.just("port"), st.one_of(st.integers(0, 0xFFFF), st.integers(0xCF8, 0xCFF)), SIZES, VALUES),
    st.tuples(st.just("memory"), PLACES, st.sampled_from((1, 2, 4, 8)), VALUES),
    st.tuples(st.just("intx"), st.integers(0, 2), st.integers(0, 1)),
    st.tuples(st.just("enable"), NUMBERS, DEVFNS, st.sampled_from((1, 3, 7))),
    st.tuples(st.just("notify"), st.integers(0, 2), st.integers(-1, 6)),
)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(STEPS, max_size=60))
def test_random_guests_raise_nothing_and_state_tells_where_everything_is(steps: list[tuple[Any, ...]]) -> None:
    rig = Rig()
    for step in steps:
        perform(rig, step)
    assert len(rig.regions()) < MOST_REGIONS
    other = Rig()
    for part, twin in zip(rig.parts, other.parts, strict=True):
        twin.load(decode(type(part.state), encode(part.save())))
    assert [encode(part.save()) for part in other.parts] == [encode(part.save()) for part in rig.parts]
    assert sorted(other.regions()) == sorted(rig.regions())
    assert [wire.level for wire in other.wires] == [wire.level for wire in rig.wires]
    for part in rig.parts:
        part.reset()
    assert len(rig.regions()) == FIXED_REGIONS
    assert not any(wire.level for wire in rig.wires)


def perform(rig: Rig, step: tuple[Any, ...]) -> None:
    match step:
        case ("config", bus, devfn, offset, size, value):
            rig.write(devfn, offset, size, value & (1 << 8 * size) - 1, bus)
        case ("bars", bus, devfn, value):
            for index in range(6):
                rig.write(devfn, r.BAR0 + 4 * index, 4, value, bus)
        case ("read", bus, devfn, offset, size):
            assert 0 <= rig.read(devfn, offset, size, bus) < 1 << 8 * size
        case ("port", port, size, value):
            assert 0 <= rig.ports.read(port, size) < 1 << 8 * size
            rig.ports.write(port, size, value & (1 << 8 * size) - 1)
        case ("memory", place, size, value):
            assert 0 <= rig.memory.read(place, size) < 1 << 8 * size
            rig.memory.write(place, size, value & (1 << 8 * size) - 1)
        case ("enable", bus, devfn, value):
            rig.write(devfn, r.COMMAND, 2, value, bus)
        case ("intx", number, level):
            rig.devices[number][0].set_intx(level)
        case ("notify", number, vector):
            rig.devices[number][1].notify(vector)
            rig.devices[number][2].notify(vector)
