"""Rate limits: the buckets."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varan.block.base import BlockError, ErrorKind
from varan.block.throttle import KINDS, LARGEST, Throttle, parse_limits


def time_for(limits: dict[str, int], sizes: list[int], *, write: bool = False) -> float:
    """Seconds until the last of the requests, made one after another, may go."""
    now = 0.0
    throttle = Throttle(parse_limits(limits), now)
    for size in sizes:
        while (seconds := throttle.wait(now, write)) > 0:
            now += seconds
        throttle.use(size, write)
    return now


@pytest.mark.parametrize("kind", ["bps-total", "bps-read"])
def test_bytes_flow_at_the_rate(kind: str):
    assert time_for({kind: 1000}, [100] * 101) == pytest.approx(9.8, abs=0.2)


def test_operations_flow_at_the_rate():
    assert time_for({"iops-total": 10}, [4096] * 101) == pytest.approx(9.8, abs=0.3)


def test_long_requests_count_for_more_in_proportion():
    limits = {"iops-total": 10, "iops-size": 4096}
    assert time_for(limits, [6144] * 68) == pytest.approx(9.8, abs=0.3)
    assert time_for(limits, [512] * 101) == pytest.approx(9.8, abs=0.3)


def test_each_direction_has_its_own_limit():
    assert time_for({"bps-write": 1000}, [1000] * 10, write=False) == 0
    assert time_for({"bps-write": 1000}, [1000] * 10, write=True) > 7


def test_a_burst_goes_at_its_own_rate_and_ends():
    limits = {"bps-total": 100, "bps-total-max": 1000, "bps-total-max-length": 5}
    during = time_for(limits, [100] * 30)
    assert during == pytest.approx(3, abs=0.4), "30 requests at 1000 a second"
    after = time_for(limits, [100] * 75)
    assert after - time_for(limits, [100] * 65) == pytest.approx(10, abs=0.5), "ten more at 100 a second"


def test_idle_time_gives_no_more_than_the_bucket_holds():
    throttle = Throttle(parse_limits({"iops-total": 10}), 0.0)
    went = 0
    while throttle.wait(1000.0, False) == 0:
        throttle.use(1, False)
        went += 1
    assert went == 2


EXCLUDE = "bps/iops/max total values and read/write values cannot be used at the same time"
RANGE = "bps/iops/max values must be within [0, 1000000000000000]"


@pytest.mark.parametrize(
    ("limits", "why"),
    [
        ({"bps-total": 1, "bps-read": 1}, EXCLUDE),
        ({"iops-total": 1, "iops-write": 1}, EXCLUDE),
        ({"iops-total": 1, "iops-read-max": 1, "iops-total-max": 1}, EXCLUDE),
        ({"bps-total-max": 1}, "bps_max/iops_max require corresponding bps/iops values"),
        ({"bps-total": 10, "bps-total-max": 5}, "bps_max/iops_max cannot be lower than bps/iops"),
        ({"bps-total": 10, "bps-total-max-length": 5}, "burst length set without burst rate"),
        ({"bps-total": 10, "bps-total-max": 50, "bps-total-max-length": 0}, "the burst length cannot be 0"),
        ({"bps-total": -1}, RANGE),
        ({"bps-total": LARGEST + 1}, RANGE),
        (
            {"iops-total": 1, "iops-total-max": LARGEST, "iops-total-max-length": 2},
            "burst length too high for this burst rate",
        ),
        ({"iops-size": 4096}, "iops size requires an iops value to be set"),
        ({"warp": 9}, "there is no limit 'warp'"),
    ],
)
def test_limits_that_cannot_be_are_refused(limits: dict[str, int], why: str):
    with pytest.raises(BlockError) as caught:
        parse_limits(limits)
    assert caught.value.kind is ErrorKind.INVALID
    assert str(caught.value) == why


@given(
    st.sampled_from(KINDS),
    st.integers(1, 10**9),
    st.lists(st.tuples(st.integers(0, 1 << 24), st.booleans(), st.floats(0, 10)), max_size=50),
)
def test_waiting_as_told_always_lets_a_request_go(kind: str, rate: int, requests):
    now = 0.0
    throttle = Throttle(parse_limits({kind: rate}), now)
    for size, write, pause in requests:
        now += pause
        for _ in range(20):
            seconds = throttle.wait(now, write)
            if seconds == 0:
                break
            assert seconds > 0
            now += max(seconds, 1e-6)
        else:
            pytest.fail("told to wait again and again")
        throttle.use(size, write)
