"""Lines of global system interrupts: both controllers see them, and several devices share one."""

from __future__ import annotations

import pytest

from varan.devices.irq.gsi import GsiLines
from varan.devices.irq.i8259 import I8259Pair
from varan.devices.irq.ioapic import IoApic
from varan.devices.irq.messages import MessageBus
from varan.devices.timer.hpet import LegacyGate


class Rig:
    def __init__(self) -> None:
        self.pic = I8259Pair()
        self.ioapic = IoApic(MessageBus())
        self.lines = GsiLines(self.pic, self.ioapic)

    def input(self, number: int) -> int:
        return self.pic.save().master.inputs >> number & 1

    def pin(self, number: int) -> int:
        return self.ioapic.save().inputs >> number & 1


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_a_line_reaches_both_controllers(rig: Rig) -> None:
    rig.lines.line(5)(1)
    assert (rig.input(5), rig.pin(5)) == (1, 1)


def test_the_timer_has_another_pin(rig: Rig) -> None:
    rig.lines.line(0)(1)
    assert (rig.input(0), rig.pin(0), rig.pin(2)) == (1, 0, 1)


def test_lines_beyond_the_8259_reach_the_io_apic_alone(rig: Rig) -> None:
    rig.lines.line(20)(1)
    assert rig.pin(20) == 1


def test_a_shared_line_is_high_while_anybody_holds_it(rig: Rig) -> None:
    first, second = rig.lines.line(5), rig.lines.line(5)
    first(1)
    second(1)
    first(0)
    assert (rig.input(5), rig.pin(5)) == (1, 1)
    second(0)
    assert (rig.input(5), rig.pin(5)) == (0, 0)


@pytest.mark.parametrize("gsi", [-1, 24])
def test_there_are_no_others(rig: Rig, gsi: int) -> None:
    with pytest.raises(ValueError, match="no global system interrupt"):
        rig.lines.line(gsi)


def test_an_isa_timer_that_the_hpet_replaces_does_not_hold_the_line(rig: Rig) -> None:
    gate = LegacyGate(rig.lines.line(0))
    gate(1)
    gate.closed = True
    gate.drive()
    replacement = rig.lines.line(0)
    replacement(1)
    replacement(0)
    assert rig.pin(2) == 0
