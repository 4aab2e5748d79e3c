"""The throttle filter in a graph."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.block_images import a_graph, raw_image
from tests.support.virtual_time import VirtualTime

from varan.block.backend import BlockBackend
from varan.block.base import BlockError
from varan.block.request import discard, read_bytes, write_bytes, zero
from varan.block.rewire import quiet
from varan.block.throttle import parse_limits
from varan.block.throttle_group import ThrottleGroup


async def test_nodes_of_one_group_share_its_limits(tmp_path: Path):
    time = VirtualTime()
    group = ThrottleGroup("slow", parse_limits({"iops-total": 10}), clock=time, later=time.later)
    async with a_graph() as graph:
        graph.throttle_groups["slow"] = group
        nodes = [
            await graph.open(
                {"driver": "throttle", "throttle-group": "slow", "file": {"driver": "raw", "file.filename": path}}
            )
            for path in (raw_image(tmp_path, b"x" * 4096, name="a"), raw_image(tmp_path, b"x" * 4096, name="b"))
        ]
        for _ in range(3):
            for node in nodes:
                await write_bytes(node, 0, b"y")
                await read_bytes(node, 0, 1)
                await zero(node, 1, 1)
                await discard(node, 0, 1)
    assert time.now == pytest.approx(1.6, abs=0.2), "18 requests: discards are ignored here"


@pytest.mark.parametrize("options", [{}, {"throttle-group": "nobody"}])
async def test_a_group_must_be_named_and_exist(tmp_path: Path, options: dict[str, str]):
    path = raw_image(tmp_path, b"x" * 4096)
    async with a_graph() as graph:
        with pytest.raises(BlockError) as caught:
            await graph.open({"driver": "throttle", "file": {"driver": "raw", "file.filename": path}, **options})
        assert "throttle" in str(caught.value)
        assert graph.nodes == {}


async def test_a_change_of_the_graph_waits_for_no_turn(tmp_path: Path):
    time = VirtualTime()
    group = ThrottleGroup("slow", parse_limits({"iops-total": 1}), clock=time, later=time.later)
    async with a_graph() as graph:
        graph.throttle_groups["slow"] = group
        path = raw_image(tmp_path, b"x" * 4096)
        below = await graph.open({"driver": "raw", "file.filename": path, "node-name": "below"}, user=None)
        node = await graph.open({"driver": "throttle", "throttle-group": "slow", "file": "below"}, user=None)
        backend = BlockBackend(graph, "d", node)
        backend.attach("device 'd'", write=True)
        writes = [asyncio.create_task(backend.write(0, [memoryview(b"y")])) for _ in range(5)]
        await asyncio.sleep(0)
        async with quiet(graph, below):
            assert all(write.done() for write in writes)
        assert time.now == 0
        await backend.write(0, [memoryview(b"z")])
        assert time.now == pytest.approx(5, abs=0.2), "they count all the same"
        await backend.detach()
