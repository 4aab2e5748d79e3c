"""Limits on the rate of requests: how far ten seconds of them are from what was asked for, and how even a group is."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench.measure import Figure
from varan.block.backend import BlockBackend
from varan.block.graph import Graph
from varan.block.limiting import set_limits
from varan.block.throttle_group import ThrottleGroup

SECONDS = 10.0
LENGTH = 1 << 20


async def _load(backend: BlockBackend, size: int, depth: int) -> int:
    """Requests of `size` bytes that go in SECONDS, `depth` of them always there."""
    end, went = time.monotonic() + SECONDS, 0

    async def one() -> None:
        nonlocal went
        buffer = memoryview(bytearray(size))
        while time.monotonic() < end:
            await backend.read(0, [buffer])
            went += 1

    await asyncio.gather(*(one() for _ in range(depth)))
    return went


async def _run(
    directory: Path, limits: Mapping[str, int], group: str | None, loads: Sequence[tuple[int, int]]
) -> list[int]:
    """Requests of each of several drives with these limits; `loads`: bytes and depth."""
    graph, groups = Graph(), dict[str, ThrottleGroup]()
    backends = []
    for number in range(len(loads)):
        node = await graph.open({"driver": "raw", "file.filename": str(directory / f"{number}")}, user=None)
        backend = BlockBackend(graph, f"d{number}", node)
        backend.attach(f"device {number}", write=True)
        set_limits(groups, backend, limits, group)
        backends.append(backend)
    went = await asyncio.gather(*(_load(backend, *load) for backend, load in zip(backends, loads, strict=True)))
    for backend in backends:
        await backend.detach()
    await graph.close_all()
    return list(went)


def _off(value: float, wanted: float) -> float:
    return abs(value / SECONDS / wanted - 1) * 100


def measure() -> list[Figure]:
    """Rows for bytes, requests, and a group of two."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        for number in range(2):
            (directory / f"{number}").write_bytes(bytes(LENGTH))
        rate = 10_000_000
        (many,) = asyncio.run(_run(directory, {"bps-total": rate}, None, [(65536, 4)]))
        (few,) = asyncio.run(_run(directory, {"iops-total": 2000}, None, [(4096, 1)]))
        pair = asyncio.run(_run(directory, {"bps-total": rate}, "g", [(65536, 4), (16384, 16)]))
    moved = [pair[0] * 65536, pair[1] * 16384]
    goal = "at most 5 %"
    return [
        Figure("10 MB/s for ten seconds, off by", _off(many * 65536, rate), "%", goal),
        Figure("2000 requests per second, one at a time, off by", _off(few, 2000), "%", goal),
        Figure("two drives that share 10 MB/s, off by", _off(sum(moved), rate), "%", goal),
        Figure("the more of them has", max(moved) / sum(moved) * 100, "% of it", "50 to 55 %"),
    ]
