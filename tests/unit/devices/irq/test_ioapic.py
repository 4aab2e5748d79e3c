"""The I/O APIC (82093AA data sheet), and the lines that lead to it and to the 8259 pair."""

from __future__ import annotations

import pytest

from varan.core.memory import MemorySpace
from varan.devices.irq.gsi import GsiLines
from varan.devices.irq.i8259 import I8259Pair
from varan.devices.irq.ioapic import BASE, PINS, IoApic
from varan.devices.irq.messages import Message, MessageBus

LEVEL, MASKED, LOGICAL, REMOTE_IRR = 1 << 15, 1 << 16, 1 << 11, 1 << 14


class Bus(MessageBus):
    """Notes messages; whether they are taken is as `taken` says."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[Message] = []
        self.taken = True

    def send(self, message: Message) -> bool:
        self.sent.append(message)
        return self.taken


class Setup:
    def __init__(self) -> None:
        self.bus, self.memory = Bus(), MemorySpace()
        self.ioapic = IoApic(self.bus)
        self.ioapic.map(self.memory)
        self.lines = [self.ioapic.line(pin) for pin in range(PINS)]

    def read(self, register: int) -> int:
        self.memory.write(BASE, 4, register)
        return self.memory.read(BASE + 0x10, 4)

    def write(self, register: int, value: int) -> None:
        self.memory.write(BASE, 4, register)
        self.memory.write(BASE + 0x10, 4, value)

    def entry(self, pin: int, low: int, destination: int = 0) -> None:
        self.write(0x11 + 2 * pin, destination << 24)
        self.write(0x10 + 2 * pin, low)


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_identification(setup: Setup) -> None:
    assert setup.read(1) == 0x170011
    setup.write(0, 0xFFFFFFFF)
    assert (setup.read(0), setup.read(2)) == (15 << 24, 15 << 24)


def test_entries_are_masked_after_reset_and_keep_what_can_be_written(setup: Setup) -> None:
    assert [setup.read(0x10 + 2 * pin) for pin in range(PINS)] == [MASKED] * PINS
    setup.entry(3, 0xFFFFFFFF, 0xA5)
    assert (setup.read(0x16), setup.read(0x17)) == (0x1AFFF, 0xA5 << 24)
    assert setup.read(0x40) == 0
    setup.write(0x40, 1)


def test_edge_sends_one_message(setup: Setup) -> None:
    setup.entry(4, 0x35, 2)
    for level in (1, 1, 0, 1):
        setup.lines[4](level)
    assert setup.bus.sent == [Message(0x35, destination=2)] * 2
    assert setup.ioapic.requests[4] == 2


def test_edge_at_a_masked_pin_is_lost(setup: Setup) -> None:
    setup.entry(4, MASKED | 0x35)
    setup.lines[4](1)
    setup.entry(4, 0x35)
    assert setup.bus.sent == []


def test_level_is_sent_again_after_its_end_while_it_lasts(setup: Setup) -> None:
    setup.entry(9, LEVEL | LOGICAL | 0x1 << 8 | 0x49, 3)
    setup.lines[9](1)
    setup.lines[9](0)
    setup.lines[9](1)
    assert setup.bus.sent == [Message(0x49, 1, 3, True, True)]
    assert setup.read(0x22) & REMOTE_IRR
    setup.bus.end_of_interrupt(0x48)
    assert len(setup.bus.sent) == 1
    setup.bus.end_of_interrupt(0x49)
    assert len(setup.bus.sent) == 2
    setup.lines[9](0)
    setup.bus.end_of_interrupt(0x49)
    assert len(setup.bus.sent) == 2 and not setup.read(0x22) & REMOTE_IRR


def test_level_at_a_masked_pin_is_sent_when_it_is_unmasked(setup: Setup) -> None:
    setup.entry(9, MASKED | LEVEL | 0x49)
    setup.lines[9](1)
    setup.entry(9, LEVEL | 0x49)
    assert len(setup.bus.sent) == 1
    setup.entry(9, MASKED | LEVEL | 0x49)
    setup.bus.end_of_interrupt(0x49)
    assert len(setup.bus.sent) == 1


def test_level_that_nobody_takes_can_be_asked_for_again(setup: Setup) -> None:
    setup.bus.taken = False
    setup.entry(9, LEVEL | 0x49)
    setup.lines[9](1)
    assert not setup.read(0x22) & REMOTE_IRR
    setup.bus.taken = True
    setup.entry(9, LEVEL | 0x49)
    assert setup.read(0x22) & REMOTE_IRR


def test_a_stuck_level_is_freed_by_making_the_pin_edge_triggered(setup: Setup) -> None:
    setup.entry(9, LEVEL | 0x49)
    setup.lines[9](1)
    setup.entry(9, MASKED | 0x49)
    setup.entry(9, MASKED | LEVEL | 0x49)
    assert not setup.read(0x22) & REMOTE_IRR


def test_several_pins_may_have_one_vector(setup: Setup) -> None:
    for pin in (10, 11):
        setup.entry(pin, LEVEL | 0x4A)
        setup.lines[pin](1)
    setup.lines[10](0)
    setup.bus.sent.clear()
    setup.bus.end_of_interrupt(0x4A)
    assert len(setup.bus.sent) == 1


def test_other_delivery_modes_are_edges(setup: Setup) -> None:
    setup.entry(5, LEVEL | 0x4 << 8)
    setup.lines[5](1)
    assert setup.bus.sent == [Message(0, 4)]
    assert not setup.read(0x1A) & REMOTE_IRR


def test_gsi_reaches_both_controllers(setup: Setup) -> None:
    pic = I8259Pair()
    lines = GsiLines(pic, setup.ioapic)
    setup.entry(2, 0x30)
    setup.entry(4, 0x34)
    setup.entry(20, 0x44)
    for gsi in (0, 2, 4, 20):
        lines.line(gsi)(1)
    assert [message.vector for message in setup.bus.sent] == [0x30, 0x34, 0x44]
    assert pic.state.master.inputs == 0x11
    lines.pulse(4)()
    assert [message.vector for message in setup.bus.sent] == [0x30, 0x34, 0x44, 0x34]
    for number in (-1, 24):
        with pytest.raises(ValueError, match="global system interrupt"):
            lines.line(number)
