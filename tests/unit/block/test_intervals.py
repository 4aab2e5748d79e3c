"""The recent past against a model that remembers everything."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from varan.block.intervals import SECOND, Interval
from varan.block.statistics import Kind

STEPS = st.lists(st.tuples(st.integers(0, 25 * SECOND), st.integers(0, 1000)), max_size=30)
"""Nanoseconds that pass, and a request's latency then."""


@given(STEPS, st.integers(0, 25 * SECOND))
def test_what_is_told_covers_half_of_an_interval_and_no_more_than_it(steps: list[tuple[int, int]], last: int) -> None:
    interval, now = Interval(10, 5), 5
    requests: list[tuple[int, int]] = []
    for passed, latency in steps:
        now += passed
        interval.note(Kind.READ, latency, now)
        requests.append((now, latency))
    now += last
    recent = interval.recent(Kind.READ, now)
    certain = [latency for ended, latency in requests if ended > now - 5 * SECOND]
    possible = [latency for ended, latency in requests if ended >= now - 10 * SECOND]
    assert len(certain) <= recent.count <= len(possible)
    assert sum(certain) <= recent.total <= sum(possible)
    if certain:
        assert recent.least <= min(certain) and recent.most >= max(certain)
        assert recent.least <= recent.average <= recent.most
    assert (interval.depth(Kind.READ, now) > 0) == (recent.total > 0 and now > 5)
