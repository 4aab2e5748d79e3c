"""The 8254 against a bare bus, by the modes of its data sheet."""

from __future__ import annotations

import pytest
from tests.support.bus import Bus, Wire

from varan.core.clock import MISSED_TICKS
from varan.devices.chipset.port_b import PortB
from varan.devices.timer.i8254 import FREQUENCY, I8254, nanoseconds, ticks

CONTROL = 0x43


class Setup:
    def __init__(self) -> None:
        self.bus = Bus()
        self.irq = Wire()
        self.pit = I8254(self.bus.clock, self.bus.timers, self.irq)
        self.pit.map(self.bus.ports)
        PortB(self.bus.clock, self.pit).map(self.bus.ports)

    def program(self, channel: int, mode: int, count: int, bcd: int = 0) -> None:
        self.bus.outb(CONTROL, channel << 6 | 0x30 | mode << 1 | bcd)
        self.bus.outb(0x40 + channel, count & 0xFF, count >> 8)

    def tick(self, count: int) -> None:
        """Move the clock by whole ticks."""
        target = ticks(self.bus.clock.now()) + count
        self.bus.run(nanoseconds(target) - self.bus.clock.now())
        assert ticks(self.bus.clock.now()) == target

    def counter(self, channel: int) -> int:
        """The count, latched and read."""
        self.bus.outb(CONTROL, channel << 6)
        return self.bus.inb(0x40 + channel) | self.bus.inb(0x40 + channel) << 8

    def waveform(self, channel: int, length: int) -> str:
        """OUT at each of the next ticks."""
        levels = []
        for _ in range(length):
            self.tick(1)
            levels.append("H" if self.pit.output(channel) else "L")
        return "".join(levels)


@pytest.fixture
def setup() -> Setup:
    return Setup()


def test_ticks_and_nanoseconds_agree_over_a_day() -> None:
    for tick in (0, 1, 2, 1193, FREQUENCY, FREQUENCY * 86_400 + 7):
        assert ticks(nanoseconds(tick)) == tick
        assert tick == 0 or ticks(nanoseconds(tick) - 1) == tick - 1


def test_mode_0_goes_high_one_tick_more_than_the_count_after_the_write(setup: Setup) -> None:
    setup.program(0, 0, 4)
    assert setup.waveform(0, 7) == "LLLLHHH"


def test_mode_0_interrupts_once(setup: Setup) -> None:
    setup.program(0, 0, 1000)
    setup.tick(1000)
    assert setup.irq.level == 0
    setup.tick(1)
    assert setup.irq.level == 1
    setup.tick(200_000)
    assert setup.irq.rises == 1
    assert setup.bus.timers.run_due() is None


def test_mode_0_counts_on_through_zero(setup: Setup) -> None:
    setup.program(0, 0, 3)
    setup.tick(5)
    assert setup.counter(0) == 0xFFFF


def test_mode_0_first_byte_of_a_new_count_stops_counting_and_drops_out(setup: Setup) -> None:
    setup.program(0, 0, 4)
    setup.tick(10)
    assert setup.irq.level == 1
    setup.bus.outb(0x40, 9)
    assert setup.irq.level == 0
    setup.tick(100)
    assert setup.irq.level == 0
    setup.bus.outb(0x40, 0)
    assert setup.waveform(0, 11) == "LLLLLLLLLHH"


def test_mode_0_gate_pauses_the_count(setup: Setup) -> None:
    setup.bus.outb(0x61, 1)
    setup.program(2, 0, 100)
    setup.tick(41)
    setup.bus.outb(0x61, 0)
    setup.tick(500)
    assert setup.counter(2) == 60
    setup.bus.outb(0x61, 1)
    setup.tick(60)
    assert setup.bus.inb(0x61) & 0x20


def test_mode_1_waits_for_the_gate_and_is_low_for_the_count(setup: Setup) -> None:
    setup.program(2, 1, 3)
    assert setup.waveform(2, 3) == "HHH"
    setup.bus.outb(0x61, 1)
    assert setup.waveform(2, 5) == "LLLHH"


def test_mode_1_is_retriggered_by_the_gate(setup: Setup) -> None:
    setup.program(2, 1, 3)
    setup.bus.outb(0x61, 1)
    setup.tick(2)
    setup.bus.outb(0x61, 0, 1)
    assert setup.waveform(2, 4) == "LLLH"


def test_mode_1_takes_a_new_count_at_the_next_trigger(setup: Setup) -> None:
    setup.program(2, 1, 3)
    setup.bus.outb(0x61, 1)
    setup.bus.outb(0x42, 5, 0)
    assert setup.waveform(2, 4) == "LLLH"
    setup.bus.outb(0x61, 0, 1)
    assert setup.waveform(2, 6) == "LLLLLH"


def test_mode_2_is_low_for_the_last_tick_of_each_period(setup: Setup) -> None:
    setup.program(0, 2, 3)
    assert setup.waveform(0, 9) == "HHLHHLHHL"


def test_mode_2_counts_from_the_count_to_one(setup: Setup) -> None:
    setup.program(0, 2, 4)
    counts = []
    for _ in range(6):
        setup.tick(1)
        counts.append(setup.counter(0))
    assert counts == [4, 3, 2, 1, 4, 3]


def test_mode_2_interrupts_exactly_once_a_period(setup: Setup) -> None:
    setup.program(0, 2, 11932)
    before = setup.irq.rises
    setup.tick(1 + 11932 * 1000)
    assert setup.irq.rises - before == 1000


def test_mode_2_takes_a_new_count_at_the_end_of_the_period(setup: Setup) -> None:
    setup.program(0, 2, 4)
    setup.tick(2)
    setup.bus.outb(0x40, 2, 0)
    assert setup.waveform(0, 7) == "HLHLHLH"


def test_mode_2_gate_low_forces_high_and_its_rise_starts_again(setup: Setup) -> None:
    setup.bus.outb(0x61, 1)
    setup.program(2, 2, 3)
    setup.tick(3)
    setup.bus.outb(0x61, 0)
    assert setup.waveform(2, 3) == "HHH"
    setup.bus.outb(0x61, 1)
    assert setup.waveform(2, 4) == "HHLH"


def test_mode_3_is_a_square_wave(setup: Setup) -> None:
    setup.program(0, 3, 4)
    assert setup.waveform(0, 8) == "HHLLHHLL"


def test_mode_3_odd_count_is_high_one_tick_longer(setup: Setup) -> None:
    setup.program(0, 3, 5)
    assert setup.waveform(0, 10) == "HHHLLHHHLL"


def test_mode_3_counts_by_two_from_an_even_count(setup: Setup) -> None:
    setup.program(0, 3, 5)
    counts = []
    for _ in range(5):
        setup.tick(1)
        counts.append(setup.counter(0))
    assert counts == [4, 2, 0, 4, 2]


@pytest.mark.parametrize(("written_at", "wave"), [(1, "HLHLHLH"), (3, "LHLHLHL")])
def test_mode_3_takes_a_new_count_at_the_end_of_the_half_period(setup: Setup, written_at: int, wave: str) -> None:
    setup.program(0, 3, 4)
    setup.tick(written_at)
    setup.bus.outb(0x40, 2, 0)
    assert setup.waveform(0, 7) == wave


def test_mode_3_interrupts_once_a_period_across_a_new_count(setup: Setup) -> None:
    setup.program(0, 3, 1000)
    before = setup.irq.rises
    setup.tick(1 + 100)
    setup.bus.outb(0x40, 200, 0)
    setup.tick(400 + 100)
    assert setup.irq.rises - before == 1
    setup.tick(200 * 10)
    assert setup.irq.rises - before == 11


def test_mode_4_strobes_low_for_one_tick_and_interrupts_at_its_end(setup: Setup) -> None:
    setup.program(0, 4, 3)
    before = setup.irq.rises
    assert setup.waveform(0, 7) == "HHHLHHH"
    assert setup.irq.rises - before == 1


def test_mode_5_strobes_after_a_trigger(setup: Setup) -> None:
    setup.program(2, 5, 2)
    assert setup.waveform(2, 4) == "HHHH"
    setup.bus.outb(0x61, 1)
    assert setup.waveform(2, 5) == "HHLHH"


def test_count_zero_is_the_largest_count(setup: Setup) -> None:
    setup.program(0, 2, 0)
    before = setup.irq.rises
    setup.tick(65_536)
    assert setup.irq.rises == before
    setup.tick(1)
    assert setup.irq.rises == before + 1


def test_bcd_counts_in_decimal(setup: Setup) -> None:
    setup.program(0, 2, 0x1000, bcd=1)
    setup.tick(2)
    assert setup.counter(0) == 0x0999
    before = setup.irq.rises
    setup.tick(1000)
    assert setup.irq.rises == before + 1


def test_bcd_count_zero_is_ten_thousand(setup: Setup) -> None:
    setup.program(0, 0, 0, bcd=1)
    setup.tick(10_000)
    assert setup.irq.level == 0
    setup.tick(1)
    assert setup.irq.level == 1


def test_latched_count_stands_until_it_is_read(setup: Setup) -> None:
    setup.program(0, 2, 1000)
    setup.tick(11)
    setup.bus.outb(CONTROL, 0x00)
    setup.tick(50)
    setup.bus.outb(CONTROL, 0x00)
    assert setup.bus.inb(0x40) | setup.bus.inb(0x40) << 8 == 990
    assert setup.counter(0) == 940


def test_unlatched_reads_alternate_low_and_high(setup: Setup) -> None:
    setup.program(0, 2, 0x1234)
    setup.tick(1)
    assert [setup.bus.inb(0x40), setup.bus.inb(0x40)] == [0x34, 0x12]


def test_single_byte_access_reads_and_writes_one_half(setup: Setup) -> None:
    setup.bus.outb(CONTROL, 0x14)
    setup.bus.outb(0x40, 100)
    setup.tick(1)
    assert [setup.bus.inb(0x40), setup.bus.inb(0x40)] == [100, 100]
    setup.bus.outb(CONTROL, 0x24)
    setup.bus.outb(0x40, 2)
    setup.tick(1)
    assert setup.bus.inb(0x40) == 2
    setup.tick(511)
    assert setup.bus.inb(0x40) == 0


def test_read_back_status_tells_output_null_count_access_and_mode(setup: Setup) -> None:
    setup.bus.outb(CONTROL, 0x34)
    setup.bus.outb(CONTROL, 0xE2)
    assert setup.bus.inb(0x40) == 0x80 | 0x40 | 0x34
    setup.bus.outb(0x40, 10, 0)
    setup.tick(1)
    setup.bus.outb(CONTROL, 0xE2)
    assert setup.bus.inb(0x40) == 0x80 | 0x34


def test_read_back_gives_status_before_the_count(setup: Setup) -> None:
    setup.program(0, 2, 0x0205)
    setup.tick(1)
    setup.bus.outb(CONTROL, 0xC2)
    assert [setup.bus.inb(0x40) for _ in range(3)] == [0xB4, 0x05, 0x02]


def test_slow_guest_gets_an_interrupt_for_each_of_the_last_periods_that_it_missed(setup: Setup) -> None:
    setup.program(0, 2, 1193)
    before = setup.irq.rises
    setup.bus.stall(1_000_000_000)
    assert setup.irq.rises - before == 1
    setup.bus.run(10_000_000)
    assert setup.irq.rises - before == 11 + MISSED_TICKS


def test_timer_is_armed_only_while_channel_0_will_rise(setup: Setup) -> None:
    assert setup.bus.timers.run_due() is None
    setup.program(2, 3, 100)
    assert setup.bus.timers.run_due() is None
    setup.program(0, 2, 100)
    assert setup.bus.timers.run_due() is not None
    setup.bus.outb(CONTROL, 0x30)
    assert setup.bus.timers.run_due() is None


def test_speaker_port_shows_gate_speaker_output_and_refresh(setup: Setup) -> None:
    setup.bus.outb(0x61, 0xF3)
    setup.program(2, 3, 100)
    assert setup.bus.inb(0x61) & 0x23 == 0x23
    setup.tick(60)
    assert setup.bus.inb(0x61) & 0x23 == 0x03
    toggles = {setup.bus.inb(0x61) & 0x10 for _ in range(4) if setup.bus.run(15_085) is None}
    assert toggles == {0, 0x10}
