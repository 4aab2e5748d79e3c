"""Limits of a back end, and what else happens to it meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.block_images import a_graph, raw_image

from varan.block.backend import BlockBackend
from varan.block.limiting import set_limits, shown_limits
from varan.block.rewire import quiet
from varan.block.throttle import LimitsError
from varan.block.throttle_group import ThrottleGroup

NONE = {"bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0}
NEVER = {"bps-total": 1}
"""Bytes a second: nothing more goes while the test runs."""


@pytest.fixture
async def backend(tmp_path: Path) -> AsyncIterator[BlockBackend]:
    async with a_graph() as graph:
        node = await graph.open({"driver": "raw", "file.filename": raw_image(tmp_path, b"x" * 4096)}, user=None)
        backend = BlockBackend(graph, "d", node)
        backend.attach("device 'd'", write=True)
        yield backend
        if backend.user is not None:
            await backend.detach()


def buffer() -> memoryview:
    """Room for a read."""
    return memoryview(bytearray(512))


async def three_waiting(backend: BlockBackend, groups: dict[str, ThrottleGroup]) -> list[asyncio.Task[None]]:
    """Reads of which at least the last two wait."""
    set_limits(groups, backend, NEVER, None)
    tasks = [asyncio.create_task(backend.read(0, [buffer()])) for _ in range(3)]
    await asyncio.sleep(0)
    assert backend.in_flight >= 2
    return tasks


async def test_limits_are_shown_as_they_are(backend: BlockBackend) -> None:
    groups: dict[str, ThrottleGroup] = {}
    assert shown_limits(backend) == NONE
    set_limits(groups, backend, {"bps-total": 1000, "bps-total-max": 2000, "iops-read": 5, "iops-size": 512}, None)
    burst = {"bps_max": 2000, "bps_max_length": 1}
    assert shown_limits(backend) == {**NONE, "group": "d", "bps": 1000, "iops_rd": 5, "iops_size": 512, **burst}
    set_limits(groups, backend, {"bps-read": 7}, "other")
    assert shown_limits(backend) == {**NONE, "group": "other", "bps_rd": 7}
    assert list(groups) == ["other"]
    set_limits(groups, backend, {}, None)
    assert shown_limits(backend) == NONE
    assert groups == {}


async def test_limits_of_one_are_those_of_its_group(backend: BlockBackend, tmp_path: Path) -> None:
    groups: dict[str, ThrottleGroup] = {}
    async with a_graph() as graph:
        other = BlockBackend(graph, "e", await graph.open(raw_image(tmp_path, b"x", name="other"), user=None))
        set_limits(groups, backend, {"bps-total": 1000}, "g")
        set_limits(groups, other, {"iops-total": 5}, "g")
        assert shown_limits(backend) == shown_limits(other) == {**NONE, "iops": 5, "group": "g"}
        set_limits(groups, other, {"iops-total": 6}, None)
        assert shown_limits(backend)["iops"] == 6, "it stays in its group when none is named"
        set_limits(groups, other, {}, None)
        assert shown_limits(backend)["iops"] == 6


async def test_limits_that_cannot_be_change_nothing(backend: BlockBackend) -> None:
    groups: dict[str, ThrottleGroup] = {}
    with pytest.raises(LimitsError):
        set_limits(groups, backend, {"bps-total": 1, "bps-read": 1}, None)
    assert backend.limits is None
    assert groups == {}


async def test_nothing_goes_past_the_limits(backend: BlockBackend) -> None:
    data = [buffer()]
    assert backend.read_now(0, data)
    set_limits({}, backend, {"bps-total": 1 << 20}, None)
    assert not backend.read_now(0, data)
    assert not backend.write_now(0, data)
    async with quiet(backend._graph):
        pass
    assert not backend.read_now(0, data)
    set_limits({}, backend, {}, None)
    assert backend.read_now(0, data)
    assert backend.write_now(0, data)


async def test_lifted_limits_let_waiting_requests_go(backend: BlockBackend) -> None:
    groups: dict[str, ThrottleGroup] = {}
    tasks = await three_waiting(backend, groups)
    set_limits(groups, backend, {}, None)
    await asyncio.gather(*tasks)
    await backend.read(0, [buffer()])


async def test_another_group_does_not_strand_requests(backend: BlockBackend) -> None:
    groups: dict[str, ThrottleGroup] = {}
    tasks = await three_waiting(backend, groups)
    set_limits(groups, backend, {"bps-total": 10**9}, "fast")
    await asyncio.gather(*tasks)


async def test_a_drain_ignores_limits_which_count_again_afterwards(backend: BlockBackend) -> None:
    tasks = await three_waiting(backend, {})
    await backend.drain()
    assert all(task.done() for task in tasks)
    late = asyncio.create_task(backend.read(0, [buffer()]))
    await asyncio.sleep(0.01)
    assert not late.done()
    await backend.drain()
    assert late.done()


async def test_a_change_of_the_graph_ignores_limits(backend: BlockBackend) -> None:
    tasks = await three_waiting(backend, {})
    assert backend.node is not None
    async with quiet(backend._graph, backend.node):
        assert all(task.done() for task in tasks)
        held = asyncio.create_task(backend.read(0, [buffer()]))
        await asyncio.sleep(0)
        assert not held.done()
    await asyncio.sleep(0.01)
    assert not held.done(), "it waits for its turn now"
    await backend.drain()
    assert held.done()


async def test_a_device_that_goes_takes_limits_of_its_own_along(backend: BlockBackend) -> None:
    groups: dict[str, ThrottleGroup] = {}
    tasks = await three_waiting(backend, groups)
    await backend.detach()
    assert all(task.done() for task in tasks)
    assert groups == {}


async def test_flushes_and_discards_have_no_limit(backend: BlockBackend) -> None:
    await three_waiting(backend, {})
    await backend.flush()
    await backend.discard(0, 4096)
    await backend.drain()


async def test_requests_hurry_as_long_as_anybody_waits_for_them_whatever_the_limits_become(
    backend: BlockBackend,
) -> None:
    groups: dict[str, ThrottleGroup] = {}
    set_limits(groups, backend, NEVER, None)
    backend.hold()
    set_limits(groups, backend, NEVER, "other")
    backend.hold()
    backend.release()
    assert backend.limits is not None
    assert backend.limits.hurried
    backend.release()
    assert not backend.limits.hurried
