"""Ranges held one at a time, and requests widened to an alignment."""

from __future__ import annotations

import asyncio
import random

import pytest

from varan.block.aligned import Bounce
from varan.block.drive import run_now
from varan.block.ranges import RangeLock


async def test_overlapping_ranges_take_turns_and_others_pass():
    lock, log = RangeLock(), []
    release = asyncio.Event()

    async def hold(name: str, start: int, end: int, wait: bool = False) -> None:
        async with lock.hold(start, end):
            log.append(name)
            if wait:
                await release.wait()

    first = asyncio.create_task(hold("first", 0, 10, wait=True))
    await asyncio.sleep(0)
    second = asyncio.create_task(hold("overlapping", 9, 20))
    await asyncio.create_task(hold("beside", 10, 12))
    assert log == ["first", "beside"]
    release.set()
    await asyncio.gather(first, second)
    assert log == ["first", "beside", "overlapping"]


async def test_a_waiter_that_is_cancelled_blocks_nobody():
    lock = RangeLock()
    async with lock.hold(0, 10):
        waiter = asyncio.create_task(lock.hold(0, 10).__aenter__())
        await asyncio.sleep(0)
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
    async with asyncio.timeout(1), lock.hold(0, 10):
        pass


def test_a_free_range_is_held_without_waiting():
    async def use() -> int:
        async with RangeLock().hold(0, 1):
            return 5

    assert run_now(use()) == 5


class Sectors:
    """Storage that refuses what is not aligned."""

    def __init__(self, unit: int, size: int) -> None:
        self.unit = unit
        self.data = bytearray(size)
        self.longest = 0

    def check(self, offset: int, memory: memoryview) -> None:
        assert offset % self.unit == 0 and len(memory) % self.unit == 0
        self.longest = max(self.longest, len(memory))

    async def read(self, offset: int, memory: memoryview) -> None:
        self.check(offset, memory)
        memory[:] = self.data[offset : offset + len(memory)]
        await asyncio.sleep(0)

    async def write(self, offset: int, memory: memoryview) -> None:
        self.check(offset, memory)
        await asyncio.sleep(0)
        self.data[offset : offset + len(memory)] = memory


@pytest.mark.parametrize("unit", [1, 512, 4096])
async def test_widened_requests_match_a_model(unit: int):
    storage = Sectors(unit, 1 << 16)
    bounce = Bounce(unit, storage.read, storage.write)
    bounce.largest = 8192
    rng = random.Random(unit)
    model = bytearray(1 << 16)
    for _ in range(200):
        offset = rng.randrange(len(model))
        length = rng.randrange(len(model) - offset) % 30000
        if rng.random() < 0.6:
            data = rng.randbytes(length)
            await bounce.write(offset, [memoryview(data[: length // 3]), memoryview(data[length // 3 :])])
            model[offset : offset + length] = data
        else:
            into = bytearray(length)
            await bounce.read(offset, [memoryview(into)])
            assert into == model[offset : offset + length]
    assert storage.data == model
    assert storage.longest <= 8192 + 2 * unit


async def test_neighbours_in_one_block_written_at_once_both_stay():
    storage = Sectors(512, 4096)
    bounce = Bounce(512, storage.read, storage.write)
    await asyncio.gather(*(bounce.write(at, [memoryview(bytes([at % 255]) * 100)]) for at in range(0, 4000, 100)))
    assert storage.data[:4000] == b"".join(bytes([at % 255]) * 100 for at in range(0, 4000, 100))
