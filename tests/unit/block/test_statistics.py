"""Counters, latencies of the recent past and histograms, on a clock of the test's own."""

from __future__ import annotations

import pytest

from varan.block.intervals import SECOND
from varan.block.statistics import BlockStatistics, Kind


class Clock:
    def __init__(self) -> None:
        self.now = 1000

    def __call__(self) -> int:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_what_is_done_is_counted_by_kind(clock: Clock) -> None:
    statistics = BlockStatistics(clock=clock)
    assert statistics.idle is None
    clock.now += 50
    statistics.done(Kind.READ, 4096, clock.now - 50)
    statistics.done(Kind.WRITE, 1024, clock.now - 10, requests=3)
    clock.now += 7
    read, write, flush, unmap = statistics.tallies
    assert (read.bytes, read.operations, read.nanoseconds, read.merged) == (4096, 1, 50, 0)
    assert (write.bytes, write.operations, write.nanoseconds, write.merged) == (1024, 3, 30, 2)
    assert flush.operations == unmap.operations == 0
    assert statistics.idle == 7


@pytest.mark.parametrize("account", [True, False])
def test_whether_a_failure_takes_time_is_a_setting(clock: Clock, account: bool) -> None:
    statistics = BlockStatistics(clock=clock, account_failed=account)
    statistics.failed(Kind.WRITE, clock.now - 30)
    tally = statistics.tallies[Kind.WRITE]
    assert (tally.failed, tally.operations, tally.bytes) == (1, 0, 0)
    assert tally.nanoseconds == (30 if account else 0)
    assert statistics.idle == (0 if account else None)


@pytest.mark.parametrize("account", [True, False])
def test_whether_an_invalid_request_ends_idle_time_is_a_setting(clock: Clock, account: bool) -> None:
    statistics = BlockStatistics(clock=clock, account_invalid=account)
    statistics.invalid(Kind.UNMAP)
    assert statistics.tallies[Kind.UNMAP].invalid == 1
    assert statistics.idle == (0 if account else None)


def test_an_interval_looks_back_on_at_least_half_of_itself(clock: Clock) -> None:
    statistics = BlockStatistics(clock=clock, intervals=[10])
    (interval,) = statistics.intervals
    for latency in (100, 300):
        statistics.done(Kind.READ, 512, clock.now - latency)
    recent = interval.recent(Kind.READ, clock.now)
    assert (recent.least, recent.most, recent.average) == (100, 300, 200)
    assert interval.recent(Kind.WRITE, clock.now).average == 0
    clock.now += 9 * SECOND
    statistics.done(Kind.READ, 512, clock.now - 1000)
    assert interval.recent(Kind.READ, clock.now).most == 1000
    assert interval.recent(Kind.READ, clock.now).least == 100
    clock.now += 5 * SECOND
    assert interval.recent(Kind.READ, clock.now).least == 1000
    clock.now += 11 * SECOND
    assert interval.recent(Kind.READ, clock.now).most == 0


def test_a_queues_depth_is_time_spent_by_time_passed(clock: Clock) -> None:
    statistics = BlockStatistics(clock=clock, intervals=[10])
    (interval,) = statistics.intervals
    assert interval.depth(Kind.WRITE, clock.now) == 0
    clock.now += 2 * SECOND
    for _ in range(4):
        statistics.done(Kind.WRITE, 512, clock.now - SECOND)
    assert interval.depth(Kind.WRITE, clock.now) == 2.0


def test_a_histogram_has_a_bin_on_either_side_of_each_boundary(clock: Clock) -> None:
    statistics = BlockStatistics(clock=clock)
    statistics.draw_histogram(Kind.READ, [10, 50])
    for latency in (0, 9, 10, 49, 50, 1000, 2000):
        statistics.done(Kind.READ, 512, clock.now - latency)
    statistics.failed(Kind.READ, clock.now - 20)
    statistics.done(Kind.WRITE, 512, clock.now)
    assert statistics.histograms[Kind.READ].bins == [2, 3, 3]
    statistics.drop_histograms()
    assert statistics.histograms == {}
