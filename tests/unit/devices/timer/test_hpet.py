"""The HPET on a bare bus, by the registers of the IA-PC HPET specification 1.0a."""

from __future__ import annotations

import pytest
from tests.support.bus import Bus, Wire

from varan.core.clock import MISSED_TICKS, SOON
from varan.devices.timer.hpet import Hpet, LegacyGate

CAPABILITIES, CONFIGURATION, STATUS, COUNTER = 0x000, 0x010, 0x020, 0x0F0
ENABLE, LEGACY = 1, 2
LEVEL, INTERRUPT, PERIODIC, SET_VALUE, MODE_32 = 2, 4, 8, 0x40, 0x100
TICK = 10
LINE = 20


class Rig(Bus):
    def __init__(self) -> None:
        super().__init__()
        self.irq0, self.irq8, self.routed, self.other = Wire(), Wire(), Wire(), Wire()
        self.pit, self.rtc = LegacyGate(self.irq0), LegacyGate(self.irq8)
        legacy = ((self.irq0, self.pit), (self.irq8, self.rtc))
        self.hpet = Hpet(self.clock, self.timers, {LINE: self.routed, 21: self.other}, legacy)

    def get(self, offset: int, size: int = 8) -> int:
        return self.hpet.read(offset, size)

    def put(self, offset: int, value: int, size: int = 8) -> None:
        self.hpet.write(offset, size, value)

    def timer(self, index: int, config: int, *values: int, route: int = LINE) -> None:
        """Configure comparator `index` and write `values` to it in turn."""
        self.put(0x100 + 0x20 * index, config | route << 9)
        for value in values:
            self.put(0x108 + 0x20 * index, value)


@pytest.fixture
def rig() -> Rig:
    rig = Rig()
    rig.put(CONFIGURATION, ENABLE)
    return rig


def test_the_capabilities_tell_period_size_comparators_and_legacy_replacement() -> None:
    capabilities = Rig().get(CAPABILITIES)
    assert capabilities >> 32 == TICK * 1_000_000
    assert capabilities >> 16 & 0xFFFF == 0x8086
    assert capabilities & 0xFFFF == 0xA201
    assert Rig().get(0x104, 4) == 1 << LINE | 1 << 21


def test_the_counter_advances_only_while_enabled_and_can_be_set() -> None:
    rig = Rig()
    rig.run(1000)
    assert rig.get(COUNTER) == 0
    rig.put(COUNTER, 0xFFFF_FFFF_FFFF_FFF0)
    rig.put(CONFIGURATION, ENABLE)
    rig.run(100)
    assert rig.get(COUNTER) == 0xFFFF_FFFF_FFFF_FFFA
    rig.run(100)
    assert rig.get(COUNTER) == 4
    rig.put(CONFIGURATION, 0)
    rig.run(100)
    assert rig.get(COUNTER) == 4


def test_halves_and_bytes_of_registers_are_read_and_written(rig: Rig) -> None:
    rig.put(CONFIGURATION, 0)
    rig.put(COUNTER + 4, 0x11223344, 4)
    rig.put(COUNTER, 0x55667788, 4)
    assert rig.get(COUNTER) == 0x1122334455667788
    assert rig.get(COUNTER + 4, 4) == 0x11223344
    assert rig.get(COUNTER + 6, 1) == 0x22
    rig.put(COUNTER + 1, 0xAA, 1)
    assert rig.get(COUNTER, 4) == 0x5566AA88


def test_a_one_shot_comparator_interrupts_once(rig: Rig) -> None:
    rig.timer(2, INTERRUPT, 100)
    rig.run(99 * TICK)
    assert rig.routed.rises == 0
    rig.run(TICK)
    assert rig.routed.rises == 1
    rig.run(10_000 * TICK)
    assert rig.routed.rises == 1
    rig.put(0x148, rig.get(COUNTER) + 5)
    rig.run(5 * TICK)
    assert rig.routed.rises == 2


def test_a_comparator_that_has_passed_already_interrupts_at_once(rig: Rig) -> None:
    rig.run(1000 * TICK)
    rig.timer(2, INTERRUPT | MODE_32, 990)
    rig.run(0)
    assert rig.routed.rises == 1


def test_a_comparator_of_32_bits_matches_over_the_end(rig: Rig) -> None:
    rig.put(COUNTER, 0x5_FFFF_FFF0)
    rig.timer(2, INTERRUPT | MODE_32, 0x10)
    rig.run(31 * TICK)
    assert rig.routed.rises == 0
    rig.run(TICK)
    assert rig.routed.rises == 1


def test_a_periodic_comparator_goes_on_from_the_value_that_was_set(rig: Rig) -> None:
    rig.timer(0, INTERRUPT | PERIODIC | SET_VALUE, 1000, 100)
    rig.run(1000 * TICK)
    assert (rig.routed.rises, rig.get(0x108)) == (1, 1100)
    rig.run(1000 * TICK)
    assert (rig.routed.rises, rig.get(0x108)) == (11, 2100)


def test_the_last_periods_that_were_missed_give_an_interrupt_each_and_others_none(rig: Rig) -> None:
    period = 100_000
    rig.timer(0, INTERRUPT | PERIODIC | SET_VALUE, period, period)
    rig.stall(50 * period * TICK)
    assert rig.routed.rises == 1
    rig.run(MISSED_TICKS * SOON)
    assert (rig.routed.rises, rig.get(0x108)) == (1 + MISSED_TICKS, 51 * period)


def test_a_level_triggered_comparator_keeps_its_line_until_its_status_is_cleared(rig: Rig) -> None:
    rig.timer(1, INTERRUPT | LEVEL, 10)
    rig.run(10 * TICK)
    assert (rig.get(STATUS), rig.routed.level) == (2, 1)
    rig.put(STATUS, 5)
    assert rig.routed.level == 1
    rig.put(STATUS, 2)
    assert (rig.get(STATUS), rig.routed.level) == (0, 0)


def test_comparators_without_interrupt_or_route_raise_nothing_and_arm_nothing(rig: Rig) -> None:
    rig.timer(0, PERIODIC | SET_VALUE, 10, 10)
    assert rig.timers.run_due() is None
    rig.timer(1, INTERRUPT, 10, route=3)
    rig.run(100 * TICK)
    assert not rig.routed.rises and not rig.irq0.rises and not rig.irq8.rises


def test_legacy_replacement_takes_the_isa_timers_lines_and_gives_them_back(rig: Rig) -> None:
    rig.pit(1)
    assert rig.irq0.level == 1
    rig.put(CONFIGURATION, ENABLE | LEGACY)
    assert rig.irq0.level == 0
    rig.pit(0)
    rig.pit(1)
    assert rig.irq0.rises == 1
    rig.timer(0, INTERRUPT, 50)
    rig.timer(1, INTERRUPT, 60)
    rig.run(60 * TICK)
    assert (rig.irq0.rises, rig.irq8.rises, rig.routed.rises) == (2, 1, 0)
    rig.put(CONFIGURATION, ENABLE)
    assert (rig.irq0.level, rig.irq8.level) == (1, 0)


def test_halting_the_counter_disarms_and_lowers_everything(rig: Rig) -> None:
    rig.timer(2, INTERRUPT, 10)
    rig.run(10 * TICK)
    assert rig.routed.level == 1
    rig.timer(2, INTERRUPT, 100)
    rig.put(CONFIGURATION, 0)
    assert rig.routed.level == 0
    assert rig.timers.run_due() is None
