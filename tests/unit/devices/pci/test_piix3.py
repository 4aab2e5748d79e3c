"""The PIIX3's interrupt routing, and the host bridge's registers."""

from __future__ import annotations

import pytest
from tests.support.bus import Wire
from tests.support.pci import PciRig, sample

from varan.devices.pci import i440fx
from varan.devices.pci import registers as r
from varan.devices.pci.i440fx import I440Fx
from varan.devices.pci.piix3 import PIRQRC, ROUTE_DISABLED, Piix3, pirq

BRIDGE = 1 << 3


class Rig(PciRig):
    def __init__(self) -> None:
        self.wires = [Wire() for _ in range(16)]
        super().__init__(gsi=lambda number: self.wires[number])
        self.piix3 = Piix3(settings={"addr": "1", "multifunction": True})
        self.bus.plug(self.piix3, self.environment)
        self.functions = {}
        for slot in (2, 3, 4, 5, 6):
            self.functions[slot] = sample()
            self.bus.attach(self.functions[slot], slot << 3)

    def route(self, *interrupts: int) -> None:
        for number, interrupt in enumerate(interrupts):
            self.write(BRIDGE, PIRQRC + number, 1, interrupt)

    def high(self) -> list[int]:
        return [number for number, wire in enumerate(self.wires) if wire.level]


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_neighbouring_slots_use_different_pirqs() -> None:
    assert [pirq(slot, 0) for slot in (1, 2, 3, 4, 5)] == [0, 1, 2, 3, 0]
    assert [pirq(2, pin) for pin in range(4)] == [1, 2, 3, 0]


def test_nothing_is_routed_after_reset(rig: Rig) -> None:
    assert rig.read(BRIDGE, PIRQRC, 4) == 0x80808080
    rig.functions[2].set_intx(1)
    assert rig.high() == []


def test_pirq_raises_the_interrupt_of_its_route_register(rig: Rig) -> None:
    rig.route(5, 10, 11, 9)
    rig.functions[2].set_intx(1)
    assert rig.high() == [10]
    rig.functions[4].set_intx(1)
    assert rig.high() == [9, 10]
    rig.functions[2].set_intx(0)
    assert rig.high() == [9]


def test_interrupt_stays_high_until_the_last_that_shares_it_is_low(rig: Rig) -> None:
    rig.route(10, 10, 11, 11)
    for slot in (2, 6, 5):  # two on PIRQB, one on PIRQA
        rig.functions[slot].set_intx(1)
    assert rig.wires[10].rises == 1
    for slot, high in ((2, [10]), (5, [10]), (6, [])):
        rig.functions[slot].set_intx(0)
        assert rig.high() == high


def test_asserted_pirq_follows_a_change_of_its_route(rig: Rig) -> None:
    rig.functions[2].set_intx(1)
    rig.route(ROUTE_DISABLED, 10)
    assert rig.high() == [10]
    rig.route(ROUTE_DISABLED, 11)
    assert rig.high() == [11]
    rig.route(ROUTE_DISABLED, ROUTE_DISABLED | 11)
    assert rig.high() == []


@pytest.mark.parametrize("reserved", [0, 1, 2, 8, 13])
def test_reserved_routes_lead_nowhere(rig: Rig, reserved: int) -> None:
    rig.functions[2].set_intx(1)
    rig.route(10, reserved, 11, 11)
    assert rig.high() == []


def test_unplugged_function_lets_go_of_its_interrupt(rig: Rig) -> None:
    rig.route(10, 10, 11, 11)
    rig.functions[2].set_intx(1)
    rig.bus.detach(rig.functions[2])
    assert rig.high() == []


def test_loaded_routes_meet_loaded_levels_without_an_edge_of_their_own(rig: Rig) -> None:
    rig.route(10, 10, 11, 11)
    rig.functions[2].set_intx(1)
    other = Rig()
    other.functions[2].load(rig.functions[2].save())
    other.piix3.function.load(rig.piix3.function.save())
    assert (other.high(), other.wires[10].rises) == ([10], 1)


def test_reset_drops_interrupts_and_routes(rig: Rig) -> None:
    rig.route(10, 10, 11, 11)
    rig.functions[2].set_intx(1)
    rig.functions[2].reset()
    rig.piix3.function.reset()
    assert rig.high() == []
    assert rig.read(BRIDGE, PIRQRC, 4) == 0x80808080


def test_isa_bridge_tells_that_its_slot_has_more_functions(rig: Rig) -> None:
    assert rig.read(BRIDGE, r.HEADER_TYPE, 1) == r.MULTIFUNCTION
    rig.bus.attach(sample(), BRIDGE + 3)


def test_host_bridge_keeps_the_attributes_of_memory_below_1_mib() -> None:
    rig = PciRig()
    rig.bus.plug(I440Fx(settings={"addr": "0"}), rig.environment)
    for number in range(i440fx.PAM_REGISTERS):
        rig.write(0, i440fx.PAM0 + number, 1, 0xFF)
    assert rig.read(0, i440fx.PAM0, 1) == 0x30
    assert rig.read(0, i440fx.PAM0 + 6, 1) == 0x33
    assert rig.read(0, i440fx.SMRAM, 1) == i440fx.SMRAM_BASE
    rig.write(0, r.COMMAND, 2, 0)
    assert rig.read(0, r.COMMAND, 2) == r.COMMAND_MEMORY | r.COMMAND_MASTER
