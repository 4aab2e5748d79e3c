"""An image is never corrupt, whenever its writer dies: at worst clusters leak, and what was flushed is there.

A crash is played after each request that reached the file: of the process (all requests before count) and of the host
(those since the last barrier count in part and in any order).
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.support.qcow2_images import check_bytes, image_bytes, open_image
from tests.support.recording_file import RecordingFile, Request, power_loss, prefix

from varan.block import request
from varan.block.base import Write

SECTOR = 512


class Expected:
    """Which content each sector may have: what was flushed last, or anything written since."""

    def __init__(self, content: bytes) -> None:
        self._sectors = [{content[at : at + SECTOR]} for at in range(0, len(content), SECTOR)]
        self._now = bytearray(content)

    def wrote(self, offset: int, data: bytes) -> None:
        self._now[offset : offset + len(data)] = data
        for at in range(offset, offset + len(data), SECTOR):
            self._sectors[at // SECTOR].add(bytes(self._now[at : at + SECTOR]))

    def flushed(self) -> None:
        self._sectors = [{bytes(self._now[at : at + SECTOR])} for at in range(0, len(self._now), SECTOR)]

    def frozen(self) -> list[frozenset[bytes]]:
        return [frozenset(sector) for sector in self._sectors]


async def work(node: object, file: RecordingFile, chance: random.Random, size: int, start: bytes) -> None:
    """Random requests; notes in the log say before each which content is acceptable from then on."""
    expected = Expected(start)
    for _ in range(40):
        length = min(chance.choice([1, 3, 8, 40, 100]) * SECTOR, size)
        offset = chance.randrange(0, size - length + 1, SECTOR)
        what = chance.random()
        if what < 0.55:
            data = chance.randbytes(length)
            expected.wrote(offset, data)
            file.note(expected.frozen())
            await request.write_bytes(node, offset, data)  # type: ignore[arg-type]
        elif what < 0.8:
            expected.wrote(offset, bytes(length))
            file.note(expected.frozen())
            flags = chance.choice([Write.NONE, Write.MAY_UNMAP])
            await request.zero(node, offset, length, flags)  # type: ignore[arg-type]
        else:
            await node.flush()  # type: ignore[attr-defined]
            expected.flushed()
            file.note(expected.frozen())


async def assert_sound(content: bytearray, acceptable: list[frozenset[bytes]], backing: RecordingFile | None) -> None:
    report = await check_bytes(content)
    assert report.corruptions == 0 and report.check_errors == 0, report.messages
    node = await open_image(RecordingFile(bytes(content)), backing=backing, read_only=True)
    data = await request.read_bytes(node, 0, node.length)
    for index, allowed in enumerate(acceptable):
        assert data[index * SECTOR : (index + 1) * SECTOR] in allowed, f"sector {index}"


def acceptable_at(log: list[Request], count: int, start: list[frozenset[bytes]]) -> list[frozenset[bytes]]:
    """The last note before the crash."""
    for entry in reversed(log[:count]):
        if entry.note is not None:
            return entry.note  # type: ignore[return-value]
    return start


CASES = {
    "plain": {"cluster_size": "4096"},
    "tiny clusters": {"cluster_size": "512", "refcount_bits": "64"},
    "one-bit counts": {"cluster_size": "1024", "refcount_bits": "1"},
    "subclusters": {"cluster_size": "16384", "extended_l2": "on"},
    "preallocated": {"cluster_size": "4096", "preallocation": "metadata"},
    "version 2": {"cluster_size": "4096", "compat": "0.10"},
}


@pytest.mark.parametrize("cache", [1 << 20, 1], ids=["roomy cache", "tiny cache"])
@pytest.mark.parametrize(
    ("case", "with_backing"),
    [(case, backing) for case in CASES for backing in (False, True) if case != "preallocated" or not backing],
)
async def test_crash_at_every_request_leaves_a_sound_image(
    tmp_path: Path, case: str, with_backing: bool, cache: int
) -> None:
    size = 256 << 10
    chance = random.Random(f"{case} {with_backing} {cache}")
    start = await image_bytes(tmp_path, size, **CASES[case])
    backing = RecordingFile(chance.randbytes(size // 2 + SECTOR)) if with_backing else None
    content = bytes(backing.disk.content).ljust(size, b"\0") if backing is not None else bytes(size)
    file = RecordingFile(start)
    node = await open_image(file, backing=backing, **{"l2-cache-size": cache, "refcount-cache-size": cache})
    await work(node, file, chance, size, content)
    await node.close()
    at_first = Expected(content).frozen()
    for count in range(len(file.log) + 1):
        if count and file.log[count - 1].note is not None:
            continue
        acceptable = acceptable_at(file.log, count, at_first)
        await assert_sound(prefix(start, file.log, count), acceptable, backing)
        await assert_sound(power_loss(start, file.log, count, chance), acceptable, backing)
    report = await check_bytes(file.disk.content)
    assert (report.corruptions, report.leaks) == (0, 0), report.messages


async def test_crash_while_the_refcount_table_moves_leaves_a_sound_image(tmp_path: Path) -> None:
    size = 4 << 20
    start = await image_bytes(tmp_path, size, cluster_size="512", refcount_bits="64")
    file = RecordingFile(start)
    node = await open_image(file)
    before = node.metadata.header.refcount_table_offset
    data = random.Random(1).randbytes(64 << 10)
    for at in range(0, size, len(data)):
        await request.write_bytes(node, at, data)
        if at % (1 << 20) == 0:
            await node.flush()
    await node.close()
    assert node.metadata.header.refcount_table_offset != before
    chance = random.Random(2)
    for count in sorted(chance.sample(range(len(file.log) + 1), 60)):
        for content in (prefix(start, file.log, count), power_loss(start, file.log, count, chance)):
            report = await check_bytes(content)
            assert report.corruptions == 0 and report.check_errors == 0, report.messages
    report = await check_bytes(file.disk.content)
    assert (report.corruptions, report.leaks) == (0, 0), report.messages


async def test_failing_writes_leave_a_sound_image_that_goes_on_working(tmp_path: Path) -> None:
    size = 1 << 20
    start = await image_bytes(tmp_path, size, cluster_size="4096")
    for good in range(0, 40, 3):
        file = RecordingFile(start)
        node = await open_image(file)
        file.fail_writes_after = good
        failed = 0
        for at in range(0, size, 100 << 10):
            try:
                await request.write_bytes(node, at, b"\x11" * 3000)
                await node.flush()
            except request.BlockError:
                failed += 1
        file.fail_writes_after = None
        assert (await check_bytes(file.disk.content)).corruptions == 0
        await request.write_bytes(node, 0, b"\x22" * size)
        await node.close()
        report = await check_bytes(file.disk.content)
        assert (report.corruptions, report.leaks) == (0, 0), (good, failed, report.messages)
        again = await open_image(RecordingFile(bytes(file.disk.content)), read_only=True)
        assert await request.read_bytes(again, 0, size) == b"\x22" * size
