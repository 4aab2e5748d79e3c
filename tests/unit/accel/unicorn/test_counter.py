"""Time-stamp counters of several CPUs: stopped and started together, so that they agree."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from varan.accel.unicorn.counter import Counter


class Host:
    """The host's counter, moved by hand, and two engines."""

    def __init__(self) -> None:
        self.now = 1000
        self.counter = Counter(lambda: self.now)
        self.engines: list[Any] = [SimpleNamespace(env=SimpleNamespace(tsc_offset=0)) for _ in range(2)]

    def guest(self, index: int) -> int:
        """What the guest reads on a CPU."""
        return int(self.now + self.engines[index].env.tsc_offset)


@pytest.fixture
def host() -> Host:
    return Host()


def test_cpu_that_starts_later_counts_from_the_first_one_s_reset(host: Host) -> None:
    host.counter.reset(0)
    host.counter.join(0, host.engines[0])
    host.now = 1500
    host.counter.join(1, host.engines[1])
    assert [host.guest(0), host.guest(1), host.counter.value(1)] == [500, 500, 500]


def test_counters_stand_still_while_stopped_and_go_on_together(host: Host) -> None:
    for index in (0, 1):
        host.counter.join(index, host.engines[index])
    host.now = 1100
    for _ in (0, 1):
        host.counter.stop()
    host.now = 5000
    assert host.counter.value(0) == 100
    for _ in (0, 1):
        host.counter.start()
        host.now += 10
    assert host.guest(0) == host.guest(1) == 120


def test_cpus_may_differ_when_they_were_set_apart(host: Host) -> None:
    host.counter.join(0, host.engines[0])
    host.counter.join(1, host.engines[1])
    host.counter.stop()
    host.counter.set(1, 70)
    host.counter.start()
    host.now += 5
    assert (host.guest(0), host.guest(1)) == (5, 75)


def test_counter_of_an_engine_that_went_goes_on_in_the_next(host: Host) -> None:
    host.counter.join(0, host.engines[0])
    host.counter.leave(0)
    host.now += 40
    host.counter.join(0, host.engines[1])
    assert host.guest(1) == 40
