"""A disk that a guest goes on writing to while jobs work on it: images, a back end, a writer that checks.

The writer keeps a copy of what the disk must hold, writes records to the disk and to the copy, and compares what it
reads with the copy at every turn.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from varan.api.events import Event
from varan.block import create
from varan.block.backend import BlockBackend
from varan.block.base import BlockError, Node
from varan.block.graph import Graph
from varan.block.image import open_image
from varan.block.jobs.starting import JobOptions, JobStarter
from varan.jobs.manager import JobManager

SIZE = 4 << 20
UNIT = 512


async def again(request: Callable[[], Awaitable[None]]) -> None:
    """A guest's request, which is tried again when it fails, as a machine that stops for errors does."""
    for _ in range(20):
        try:
            await request()
            return
        except BlockError:
            continue
    await request()


class Writer:
    """The guest."""

    def __init__(self, backend: BlockBackend, content: bytes, chance: random.Random) -> None:
        self.content = bytearray(content)
        self.rounds = 0
        self._backend = backend
        self._chance = chance
        self._task: asyncio.Task[None] | None = None
        self._busy = asyncio.Lock()

    async def turn(self) -> None:
        """Write one record, and read some place."""
        async with self._busy:
            await self._turn()

    async def _turn(self) -> None:
        chance = self._chance
        length = chance.choice([1, 3, 8, 64, 128, 300]) * UNIT
        at = chance.randrange(0, len(self.content) - length + 1, UNIT)
        what = chance.random()
        if what < 0.8:
            data = chance.randbytes(16) * (length // 16)
            await again(lambda: self._backend.write(at, [memoryview(data)]))
        else:
            data = bytes(length)
            await again(lambda: self._backend.write_zeroes(at, length, unmap=what < 0.9))
        self.content[at : at + length] = data
        if what < 0.1:
            await self._backend.flush()
        await self.check(chance.randrange(0, len(self.content) - length + 1, UNIT), length)
        self.rounds += 1

    async def check(self, at: int, length: int) -> None:
        """The disk reads as it must."""
        found = bytearray(length)
        await again(lambda: self._backend.read(at, [memoryview(found)]))
        assert found == self.content[at : at + length], f"the disk has other bytes at {at}"

    async def check_all(self) -> None:
        """The whole disk does, between two turns."""
        await asyncio.sleep(0)
        async with self._busy:
            await self.check(0, len(self.content))

    def begin(self) -> None:
        """Turn after turn from now on."""

        async def go() -> None:
            while True:
                await self.turn()
                await asyncio.sleep(0.0005)

        self._task = asyncio.get_running_loop().create_task(go())

    async def end(self) -> None:
        """No more turns; raises what one raised."""
        task, self._task = self._task, None
        if task is None:
            return
        if not task.done():
            # In the middle of a write nobody would know what the disk has.
            rounds = self.rounds
            while self.rounds == rounds and not task.done():
                await asyncio.sleep(0)
            task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            pass


class Bench:
    """One disk, `disk0`, and what jobs need."""

    def __init__(self, directory: Path, graph: Graph, backend: BlockBackend, writer: Writer) -> None:
        self.directory = directory
        self.graph = graph
        self.backend = backend
        self.writer = writer
        self.events: list[Event] = []
        self.manager = JobManager(self.events.append)
        self.starter = JobStarter(graph, {"disk0": backend}, self.manager)

    @property
    def root(self) -> Node:
        assert self.backend.node is not None
        return self.backend.node

    def seen(self, name: str) -> list[Event]:
        """The events of that name so far."""
        return [event for event in self.events if name == event.NAME]

    def failure(self) -> str | None:
        """Why a job failed, if one did."""
        errors = [event.error for event in self.seen("BLOCK_JOB_COMPLETED")]  # type: ignore[attr-defined]
        return next((error for error in errors if isinstance(error, str)), None)

    async def until(self, *names: str) -> Event:
        """Wait for one of these events."""
        async with asyncio.timeout(10):
            while True:
                for event in self.events:
                    if event.NAME in names:
                        return event
                await asyncio.sleep(0.001)

    async def gone(self) -> None:
        """Wait until there is no job any more."""
        async with asyncio.timeout(10):
            while self.manager.jobs:
                await asyncio.sleep(0.001)

    def path(self, name: str) -> str:
        return str(self.directory / name)


async def content_of(path: str, **options: Any) -> bytes:
    """What an image shows to whoever opens it anew."""
    async with open_image(path, read_only=True, **options) as image:
        return await image.read(0, image.length)


async def make_chain(directory: Path, names: list[str], *, size: int = SIZE, seed: int = 1) -> bytes:
    """Images, the lowest first, each over the one before it with some content of its own; what the last one shows.

    Names end with the format.
    """
    chance = random.Random(seed)
    below: str | None = None
    for index, name in enumerate(names):
        format = name.rpartition(".")[2]
        options = {}
        if below is not None:
            options = {"backing_file": below, "backing_fmt": below.rpartition(".")[2]}
        await create(str(directory / name), size, format=format, **options)
        async with open_image(str(directory / name), format=format) as image:
            for _ in range(6):
                length = chance.randrange(1, 40) * 8192
                at = chance.randrange(0, size - length, UNIT)
                await image.write(at, bytes([chance.randrange(1, 255)]) * length)
            if index:
                await image.write_zeroes(chance.randrange(0, size - 200_000, UNIT), 1 << 17)
        below = name
    return await content_of(str(directory / names[-1]), format=names[-1].rpartition(".")[2])


@asynccontextmanager
async def a_bench(
    directory: Path, names: list[str], *, seed: int = 1, source: dict[str, Any] | None = None
) -> AsyncIterator[Bench]:
    """A bench over a new chain of images; `source` opens it in a way of its own."""
    content = await make_chain(directory, names, seed=seed)
    format = names[-1].rpartition(".")[2]
    opened = source or {"driver": format, "file.filename": str(directory / names[-1])}
    async with a_bench_again(directory, content, source=opened, seed=seed) as bench:
        yield bench


@asynccontextmanager
async def a_bench_again(
    directory: Path, content: bytes, *, seed: int = 1, source: dict[str, Any] | None = None
) -> AsyncIterator[Bench]:
    """A bench over images that are there, `top.qcow2` unless `source` says another, which shows `content`."""
    graph = Graph()
    opened = source or {"driver": "qcow2", "file.filename": str(directory / "top.qcow2")}
    node = await graph.open(opened, user=None)
    backend = BlockBackend(graph, "disk0", node)
    backend.keep()
    graph.disown(node)
    backend.attach("device 'vda'", write=True)
    bench = Bench(directory, graph, backend, Writer(backend, content, random.Random(seed)))
    try:
        yield bench
    finally:
        await bench.writer.end()
        await bench.manager.close()
        await backend.detach()
        await backend.close()
        await graph.close_all()
        assert graph.nodes == {}


OPTIONS = JobOptions()
