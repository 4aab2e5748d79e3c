from __future__ import annotations

from typing import Any

import pytest
from tests.support.pci import PciRig

from varan.core.clock import NANOSECONDS
from varan.core.state import decode, encode
from varan.devices.environment import NoRequests
from varan.devices.pci import registers as r
from varan.devices.watchdog import i6300esb as w

BASE = 0xFE000000
DEVFN = 3 << 3
TICK = 2**15 * NANOSECONDS // w.PCI_CLOCK
"""One count of the slow clock, about a millisecond."""


class Requests(NoRequests):
    def __init__(self) -> None:
        self.expiries = 0

    def watchdog_expired(self) -> None:
        self.expiries += 1


class Guest:
    """A guest with the watchdog, its BAR placed."""

    def __init__(self, **given: Any) -> None:
        self.requests = Requests()
        self.rig = PciRig(requests=self.requests, **given)
        self.environment = self.rig.environment
        self.device = w.I6300EsbDevice("dog", {"addr": "3"})
        self.rig.bus.plug(self.device, self.environment)
        self.rig.write(DEVFN, r.BAR0, 4, BASE)
        self.rig.command(DEVFN, r.COMMAND_MEMORY)

    def get(self, offset: int, size: int) -> int:
        return self.environment.memory.read(BASE + offset, size)

    def put(self, offset: int, size: int, value: int) -> None:
        self.environment.memory.write(BASE + offset, size, value)

    def unlocked(self, offset: int, size: int, value: int) -> None:
        for word in w.UNLOCK:
            self.put(w.RELOAD, 2, word)
        self.put(offset, size, value)

    def start(self, first: int = 10, second: int = 20, *, configuration: int = 0, lock: int = w.ENABLED) -> None:
        self.unlocked(w.PRELOAD_1, 4, first)
        self.unlocked(w.PRELOAD_2, 4, second)
        self.rig.write(DEVFN, w.CONFIGURATION, 2, configuration)
        self.rig.write(DEVFN, w.LOCK, 1, lock)

    def run(self, nanoseconds: int) -> int:
        """Let time pass; how often the watchdog has run out since the beginning."""
        clock: Any = self.environment.virtual
        end = clock.now() + nanoseconds
        while (wait := self.environment.timers.run_due()) is not None and clock.now() + wait <= end:
            clock.advance(wait)
        clock.advance(end - clock.now())
        self.environment.timers.run_due()
        return self.requests.expiries


@pytest.fixture
def guest() -> Guest:
    return Guest()


def test_the_function_says_what_it_is(guest: Guest) -> None:
    assert guest.rig.read(DEVFN, 0, 4) == 0x25AB8086
    assert guest.rig.read(DEVFN, r.CLASS_CODE, 2) == 0x8000
    guest.rig.write(DEVFN, r.BAR0, 4, 0xFFFFFFFF)
    assert guest.rig.read(DEVFN, r.BAR0, 4) == 0xFFFFFFF0


def test_it_runs_out_after_both_stages(guest: Guest) -> None:
    guest.start()
    assert guest.run(30 * TICK - 1000) == 0
    assert guest.run(2000) == 1
    assert guest.run(1000 * TICK) == 1


def test_the_first_stage_sets_the_interrupt_status_until_the_guest_takes_it_back(guest: Guest) -> None:
    guest.start()
    guest.run(10 * TICK - 1000)
    assert guest.get(w.INTERRUPT_STATUS, 2) == 0
    guest.run(2000)
    assert guest.get(w.INTERRUPT_STATUS, 2) == w.INTERRUPT_ACTIVE
    guest.put(w.INTERRUPT_STATUS, 2, w.INTERRUPT_ACTIVE)
    assert guest.get(w.INTERRUPT_STATUS, 2) == w.INTERRUPT_ACTIVE
    guest.unlocked(w.INTERRUPT_STATUS, 2, w.INTERRUPT_ACTIVE)
    assert guest.get(w.INTERRUPT_STATUS, 2) == 0


def test_reloading_in_time_keeps_it_quiet_and_starts_with_the_first_stage_again(guest: Guest) -> None:
    guest.start()
    for _ in range(5):
        guest.run(25 * TICK)
        guest.unlocked(w.RELOAD, 2, w.RELOAD_TIMER)
    assert guest.run(29 * TICK) == 0
    assert guest.run(2 * TICK) == 1


def test_the_fast_clock_counts_megahertz(guest: Guest) -> None:
    guest.start(configuration=w.PRESCALE_1_MHZ)
    assert guest.run(30 * TICK // 1024 + 1000) == 1


@pytest.mark.parametrize("words", [(), (0x80,), (0x86,), (0x86, 0x80), (0x80, 0x80)])
def test_without_the_unlocking_sequence_nothing_is_written(guest: Guest, words: tuple[int, ...]) -> None:
    guest.start()
    guest.run(25 * TICK)
    for word in words:
        guest.put(w.RELOAD, 2, word)
    guest.put(w.RELOAD, 2, w.RELOAD_TIMER)
    assert guest.run(6 * TICK) == 1


def test_a_sequence_that_starts_over_unlocks(guest: Guest) -> None:
    guest.start()
    guest.run(25 * TICK)
    guest.put(w.RELOAD, 2, 0x80)
    guest.unlocked(w.RELOAD, 2, w.RELOAD_TIMER)
    assert guest.run(6 * TICK) == 0


def test_each_sequence_unlocks_one_write(guest: Guest) -> None:
    guest.unlocked(w.PRELOAD_1, 4, 10)
    guest.put(w.PRELOAD_2, 4, 20)
    guest.rig.write(DEVFN, w.LOCK, 1, w.ENABLED)
    assert guest.run(100 * TICK) == 0


def test_with_its_output_disabled_it_only_remembers(guest: Guest) -> None:
    guest.start(configuration=w.OUTPUT_DISABLED)
    assert guest.run(31 * TICK) == 0
    assert guest.get(w.RELOAD, 2) == w.TIMED_OUT


def test_switched_off_it_does_not_run_out(guest: Guest) -> None:
    guest.start()
    guest.rig.write(DEVFN, w.LOCK, 1, 0)
    assert guest.run(100 * TICK) == 0


def test_locked_it_stays_as_it_is_until_a_reset(guest: Guest) -> None:
    guest.start(lock=w.ENABLED | w.LOCKED)
    guest.rig.write(DEVFN, w.LOCK, 1, 0)
    assert guest.rig.read(DEVFN, w.LOCK, 1) == w.ENABLED | w.LOCKED
    assert guest.run(31 * TICK) == 1
    for part in guest.device.parts().values():
        part.reset()
    assert guest.rig.read(DEVFN, w.LOCK, 1) == 0


def test_free_running_it_goes_round_the_second_stage(guest: Guest) -> None:
    guest.start(lock=w.ENABLED | w.FREE_RUNNING)
    assert guest.run(21 * TICK) == 1
    assert guest.run(20 * TICK) == 2


def test_after_the_reset_that_it_led_to_the_guest_sees_why(guest: Guest) -> None:
    guest.start()
    guest.run(31 * TICK)
    for part in guest.device.parts().values():
        part.reset()
    guest.rig.write(DEVFN, r.BAR0, 4, BASE)
    guest.rig.command(DEVFN, r.COMMAND_MEMORY)
    assert guest.get(w.RELOAD, 2) == w.TIMED_OUT
    assert guest.get(w.RELOAD + 1, 1) == w.TIMED_OUT >> 8
    assert guest.run(1000 * TICK) == 1
    guest.unlocked(w.RELOAD, 2, w.TIMED_OUT)
    assert guest.get(w.RELOAD, 2) == 0


@pytest.mark.parametrize("ran", [5, 15])
def test_saved_and_loaded_it_runs_out_when_it_would_have(guest: Guest, ran: int) -> None:
    guest.start()
    guest.run(ran * TICK)
    other = Guest()
    clock: Any = other.environment.virtual
    clock.advance(guest.environment.virtual.now())
    for name, part in guest.device.parts().items():
        twin = other.device.parts()[name]
        twin.load(decode(twin.state_type, encode(part.save())))
    assert other.get(w.INTERRUPT_STATUS, 1) == int(ran > 10)
    assert other.run((30 - ran) * TICK - 1000) == 0
    assert other.run(2000) == 1


def test_taken_out_it_does_not_run_out(guest: Guest) -> None:
    guest.start()
    guest.rig.bus.unplug(guest.device)
    assert guest.run(100 * TICK) == 0
