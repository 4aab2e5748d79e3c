"""Rate limits: the buckets, and the queue before them."""

from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from varan.block.base import BlockError, ErrorKind
from varan.block.throttle import KINDS, LARGEST, Throttle, parse_limits
from varan.block.throttle_group import ThrottleGroup


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


def test_long_requests_count_as_several_operations():
    assert time_for({"iops-total": 10, "iops-size": 4096}, [4097] * 51) == pytest.approx(9.8, abs=0.3)


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


@pytest.mark.parametrize(
    ("limits", "named"),
    [
        ({"bps-total": 1, "bps-read": 1}, "bps-read"),
        ({"iops-total": 1, "iops-write": 1}, "iops-write"),
        ({"bps-total-max": 1}, "bps-total-max"),
        ({"bps-total": 10, "bps-total-max": 5}, "bps-total-max"),
        ({"bps-total": 10, "bps-total-max-length": 5}, "max-length"),
        ({"bps-total": 10, "bps-total-max": 50, "bps-total-max-length": 0}, "max-length"),
        ({"bps-total": -1}, "bps-total"),
        ({"bps-total": LARGEST + 1}, "bps-total"),
        ({"iops-total": 1, "iops-total-max": LARGEST, "iops-total-max-length": 2}, "iops-total-max"),
        ({"iops-size": 4096}, "iops-size"),
        ({"warp": 9}, "warp"),
    ],
)
def test_contradictory_limits_are_refused_by_name(limits: dict[str, int], named: str):
    with pytest.raises(BlockError) as caught:
        parse_limits(limits)
    assert caught.value.kind is ErrorKind.INVALID
    assert named in str(caught.value)


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


class Time:
    """A clock that goes on when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(0)
        self.now += seconds


async def test_requests_of_a_group_go_in_order():
    time = Time()
    group = ThrottleGroup("g", parse_limits({"iops-total": 10}), clock=time, sleep=time.sleep)
    order: list[int] = []

    async def one(number: int) -> None:
        await group.admit(512, write=False)
        order.append(number)

    await asyncio.gather(*(one(number) for number in range(20)))
    assert order == list(range(20))
    assert time.now == pytest.approx(1.8, abs=0.2)


async def test_without_limits_nobody_waits():
    time = Time()
    group = ThrottleGroup("g", parse_limits({}), clock=time, sleep=time.sleep)
    for _ in range(100):
        await group.admit(1 << 30, write=True)
    group.change(parse_limits({"bps-total": 1000}))
    await group.admit(2000, write=True)
    await group.admit(1, write=True)
    assert time.now == pytest.approx(1.9)
