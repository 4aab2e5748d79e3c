"""Many requests at once: each sector ends as one of its writers left it, and the image checks clean."""

from __future__ import annotations

import asyncio
import random
from pathlib import Path

import pytest
from tests.support.qcow2_images import check_bytes, image_bytes, open_image
from tests.support.recording_file import RecordingFile

from varan.block import request
from varan.block.base import Buffers, Write

SIZE = 512 << 10
SECTOR = 512


class WaitingFile(RecordingFile):
    """A file whose requests take a while, each another one."""

    def __init__(self, content: bytes, chance: random.Random) -> None:
        super().__init__(content)
        self.chance = chance

    async def _wait(self) -> None:
        for _ in range(self.chance.randrange(4)):
            await asyncio.sleep(0)

    async def read(self, offset: int, buffers: Buffers) -> None:
        await self._wait()
        await super().read(offset, buffers)
        await self._wait()

    async def write(self, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
        await self._wait()
        await super().write(offset, buffers, flags)
        await self._wait()

    async def flush(self) -> None:
        await self._wait()
        await super().flush()


SHAPES = {
    "plain": {"cluster_size": "4096"},
    "tiny clusters": {"cluster_size": "512"},
    "subclusters": {"cluster_size": "16384", "extended_l2": "on"},
    "default": {},
}


@pytest.mark.parametrize("cache", [1, 1 << 20])
@pytest.mark.parametrize("shape", SHAPES)
async def test_writers_of_their_own_sectors_do_not_disturb_each_other(tmp_path: Path, shape: str, cache: int) -> None:
    chance = random.Random(f"{shape} {cache}")
    backing = RecordingFile(chance.randbytes(SIZE // 2))
    file = WaitingFile(await image_bytes(tmp_path, SIZE, **SHAPES[shape]), chance)
    node = await open_image(file, backing=backing, **{"l2-cache-size": cache, "refcount-cache-size": cache})
    model = bytearray(bytes(backing.disk.content).ljust(SIZE, b"\0"))

    async def worker(number: int) -> None:
        for _ in range(30):
            length = chance.randrange(1, 12)
            first = chance.randrange(SIZE // SECTOR // 8 - length)
            for sector in range(first, first + length):
                at = (sector * 8 + number) * SECTOR
                if chance.random() < 0.15:
                    model[at : at + SECTOR] = bytes(SECTOR)
                    await request.zero(node, at, SECTOR, Write.MAY_UNMAP)
                else:
                    data = chance.randbytes(SECTOR)
                    model[at : at + SECTOR] = data
                    await request.write_bytes(node, at, data)
                if chance.random() < 0.1:
                    assert await request.read_bytes(node, at, SECTOR) == model[at : at + SECTOR]
                if chance.random() < 0.02:
                    await node.flush()

    await asyncio.gather(*(worker(number) for number in range(8)))
    assert await request.read_bytes(node, 0, SIZE) == model
    await node.close()
    report = await check_bytes(file.disk.content)
    assert (report.corruptions, report.leaks) == (0, 0), report.messages


@pytest.mark.parametrize("shape", SHAPES)
async def test_overlapping_requests_leave_a_clean_image(tmp_path: Path, shape: str) -> None:
    chance = random.Random(shape)
    file = WaitingFile(await image_bytes(tmp_path, SIZE, **SHAPES[shape]), chance)
    node = await open_image(file, **{"l2-cache-size": 1, "refcount-cache-size": 1})
    size = node.metadata.geometry.cluster_size

    async def worker(number: int) -> None:
        for _ in range(25):
            length = chance.choice([512, 3000, 4096, 40_000])
            at = chance.randrange(SIZE - length)
            what = chance.randrange(6)
            if what < 3:
                await request.write_bytes(node, at, bytes([number + 1]) * length)
            elif what == 3:
                await request.zero(node, at, length, chance.choice([Write.NONE, Write.MAY_UNMAP]))
            elif what == 4:
                await request.discard(node, at, length)
            else:
                start = at - at % size
                data = bytes([number + 1]) * min(2 * size, SIZE - start)
                await request.write(node, start, [memoryview(data)], Write.COMPRESSED)
            if chance.random() < 0.2:
                await node.flush()
            seen = await request.read_bytes(node, at, length)
            assert set(seen) <= set(range(10))

    await asyncio.gather(*(worker(number) for number in range(8)))
    await node.close()
    report = await check_bytes(file.disk.content)
    assert (report.corruptions, report.leaks) == (0, 0), report.messages
    again = await open_image(RecordingFile(bytes(file.disk.content)), read_only=True)
    assert set(await request.read_bytes(again, 0, SIZE)) <= set(range(10))
