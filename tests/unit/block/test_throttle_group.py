"""Members of a throttle group: whose request goes when. Time is the tests' own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.virtual_time import VirtualTime

from varan.block.throttle import parse_limits
from varan.block.throttle_group import ThrottleGroup, ThrottleMember, join

SECONDS = 10.0


def a_group(time: VirtualTime, **limits: int) -> ThrottleGroup:
    """A group with limits such as `bps_total`."""
    given = {name.replace("_", "-"): value for name, value in limits.items()}
    return ThrottleGroup("g", parse_limits(given), clock=time, later=time.later)


async def load(time: VirtualTime, member: ThrottleMember, size: int, depth: int, *, write: bool = False) -> int:
    """The bytes that go in SECONDS when `depth` requests are always there."""
    moved = 0

    async def one() -> None:
        nonlocal moved
        while True:
            await member.admit(size, write)
            if time.now >= SECONDS:
                return
            moved += size

    await asyncio.gather(*(one() for _ in range(depth)))
    return moved


async def test_requests_of_a_member_go_in_order() -> None:
    time = VirtualTime()
    member = a_group(time, iops_total=10).join()
    order: list[int] = []

    async def one(number: int) -> None:
        await member.admit(512, write=False)
        order.append(number)

    await asyncio.gather(*(one(number) for number in range(20)))
    assert order == list(range(20))
    assert time.now == pytest.approx(1.8, abs=0.2)


async def test_without_limits_nobody_waits() -> None:
    time = VirtualTime()
    group = a_group(time)
    member = group.join()
    for _ in range(100):
        await member.admit(1 << 30, write=True)
    group.change(parse_limits({"bps-total": 1000}))
    await member.admit(2000, write=True)
    await member.admit(1, write=True)
    assert time.now == pytest.approx(1.9)


@pytest.mark.parametrize("depth", [1, 3, 32])
@pytest.mark.parametrize(
    ("limits", "size", "wanted"),
    [
        ({"bps_total": 1_000_000}, 4096, 1_000_000),
        ({"bps_read": 200_000}, 65536, 200_000),
        ({"iops_total": 100}, 4096, 409_600),
        ({"iops_read": 100, "iops_size": 8192}, 16384, 100 * 8192),
        ({"bps_total": 10_000_000, "iops_total": 50}, 4096, 50 * 4096),
    ],
)
async def test_ten_seconds_move_what_the_limit_says(limits: dict[str, int], size: int, wanted: int, depth: int) -> None:
    time = VirtualTime()
    moved = await load(time, a_group(time, **limits).join(), size, depth)
    assert moved / SECONDS == pytest.approx(wanted, rel=0.05)


@pytest.mark.parametrize("depths", [(1, 32), (1, 1, 8), (32, 32)])
async def test_members_get_the_same_however_many_requests_they_have(depths: Sequence[int]) -> None:
    time = VirtualTime()
    group = a_group(time, bps_total=1_000_000)
    moved = await asyncio.gather(*(load(time, group.join(), 4096, depth) for depth in depths))
    assert sum(moved) / SECONDS == pytest.approx(1_000_000, rel=0.05)
    assert max(moved) <= 1.1 * min(moved)


@pytest.mark.parametrize("sizes", [(4096, 1 << 20), (4096, 65536, 1 << 18)])
async def test_members_get_the_same_however_long_their_requests_are(sizes: Sequence[int]) -> None:
    time = VirtualTime()
    group = a_group(time, bps_total=4_000_000)
    moved = await asyncio.gather(*(load(time, group.join(), size, 4) for size in sizes))
    assert max(moved) <= 1.15 * min(moved)


async def test_who_was_away_has_saved_up_nothing() -> None:
    time = VirtualTime()
    group = a_group(time, iops_total=100)
    away, busy = group.join(), group.join()
    went = await load(time, busy, 1, 8)
    assert went == pytest.approx(1000, rel=0.05)
    order: list[str] = []

    async def one(member: ThrottleMember, name: str) -> None:
        await member.admit(1, write=False)
        order.append(name)

    await asyncio.gather(*(one(member, name) for member, name in [(busy, "b"), (away, "a")] * 50))
    assert 20 <= order[:50].count("b") <= 30


async def test_reads_and_writes_of_one_member_share_a_total() -> None:
    time = VirtualTime()
    member = a_group(time, bps_total=1_000_000).join()
    reads, writes = await asyncio.gather(load(time, member, 4096, 4), load(time, member, 4096, 4, write=True))
    assert reads + writes == pytest.approx(10_000_000, rel=0.05)
    assert reads == pytest.approx(writes, rel=0.05)


async def test_writes_do_not_wait_behind_reads_that_have_a_limit_of_their_own() -> None:
    time = VirtualTime()
    member = a_group(time, bps_read=1000).join()
    reads = [asyncio.create_task(member.admit(1000, write=False)) for _ in range(5)]
    await asyncio.sleep(0)
    for _ in range(100):
        await member.admit(1 << 20, write=True)
    assert time.now == 0
    await asyncio.gather(*reads)


async def test_lifted_limits_let_everything_go_at_once() -> None:
    time = VirtualTime()
    group = a_group(time, bps_total=1)
    member = group.join()
    waiting = [asyncio.create_task(member.admit(1000, write=bool(n % 2))) for n in range(20)]
    await asyncio.sleep(0)
    group.change(parse_limits({}))
    await asyncio.gather(*waiting)
    assert time.now == 0


async def test_who_waits_goes_by_limits_that_come_meanwhile() -> None:
    time = VirtualTime()
    group = a_group(time, iops_total=1)
    member = group.join()
    waiting = [asyncio.create_task(member.admit(1, write=False)) for _ in range(12)]
    await asyncio.sleep(0)
    group.change(parse_limits({"iops-total": 100}))
    await asyncio.gather(*waiting)
    assert time.now < 0.2


async def test_who_leaves_waits_no_more_and_the_others_do() -> None:
    time = VirtualTime()
    group = a_group(time, iops_total=1)
    leaving, staying = group.join(), group.join()
    first = [asyncio.create_task(leaving.admit(1, write=False)) for _ in range(5)]
    second = [asyncio.create_task(staying.admit(1, write=False)) for _ in range(3)]
    await asyncio.sleep(0)
    leaving.leave()
    await asyncio.gather(*first)
    assert time.now == 0
    await asyncio.gather(*second)
    assert time.now == pytest.approx(7, abs=1), "what has left counts"


async def test_who_hurries_waits_not_until_it_relaxes() -> None:
    time = VirtualTime()
    member = a_group(time, iops_total=1).join()
    waiting = [asyncio.create_task(member.admit(1, write=False)) for _ in range(3)]
    await asyncio.sleep(0)
    member.hurry()
    await asyncio.gather(*waiting)
    await member.admit(1, write=False)
    assert time.now == 0
    member.relax()
    await member.admit(1, write=False)
    assert time.now == pytest.approx(4, abs=0.5)


async def test_a_request_that_is_given_up_takes_nothing() -> None:
    time = VirtualTime()
    member = a_group(time, iops_total=1).join()
    waiting = [asyncio.create_task(member.admit(1, write=False)) for _ in range(10)]
    await asyncio.sleep(0)
    for task in waiting[2:9]:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    assert time.now == pytest.approx(2, abs=0.5)
    assert not waiting[9].cancelled()


async def test_a_group_is_there_as_long_as_it_has_members() -> None:
    groups: dict[str, ThrottleGroup] = {}
    first, second = join(groups, "a"), join(groups, "a")
    assert first.group is second.group is groups["a"]
    first.leave()
    assert "a" in groups
    second.leave()
    assert groups == {}


@settings(max_examples=50, deadline=None)
@given(
    st.sampled_from(["bps-total", "bps-read", "iops-total", "iops-write"]),
    st.integers(1, 10**6),
    st.lists(
        st.tuples(st.integers(0, 2), st.integers(0, 1 << 16), st.booleans(), st.booleans()), min_size=1, max_size=40
    ),
)
def test_every_request_goes_some_time(kind: str, rate: int, requests: list[tuple[int, int, bool, bool]]) -> None:
    async def run() -> None:
        time = VirtualTime()
        group = ThrottleGroup("g", parse_limits({kind: rate}), clock=time, later=time.later)
        members = [group.join() for _ in range(3)]
        tasks = []
        for who, size, write, given_up in requests:
            tasks.append(asyncio.create_task(members[who].admit(size, write)))
            await asyncio.sleep(0)
            if given_up:
                tasks[-1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert all(task.done() for task in tasks)

    asyncio.run(run())
