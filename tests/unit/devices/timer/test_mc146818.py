"""The MC146818 against a bare bus, by its data sheet."""

from __future__ import annotations

import datetime

import pytest
from tests.support.bus import Bus, Wire

from varan.devices.timer.mc146818 import Mc146818

SECOND = 1_000_000_000
MILLISECOND = 1_000_000
START = datetime.datetime(2012, 2, 28, 23, 59, 57, tzinfo=datetime.UTC)
A, B, C, D = 0x0A, 0x0B, 0x0C, 0x0D


class Setup:
    def __init__(self) -> None:
        self.bus = Bus()
        self.irq = Wire()
        self.rtc = Mc146818(self.bus.clock, self.bus.timers, self.irq, int(START.timestamp()) * SECOND, {0x34: 0x80})
        self.rtc.map(self.bus.ports)

    def get(self, index: int) -> int:
        self.bus.outb(0x70, index)
        return self.bus.inb(0x71)

    def set(self, index: int, value: int) -> None:
        self.bus.outb(0x70, index)
        self.bus.outb(0x71, value)

    def date(self) -> tuple[int, ...]:
        """Century, year, month, day, weekday, hour, minute, second as the registers show them."""
        return tuple(self.get(index) for index in (0x32, 9, 8, 7, 6, 4, 2, 0))


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_time_is_shown_in_bcd_and_24_hours(setup: Setup) -> None:
    assert setup.date() == (0x20, 0x12, 0x02, 0x28, 3, 0x23, 0x59, 0x57)


def test_time_follows_the_clock_over_the_leap_day(setup: Setup) -> None:
    setup.bus.run(3 * SECOND)
    assert setup.date() == (0x20, 0x12, 0x02, 0x29, 4, 0x00, 0x00, 0x00)


def test_binary_mode_shows_plain_numbers(setup: Setup) -> None:
    setup.set(B, 0x06)
    assert setup.date() == (20, 12, 2, 28, 3, 23, 59, 57)


def test_12_hour_mode_marks_the_afternoon(setup: Setup) -> None:
    setup.set(B, 0x00)
    assert setup.get(4) == 0x91
    setup.bus.run(3 * SECOND)
    assert setup.get(4) == 0x12


def test_12_hour_mode_is_understood_when_the_time_is_set(setup: Setup) -> None:
    setup.set(B, 0x80)
    setup.set(4, 0x81)
    setup.set(B, 0x00)
    setup.set(B, 0x02)
    assert setup.get(4) == 0x13
    setup.set(B, 0x80)
    setup.set(4, 0x12)
    setup.set(B, 0x00)
    setup.set(B, 0x02)
    assert setup.get(4) == 0x00


def test_set_holds_the_time_registers_still(setup: Setup) -> None:
    setup.set(B, 0x82)
    setup.bus.run(10 * SECOND)
    assert setup.get(0) == 0x57


def test_time_runs_on_from_what_was_set(setup: Setup) -> None:
    setup.set(B, 0x82)
    for index, value in zip((0x32, 9, 8, 7, 6, 4, 2, 0), (0x19, 0x99, 0x12, 0x31, 6, 0x23, 0x59, 0x59), strict=True):
        setup.set(index, value)
    setup.set(B, 0x02)
    setup.bus.run(SECOND)
    assert setup.date() == (0x20, 0x00, 0x01, 0x01, 7, 0x00, 0x00, 0x00)


def test_day_of_the_week_is_what_the_guest_says(setup: Setup) -> None:
    setup.set(B, 0x82)
    setup.set(6, 7)
    setup.set(B, 0x02)
    assert setup.get(6) == 7
    setup.bus.run(3 * SECOND)
    assert setup.get(6) == 1


def test_write_to_a_time_register_without_set_takes_effect_at_once(setup: Setup) -> None:
    setup.set(4, 0x08)
    setup.bus.run(SECOND)
    assert setup.date()[5:] == (0x08, 0x59, 0x58)


def test_first_update_after_divider_reset_comes_half_a_second_later(setup: Setup) -> None:
    setup.set(A, 0x76)
    setup.bus.run(5 * SECOND)
    assert setup.get(0) == 0x57
    setup.set(A, 0x26)
    setup.bus.run(499 * MILLISECOND)
    assert setup.get(0) == 0x57
    setup.bus.run(2 * MILLISECOND)
    assert setup.get(0) == 0x58


def test_nonsense_in_the_time_registers_gives_some_time(setup: Setup) -> None:
    setup.set(B, 0x82)
    for index in (0x32, 9, 8, 7, 6, 4, 2, 0):
        setup.set(index, 0xFF)
    setup.set(B, 0x02)
    setup.bus.run(SECOND)
    assert all(0 <= value <= 0xFF for value in setup.date())


def test_update_in_progress_shows_shortly_before_the_second_changes(setup: Setup) -> None:
    assert not setup.get(A) & 0x80
    setup.bus.run(SECOND - 2 * MILLISECOND)
    assert setup.get(A) & 0x80
    setup.bus.run(2 * MILLISECOND)
    assert not setup.get(A) & 0x80


def test_update_in_progress_stays_clear_under_set(setup: Setup) -> None:
    setup.set(B, 0x82)
    setup.bus.run(SECOND - MILLISECOND)
    assert not setup.get(A) & 0x80


def test_update_ended_interrupt_comes_once_a_second(setup: Setup) -> None:
    setup.set(B, 0x12)
    for _ in range(3):
        setup.bus.run(SECOND)
        assert setup.irq.level == 1
        assert setup.get(C) & 0x90 == 0x90
        assert setup.irq.level == 0


def test_set_clears_the_update_ended_enable(setup: Setup) -> None:
    setup.set(B, 0x92)
    assert setup.get(B) == 0x82


@pytest.mark.parametrize(("rate", "period"), [(6, 976_562), (15, 500 * MILLISECOND), (3, 122_070), (1, 3_906_250)])
def test_periodic_interrupt_has_the_selected_rate(setup: Setup, rate: int, period: int) -> None:
    setup.set(A, 0x20 | rate)
    setup.set(B, 0x42)
    for count in range(1, 6):
        setup.bus.run(count * period + count // 2 + 1 - setup.bus.clock.now())
        assert setup.irq.level == 1
        assert setup.get(C) & 0xC0 == 0xC0
    assert setup.irq.rises == 5


def test_rate_zero_has_no_periodic_interrupt(setup: Setup) -> None:
    setup.set(A, 0x20)
    setup.set(B, 0x42)
    setup.bus.run(SECOND)
    assert not setup.get(C) & 0x40


def test_periodic_interrupts_that_nobody_reads_cost_no_timer(setup: Setup) -> None:
    setup.set(B, 0x42)
    setup.bus.run(SECOND)
    assert setup.irq.rises == 1
    assert setup.bus.timers.run_due() is None


def test_flags_can_be_polled_without_enabling_interrupts(setup: Setup) -> None:
    setup.get(C)
    setup.bus.clock.advance(SECOND)
    assert setup.get(C) == 0x50
    assert setup.get(C) == 0
    assert setup.irq.rises == 0


def test_alarm_interrupts_at_its_time_only(setup: Setup) -> None:
    for index, value in ((5, 0x00), (3, 0x00), (1, 0x02)):
        setup.set(index, value)
    setup.set(B, 0x22)
    setup.bus.run(4 * SECOND)
    assert setup.irq.level == 0
    setup.bus.run(SECOND)
    assert setup.irq.level == 1
    assert setup.get(C) & 0xA0 == 0xA0
    setup.bus.run(3600 * SECOND)
    assert setup.irq.level == 0


def test_alarm_bytes_with_both_high_bits_match_anything(setup: Setup) -> None:
    for index, value in ((5, 0xFF), (3, 0xC0), (1, 0x30)):
        setup.set(index, value)
    setup.set(B, 0x22)
    for _ in range(3):
        setup.get(C)
        before = setup.irq.rises
        setup.bus.run(60 * SECOND)
        assert setup.irq.rises == before + 1


def test_alarm_that_can_never_match_is_never_due(setup: Setup) -> None:
    setup.set(5, 0x30)
    setup.set(B, 0x22)
    assert setup.bus.timers.run_due() is None


def test_register_d_says_that_ram_and_time_are_valid(setup: Setup) -> None:
    setup.set(D, 0)
    assert setup.get(D) == 0x80


def test_ram_keeps_what_is_written_and_what_configuration_left(setup: Setup) -> None:
    assert setup.get(0x34) == 0x80
    setup.set(0x50, 0xA5)
    assert setup.get(0x50) == 0xA5


def test_bit_7_of_the_index_port_masks_nmi(setup: Setup) -> None:
    setup.bus.outb(0x70, 0x8F)
    assert setup.rtc.nmi_masked
    setup.bus.outb(0x70, 0x0F)
    assert not setup.rtc.nmi_masked


def test_reset_disables_interrupts_and_keeps_time_ram_and_modes(setup: Setup) -> None:
    setup.set(B, 0x46)
    setup.set(0x50, 1)
    setup.set(4, 8)
    setup.bus.run(SECOND)
    setup.rtc.reset()
    assert (setup.irq.level, setup.get(B), setup.get(0x50), setup.get(4)) == (0, 0x06, 1, 8)


def test_clock_that_jumps_back_leaves_the_flags_alone() -> None:
    setup = Setup()
    setup.get(C)
    setup.bus.clock.advance(-5 * SECOND)
    assert setup.get(C) == 0
    assert setup.get(0) == 0x52
