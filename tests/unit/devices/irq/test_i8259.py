"""The 8259A pair against a bare bus, by the sections of its data sheet."""

from __future__ import annotations

import pytest
from tests.support.bus import Bus

from varan.devices.irq.i8259 import I8259Pair

MASTER, SLAVE = 0x20, 0xA0


class Cpu:
    """Records what the controllers tell the INTR pin."""

    def __init__(self) -> None:
        self.settled = 0
        self.changes = 0

    def settle(self) -> None:
        self.settled += 1

    def changed(self) -> None:
        self.changes += 1


class Setup:
    def __init__(self, icw4: int = 0x01) -> None:
        self.bus = Bus()
        self.pic = I8259Pair()
        self.pic.map(self.bus.ports)
        self.lines = {irq: self.pic.line(irq) for irq in range(16) if irq != 2}
        self.bus.outb(MASTER, 0x11)
        self.bus.outb(MASTER + 1, 0x20, 0x04, icw4)
        self.bus.outb(SLAVE, 0x11)
        self.bus.outb(SLAVE + 1, 0x28, 0x02, icw4)

    def raise_(self, *irqs: int) -> None:
        for irq in irqs:
            self.lines[irq](1)

    def lower(self, *irqs: int) -> None:
        for irq in irqs:
            self.lines[irq](0)

    def take(self) -> int:
        """The vector the CPU gets; fails when INTR is low."""
        vector = self.pic.peek()
        assert vector is not None
        assert self.pic.acknowledge() == vector
        return vector

    def irr(self, port: int = MASTER) -> int:
        self.bus.outb(port, 0x0A)
        return self.bus.inb(port)

    def isr(self, port: int = MASTER) -> int:
        self.bus.outb(port, 0x0B)
        return self.bus.inb(port)


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_uninitialised_controllers_still_have_intr_low() -> None:
    assert I8259Pair().peek() is None


def test_input_2_and_numbers_above_15_are_not_free() -> None:
    pic = I8259Pair()
    for irq in (2, 16, -1):
        with pytest.raises(ValueError, match="no free input"):
            pic.line(irq)


def test_initialisation_sets_vectors_and_clears_mask(setup: Setup) -> None:
    assert setup.bus.inb(MASTER + 1) == 0
    setup.raise_(4)
    assert setup.take() == 0x24


def test_icw1_without_icw4_ends_after_icw3(setup: Setup) -> None:
    setup.bus.outb(MASTER, 0x10)
    setup.bus.outb(MASTER + 1, 0x40, 0x04)
    setup.bus.outb(MASTER + 1, 0xAA)
    assert setup.bus.inb(MASTER + 1) == 0xAA


def test_single_mode_has_no_icw3(setup: Setup) -> None:
    setup.bus.outb(MASTER, 0x12)
    setup.bus.outb(MASTER + 1, 0x40, 0x5A)
    assert setup.bus.inb(MASTER + 1) == 0x5A


def test_icw1_forgets_edge_requests_until_the_next_edge(setup: Setup) -> None:
    setup.raise_(4)
    setup.bus.outb(MASTER, 0x11)
    setup.bus.outb(MASTER + 1, 0x20, 0x04, 0x01)
    assert setup.pic.peek() is None
    setup.lower(4)
    setup.raise_(4)
    assert setup.take() == 0x24


def test_fixed_priority_serves_the_lowest_number_first(setup: Setup) -> None:
    setup.raise_(7, 3, 5)
    assert setup.take() == 0x23


def test_in_service_level_blocks_equal_and_lower_ones_until_eoi(setup: Setup) -> None:
    setup.raise_(3)
    setup.take()
    setup.raise_(4)
    assert setup.pic.peek() is None
    setup.bus.outb(MASTER, 0x20)
    assert setup.take() == 0x24


def test_higher_priority_interrupts_a_service_routine(setup: Setup) -> None:
    setup.raise_(4)
    setup.take()
    setup.raise_(1)
    assert setup.take() == 0x21
    assert setup.isr() == 0x12


def test_non_specific_eoi_ends_the_highest_in_service(setup: Setup) -> None:
    setup.raise_(4)
    setup.take()
    setup.raise_(1)
    setup.take()
    setup.bus.outb(MASTER, 0x20)
    assert setup.isr() == 0x10


def test_specific_eoi_ends_the_level_it_names(setup: Setup) -> None:
    setup.raise_(4)
    setup.take()
    setup.raise_(1)
    setup.take()
    setup.bus.outb(MASTER, 0x64)
    assert setup.isr() == 0x02


def test_eoi_with_nothing_in_service_does_nothing(setup: Setup) -> None:
    setup.bus.outb(MASTER, 0x20, 0xA0)
    assert setup.isr() == 0


def test_mask_holds_a_request_back_and_keeps_it(setup: Setup) -> None:
    setup.bus.outb(MASTER + 1, 0x10)
    setup.raise_(4)
    assert setup.pic.peek() is None
    assert setup.irr() == 0x10
    setup.bus.outb(MASTER + 1, 0x00)
    assert setup.take() == 0x24


def test_edge_mode_needs_a_new_edge_for_a_second_request(setup: Setup) -> None:
    setup.raise_(4)
    setup.take()
    setup.bus.outb(MASTER, 0x20)
    assert setup.pic.peek() is None


def test_request_goes_when_its_input_drops_before_the_acknowledge(setup: Setup) -> None:
    setup.raise_(4)
    setup.lower(4)
    assert setup.pic.peek() is None
    assert setup.irr() == 0


def test_acknowledge_without_a_request_is_the_spurious_irq_7(setup: Setup) -> None:
    assert setup.pic.acknowledge() == 0x27
    assert setup.isr() == 0


def test_acknowledge_of_a_cascade_without_a_request_is_the_spurious_irq_15(setup: Setup) -> None:
    # The slave's request goes between the two halves of the cycle: its mask is set behind the master's back.
    setup.raise_(9)
    setup.pic.state.slave.imr = 0xFF
    assert setup.pic.acknowledge() == 0x2F
    assert setup.isr(SLAVE) == 0
    assert setup.isr(MASTER) == 0x04


def test_level_triggered_input_requests_again_while_it_is_high(setup: Setup) -> None:
    setup.bus.outb(0x4D0, 0x20)
    setup.raise_(5)
    assert setup.take() == 0x25
    setup.bus.outb(MASTER, 0x20)
    assert setup.take() == 0x25
    setup.lower(5)
    setup.bus.outb(MASTER, 0x20)
    assert setup.pic.peek() is None


def test_elcr_keeps_timer_keyboard_cascade_clock_and_coprocessor_edge_triggered(setup: Setup) -> None:
    setup.bus.outb(0x4D0, 0xFF)
    setup.bus.outb(0x4D1, 0xFF)
    assert setup.bus.inb(0x4D0) == 0xF8
    assert setup.bus.inb(0x4D1) == 0xDE


def test_slave_request_gives_the_slaves_vector_and_is_in_service_in_both(setup: Setup) -> None:
    setup.raise_(12)
    assert setup.take() == 0x2C
    assert setup.isr(MASTER) == 0x04
    assert setup.isr(SLAVE) == 0x10


def test_slave_requests_follow_one_another_after_both_eois(setup: Setup) -> None:
    setup.raise_(12, 14)
    assert setup.take() == 0x2C
    setup.bus.outb(SLAVE, 0x20)
    setup.bus.outb(MASTER, 0x20)
    assert setup.take() == 0x2E


def test_slave_outranks_the_masters_lower_levels(setup: Setup) -> None:
    setup.raise_(3, 8)
    assert setup.take() == 0x28


def test_fully_nested_mode_holds_a_higher_slave_request_back() -> None:
    setup = Setup()
    setup.raise_(12)
    setup.take()
    setup.raise_(8)
    assert setup.pic.peek() is None


def test_special_fully_nested_mode_lets_a_higher_slave_request_through() -> None:
    setup = Setup(icw4=0x11)
    setup.raise_(12)
    setup.take()
    setup.raise_(8)
    assert setup.take() == 0x28


def test_automatic_eoi_leaves_nothing_in_service() -> None:
    setup = Setup(icw4=0x03)
    setup.raise_(3, 4)
    assert setup.take() == 0x23
    assert setup.isr() == 0
    assert setup.take() == 0x24


def test_automatic_eoi_serves_slave_requests_one_after_the_other() -> None:
    setup = Setup(icw4=0x03)
    setup.raise_(8, 9)
    assert [setup.take(), setup.take()] == [0x28, 0x29]
    assert setup.pic.peek() is None


def test_rotation_in_automatic_eoi_puts_the_served_level_last() -> None:
    setup = Setup(icw4=0x03)
    setup.bus.outb(MASTER, 0x80)
    setup.raise_(3, 4)
    assert setup.take() == 0x23
    setup.lower(3)
    setup.raise_(3)
    assert setup.take() == 0x24


def test_rotate_on_non_specific_eoi_puts_the_served_level_last(setup: Setup) -> None:
    setup.raise_(1)
    setup.take()
    setup.bus.outb(MASTER, 0xA0)
    setup.lower(1)
    setup.raise_(1, 3)
    assert setup.take() == 0x23


def test_set_priority_makes_the_next_level_the_highest(setup: Setup) -> None:
    setup.bus.outb(MASTER, 0xC4)
    setup.raise_(0, 6)
    assert setup.take() == 0x26


def test_special_mask_mode_lets_lower_levels_through(setup: Setup) -> None:
    setup.raise_(3)
    setup.take()
    setup.bus.outb(MASTER + 1, 0x08)
    setup.raise_(5)
    assert setup.pic.peek() is None
    setup.bus.outb(MASTER, 0x68)
    assert setup.take() == 0x25


def test_special_mask_mode_keeps_masked_levels_in_service_at_eoi(setup: Setup) -> None:
    setup.raise_(3)
    setup.take()
    setup.bus.outb(MASTER + 1, 0x08)
    setup.bus.outb(MASTER, 0x68, 0x20)
    assert setup.isr() == 0x08


def test_poll_command_acknowledges_and_gives_the_level(setup: Setup) -> None:
    setup.raise_(4)
    setup.bus.outb(MASTER, 0x0C)
    assert setup.bus.inb(MASTER) == 0x84
    assert setup.isr() == 0x10


def test_poll_command_without_a_request_gives_zero(setup: Setup) -> None:
    setup.bus.outb(MASTER, 0x0C)
    assert setup.bus.inb(MASTER) == 0


def test_polled_slave_drops_its_request_at_the_master(setup: Setup) -> None:
    setup.raise_(9)
    setup.bus.outb(SLAVE, 0x0C)
    assert setup.bus.inb(SLAVE) == 0x81
    assert setup.pic.peek() is None


def test_pulse_of_a_waiting_request_changes_nothing_and_of_a_taken_one_requests_again(setup: Setup) -> None:
    pulse = setup.pic.pulse(4)
    setup.raise_(4)
    pulse()
    assert setup.take() == 0x24
    setup.bus.outb(MASTER, 0x20)
    assert setup.pic.peek() is None
    pulse()
    assert setup.take() == 0x24


def test_pin_is_settled_before_any_access_and_told_of_changes_only() -> None:
    setup = Setup()
    cpu = Cpu()
    setup.pic.connect(cpu)
    cpu.changes = 0
    setup.raise_(4)
    assert (cpu.settled, cpu.changes) == (1, 1)
    setup.raise_(4)
    assert (cpu.settled, cpu.changes) == (1, 1)
    setup.raise_(5)
    assert (cpu.settled, cpu.changes) == (2, 1)
    setup.bus.inb(MASTER + 1)
    assert cpu.settled == 3
    setup.bus.outb(MASTER + 1, 0xFF)
    assert (cpu.settled, cpu.changes) == (4, 2)


def test_pin_that_settles_by_acknowledging_is_seen_by_the_access_that_asked(setup: Setup) -> None:
    class Late(Cpu):
        """A CPU that has taken the interrupt before anybody in Python knows."""

        def settle(self) -> None:
            if setup.pic.peek() is not None:
                setup.pic.acknowledge()

    setup.raise_(4)
    setup.pic.connect(Late())
    setup.bus.outb(MASTER, 0x20)
    assert setup.isr() == 0
    assert setup.pic.peek() is None
