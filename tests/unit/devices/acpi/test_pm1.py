"""PM1 registers behind their ports, with the interrupt that they share with the general-purpose events."""

from __future__ import annotations

import pytest
from tests.support.bus import Bus, Wire

from varan.devices.acpi.pm1 import BLOCK_SIZE
from varan.devices.acpi.power import PowerManagement
from varan.devices.environment import NoRequests, WakeCause

STATUS, ENABLE, CONTROL, TIMER = 0x600, 0x602, 0x604, 0x608
GPE_STATUS, GPE_ENABLE = 0xAFE0, 0xAFE2
SMI_COMMAND = 0xB2
TMR, PWRBTN, RTC, WAK = 0x0001, 0x0100, 0x0400, 0x8000
SECOND = 1_000_000_000
HALF_TURN = 2_343_484_438
"""Nanoseconds (rounded up) that the timer's highest bit needs to change: 2^23 ticks at 3.579545 MHz."""


class Sleeps(NoRequests):
    def __init__(self) -> None:
        self.asked: list[str] = []

    def guest_shutdown(self) -> None:
        self.asked.append("S5")

    def guest_suspend(self) -> None:
        self.asked.append("S3")

    def guest_hibernate(self) -> None:
        self.asked.append("S4")

    def wake(self, cause: WakeCause) -> None:
        self.asked.append(cause.value)


class Rig(Bus):
    def __init__(self) -> None:
        super().__init__()
        self.sci, self.sleeps = Wire(), Sleeps()
        self.power = PowerManagement(self.clock, self.timers, self.sci, self.sleeps)
        self.power.map(self.ports)
        self.ports.map(STATUS, BLOCK_SIZE, self.power.pm1.read, self.power.pm1.write, width=4, name="pm1")

    def inw(self, port: int) -> int:
        return self.ports.read(port, 2)

    def outw(self, port: int, value: int) -> None:
        self.ports.write(port, 2, value)


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_the_operating_system_gets_and_gives_back_the_events_by_the_smi_command_port(rig: Rig) -> None:
    assert not rig.inw(CONTROL) & 1
    rig.outb(SMI_COMMAND, 0xF1)
    assert rig.inw(CONTROL) & 1
    rig.outb(SMI_COMMAND, 0x55)
    assert rig.inw(CONTROL) & 1
    rig.outb(SMI_COMMAND, 0xF0)
    assert not rig.inw(CONTROL) & 1
    assert rig.inb(SMI_COMMAND) == 0xF0


def test_the_power_button_interrupts_when_enabled_until_its_status_is_cleared(rig: Rig) -> None:
    rig.outw(CONTROL, 1)
    rig.power.press_power_button()
    assert (rig.inw(STATUS), rig.sci.level) == (PWRBTN, 0)
    rig.outw(ENABLE, PWRBTN)
    assert rig.sci.level == 1
    rig.outw(STATUS, PWRBTN)
    assert (rig.inw(STATUS), rig.sci.level) == (0, 0)


def test_there_is_no_interrupt_before_the_operating_system_has_taken_over(rig: Rig) -> None:
    rig.outw(ENABLE, PWRBTN)
    rig.power.press_power_button()
    assert rig.sci.level == 0
    rig.outb(SMI_COMMAND, 0xF1)
    assert rig.sci.level == 1


@pytest.mark.parametrize(("kind", "asked"), [(0, "S5"), (1, "S3"), (2, "S4")])
def test_slp_en_enters_the_state_that_slp_typ_names_and_reads_as_zero(rig: Rig, kind: int, asked: str) -> None:
    rig.outw(CONTROL, kind << 10 | 1)
    assert rig.sleeps.asked == []
    rig.outw(CONTROL, 1 << 13 | kind << 10 | 1)
    assert rig.sleeps.asked == [asked]
    assert rig.inw(CONTROL) == kind << 10 | 1


def test_sleep_types_that_the_tables_do_not_offer_do_nothing(rig: Rig) -> None:
    for kind in range(3, 8):
        rig.outw(CONTROL, 1 << 13 | kind << 10)
    assert rig.sleeps.asked == []


def test_registers_take_bytes_and_double_words(rig: Rig) -> None:
    rig.outb(ENABLE + 1, 0x05)
    assert rig.ports.read(STATUS, 4) == (PWRBTN | RTC) << 16
    rig.power.press_power_button()
    rig.ports.write(STATUS, 4, TMR << 16 | PWRBTN)
    assert rig.ports.read(STATUS, 4) == TMR << 16
    rig.outb(CONTROL + 1, 0x24)
    assert rig.sleeps.asked == ["button", "S3"]


def test_the_timer_counts_24_bits_at_its_frequency(rig: Rig) -> None:
    rig.run(SECOND)
    assert rig.ports.read(TIMER, 4) == 3_579_545
    rig.run(9 * SECOND)
    assert rig.ports.read(TIMER, 4) == 35_795_450 % (1 << 24)
    rig.ports.write(TIMER, 4, 0)
    assert rig.ports.read(TIMER + 1, 1) == 35_795_450 >> 8 & 0xFF


def test_each_change_of_the_timers_highest_bit_sets_tmr_sts(rig: Rig) -> None:
    rig.stall(HALF_TURN - 1)
    assert rig.inw(STATUS) == 0
    rig.stall(1)
    assert rig.ports.read(TIMER, 4) == 1 << 23
    assert rig.inw(STATUS) == TMR
    rig.outw(STATUS, TMR)
    assert rig.inw(STATUS) == 0
    rig.stall(HALF_TURN)
    assert rig.inw(STATUS) == TMR


def test_the_timer_interrupts_when_enabled_and_arms_nothing_else(rig: Rig) -> None:
    assert rig.timers.run_due() is None
    rig.outw(CONTROL, 1)
    rig.outw(ENABLE, TMR)
    rig.run(HALF_TURN)
    assert rig.sci.level == 1
    assert rig.timers.run_due() is None
    rig.outw(STATUS, TMR)
    assert rig.sci.level == 0
    rig.run(HALF_TURN)
    assert rig.sci.level == 1
    assert rig.sci.rises == 2


@pytest.mark.parametrize(("cause", "status"), [(WakeCause.RTC, RTC), (WakeCause.BUTTON, PWRBTN)])
def test_a_wakeup_shows_that_it_was_one_and_why(rig: Rig, cause: WakeCause, status: int) -> None:
    rig.power.wake(cause)
    assert rig.inw(STATUS) == WAK | status


def test_general_purpose_events_interrupt_when_enabled_until_cleared(rig: Rig) -> None:
    rig.outw(CONTROL, 1)
    rig.power.gpe0.raise_event(1)
    assert (rig.inw(GPE_STATUS), rig.sci.level) == (2, 0)
    rig.outw(GPE_ENABLE, 2)
    assert rig.sci.level == 1
    rig.outb(GPE_STATUS, 2)
    assert (rig.ports.read(GPE_STATUS, 4), rig.sci.level) == (2 << 16, 0)
    rig.outb(GPE_ENABLE + 1, 0x80)
    assert rig.inw(GPE_ENABLE) == 0x8002


def test_enabled_events_and_all_input_wake_a_sleeping_guest(rig: Rig) -> None:
    rig.power.alarm()
    rig.power.press_power_button()
    assert (rig.inw(STATUS), rig.sleeps.asked, rig.power.pending_wake()) == (PWRBTN | RTC, [], None)
    rig.outw(ENABLE, PWRBTN)
    assert rig.power.pending_wake() is WakeCause.BUTTON
    rig.outw(ENABLE, PWRBTN | RTC)
    assert rig.power.pending_wake() is WakeCause.RTC
    rig.power.alarm()
    rig.power.press_power_button()
    rig.power.touch()
    assert rig.sleeps.asked == ["rtc", "button", "button"]
