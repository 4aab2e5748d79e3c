from __future__ import annotations

import pytest
from tests.support.bus import Bus

from varan.core.clock import NANOSECONDS
from varan.devices.watchdog.ib700 import DISABLE_PORT, FEED_PORT, Ib700


class Rig:
    def __init__(self) -> None:
        self.bus = Bus()
        self.expiries = 0
        self.watchdog = Ib700(self.bus.clock, self.bus.timers, self.expire)
        self.watchdog.map(self.bus.ports)

    def expire(self) -> None:
        self.expiries += 1


@pytest.fixture
def rig() -> Rig:
    return Rig()


def test_it_is_off_until_it_is_fed(rig: Rig) -> None:
    rig.bus.run(1000 * NANOSECONDS)
    assert rig.expiries == 0


@pytest.mark.parametrize(("value", "seconds"), [(0x0, 30), (0xE, 2), (0xF, 0), (0x1E, 2), (0x5, 20)])
def test_the_value_written_chooses_the_seconds(rig: Rig, value: int, seconds: int) -> None:
    rig.bus.outb(FEED_PORT, value)
    rig.bus.run(seconds * NANOSECONDS - 1)
    assert rig.expiries == 0 or seconds == 0
    rig.bus.run(1)
    assert rig.expiries == 1
    rig.bus.run(100 * NANOSECONDS)
    assert rig.expiries == 1


def test_feeding_in_time_keeps_it_quiet(rig: Rig) -> None:
    for _ in range(10):
        rig.bus.outb(FEED_PORT, 0xE)
        rig.bus.run(NANOSECONDS)
    assert rig.expiries == 0


def test_the_other_port_switches_it_off(rig: Rig) -> None:
    rig.bus.outb(FEED_PORT, 0xE)
    rig.bus.outb(DISABLE_PORT, 0)
    rig.bus.run(100 * NANOSECONDS)
    assert rig.expiries == 0


def test_saved_and_loaded_it_runs_out_when_it_would_have(rig: Rig) -> None:
    rig.bus.outb(FEED_PORT, 0xD)
    rig.bus.run(NANOSECONDS)
    other = Rig()
    other.bus.clock.advance(rig.bus.clock.now())
    other.watchdog.load(rig.watchdog.save())
    other.bus.run(3 * NANOSECONDS - 1)
    assert other.expiries == 0
    other.bus.run(1)
    assert other.expiries == 1


def test_reset_switches_it_off(rig: Rig) -> None:
    rig.bus.outb(FEED_PORT, 0xE)
    rig.watchdog.reset()
    rig.bus.run(100 * NANOSECONDS)
    assert rig.expiries == 0


def test_taken_out_it_leaves_no_port_and_no_timer(rig: Rig) -> None:
    rig.bus.outb(FEED_PORT, 0xE)
    rig.watchdog.unmap(rig.bus.ports)
    rig.bus.run(100 * NANOSECONDS)
    assert rig.expiries == 0
    assert list(rig.bus.ports) == []


def test_a_taken_port_leaves_nothing_mapped(rig: Rig) -> None:
    other = Ib700(rig.bus.clock, rig.bus.timers, rig.expire)
    rig.bus.ports.unmap(DISABLE_PORT)
    with pytest.raises(ValueError, match="taken"):
        other.map(rig.bus.ports)
    assert [mapped.base for mapped in rig.bus.ports] == [FEED_PORT]
