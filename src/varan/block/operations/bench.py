"""Timing simple requests: so many of one size, one behind the other, several at a time."""

from __future__ import annotations

import asyncio
import itertools

from varan.block.base import Node
from varan.block.request import read, write
from varan.light import record


@record(frozen=True, slots=True)
class BenchPlan:
    """What is sent: `count` requests of `size` bytes from `offset` on, each `step` bytes behind the last."""

    count: int
    size: int
    step: int
    offset: int = 0
    depth: int = 64
    writes: bool = False
    pattern: int = 0
    flush_interval: int = 0
    """Writes after which everything is flushed; 0: never."""


async def bench(node: Node, plan: BenchPlan) -> None:
    """Send the requests. Offsets start over at the image's end. Raises BlockError."""
    numbers = iter(range(plan.count))
    room = max(node.length - plan.size, 0) + 1
    done = itertools.count(1)
    gate = asyncio.Lock()

    async def worker() -> None:
        views = [memoryview(bytearray([plan.pattern]) * plan.size)]
        for number in numbers:
            offset = (plan.offset + number * plan.step) % room
            if plan.writes:
                await write(node, offset, views)
            else:
                await read(node, offset, views)
            if plan.flush_interval and next(done) % plan.flush_interval == 0:
                async with gate:
                    await node.flush()

    async with asyncio.TaskGroup() as group:
        for _ in range(min(plan.depth, plan.count)):
            group.create_task(worker())
