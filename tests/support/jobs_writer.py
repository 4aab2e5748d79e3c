"""A program that writes to a disk for ever while a job works on it, and says what it writes and has flushed.

Arguments: a directory with the chain base.raw, mid.qcow2, top.qcow2, a seed of its choices, and the job:
"stream", "stream over a base", "commit", "commit of the top", "mirror", "blocking mirror", "backup". With each flush
it says which image the device uses. It is meant to be killed.
"""

from __future__ import annotations

import asyncio
import os
import random
import sys
from pathlib import Path
from typing import Any

from varan.api.values import JobStatus, MirrorSyncMode
from varan.block.backend import BlockBackend
from varan.block.graph import Graph
from varan.block.jobs.starting import JobOptions, JobStarter
from varan.jobs.manager import JobManager

SECTOR = 512


def say(*words: object) -> None:
    """One line, in one write: what is killed between two lines has said the first."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


async def write_for_ever(backend: BlockBackend, chance: random.Random) -> None:
    """The guest."""
    while True:
        length = chance.choice([1, 2, 7, 8, 16, 64, 200]) * SECTOR
        offset = chance.randrange(0, backend.length - length + 1, SECTOR)
        value = chance.randrange(1, 256) if chance.random() < 0.8 else 0
        say("write", offset, length, value)
        if value:
            await backend.write(offset, [memoryview(bytes([value]) * length)])
        else:
            await backend.write_zeroes(offset, length, unmap=True)
        if chance.random() < 0.2:
            await backend.flush()
            assert backend.node is not None
            say("flushed", backend.node.filename)
        await asyncio.sleep(0.0005)


async def start(starter: JobStarter, job: str, directory: Path, chance: random.Random) -> None:
    """Begin the job."""
    options = JobOptions(speed=chance.choice([0, 2 << 20, 8 << 20]))
    if job.startswith("stream"):
        await starter.stream("disk0", options, base="base.raw" if job.endswith("base") else None)
    elif job.startswith("commit"):
        await starter.commit("disk0", options, top=None if job.endswith("top") else "mid.qcow2")
    else:
        path = str(directory / "target.qcow2")
        sync = chance.choice([MirrorSyncMode.FULL, MirrorSyncMode.TOP])
        async with starter.target("disk0", path, "qcow2", sync, existing=False) as target:
            if job == "backup":
                await starter.backup("disk0", target, sync, options)
            else:
                blocking = job.startswith("blocking")
                await starter.mirror("disk0", target, sync, options, write_blocking=blocking)


async def work(directory: Path, chance: random.Random, job: str) -> None:
    """Until killed."""
    graph = Graph()
    node = await graph.open({"driver": "qcow2", "file.filename": str(directory / "top.qcow2")}, user=None)
    backend = BlockBackend(graph, "disk0", node)
    backend.keep()
    graph.disown(node)
    backend.attach("device 'vda'", write=True)
    manager = JobManager(lambda event: None)
    guest = asyncio.create_task(write_for_ever(backend, chance))
    await start(JobStarter(graph, {"disk0": backend}, manager), job, directory, chance)
    while not guest.done():
        running: Any = manager.jobs.get("disk0")
        if running is not None and running.state.status is JobStatus.READY and not running.completing:
            await asyncio.sleep(chance.random() * 0.02)
            if running.state.status is JobStatus.READY:
                manager.complete(running)
        await asyncio.sleep(0.001)
    await guest


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), random.Random(sys.argv[2]), sys.argv[3]))
