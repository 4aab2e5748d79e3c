"""A program whose guests write to two disks for ever while snapshots, transactions or dirty bitmaps happen to them.

Arguments: a directory with top0.qcow2 and top1.qcow2, a seed of its choices, and what happens: "snapshots",
"transactions", "internal snapshots", "bitmaps" or "backups". Each line begins with the number of a disk. It says what
it writes and has flushed, with the image that the disk uses; "kept NAME" after a snapshot inside of the image, of which
nothing was under way; "recording IMAGE" when the bitmap "b" of that image records everything that follows, "closing"
before it is put away. It is meant to be killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import sys
from pathlib import Path

from varan.api.values import BitmapSyncMode, MirrorSyncMode
from varan.block import bitmaps, rewire
from varan.block.backend import BlockBackend
from varan.block.formats.qcow2.node import Qcow2Node
from varan.block.graph import Graph
from varan.block.jobs.starting import JobOptions, JobStarter
from varan.block.request import unfiltered
from varan.block.transactions.abort import Abort
from varan.block.transactions.backups import BackupToFile
from varan.block.transactions.change import Action
from varan.block.transactions.external import NewOverlay
from varan.block.transactions.internal import KeepInside, delete
from varan.block.transactions.marks import AddBitmap, ClearBitmap, DisableBitmap, EnableBitmap, RemoveBitmap
from varan.block.transactions.running import run
from varan.errors import GenericError
from varan.jobs.manager import JobManager

SECTOR = 512
MOST = 12
"""Overlays of a disk, and snapshots in an image."""


def say(*words: object) -> None:
    """One line, in one write: what is killed between two lines has said the first."""
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


class Disk:
    """A disk and its guest."""

    def __init__(self, number: int, backend: BlockBackend, chance: random.Random) -> None:
        self.number = number
        self.name = f"disk{number}"
        self.backend = backend
        self.count = 0
        self.kept: list[str] = []
        self.turn = asyncio.Lock()
        """Held from before a request is said to after it is done."""
        self._chance = chance

    @property
    def image(self) -> Qcow2Node:
        assert self.backend.node is not None
        image = unfiltered(self.backend.node)
        assert isinstance(image, Qcow2Node)
        return image

    async def write_for_ever(self) -> None:
        """The guest."""
        while True:
            async with self.turn:
                await self._write()
            await asyncio.sleep(0.0005)

    async def put_away(self, graph: Graph) -> None:
        """Store what the image has to store, and take it out again."""
        async with self.turn:
            await self.backend.detach()
            async with rewire.quiet(graph, self.image):
                await rewire.reopen(graph, self.image, read_only=True)
                await rewire.reopen(graph, self.image, read_only=False)
            self.backend.attach(f"device '{self.name}'", write=True)

    async def _write(self) -> None:
        chance, backend = self._chance, self.backend
        length = chance.choice([1, 2, 7, 8, 16, 64, 200]) * SECTOR
        offset = chance.randrange(0, backend.length - length + 1, SECTOR)
        value = chance.randrange(1, 256) if chance.random() < 0.8 else 0
        say(self.number, "write", offset, length, value)
        if value:
            await backend.write(offset, [memoryview(bytes([value]) * length)])
        else:
            await backend.write_zeroes(offset, length, unmap=True)
        if chance.random() < 0.2:
            await backend.flush()
            say(self.number, "flushed", self.image.filename)


class Monitor:
    """What happens to the disks."""

    def __init__(self, directory: Path, starter: JobStarter, disks: list[Disk], chance: random.Random) -> None:
        self._directory = directory
        self._starter = starter
        self._disks = disks
        self._chance = chance

    def _overlay(self, disk: Disk) -> NewOverlay:
        disk.count += 1
        return NewOverlay(str(self._directory / f"{disk.name}-{disk.count}.qcow2"), device=disk.name)

    async def _run(self, *actions: Action) -> None:
        try:
            await run(self._starter, *actions)
        except GenericError as error:
            if "Abort action" not in str(error):
                raise

    async def snapshots(self) -> None:
        """One disk changes over to a new image."""
        disk = self._chance.choice(self._disks)
        if disk.count < MOST:
            await self._run(self._overlay(disk))

    async def transactions(self) -> None:
        """Both do, or neither."""
        if any(disk.count >= MOST for disk in self._disks):
            return
        actions: list[Action] = [self._overlay(disk) for disk in self._disks]
        actions.append(KeepInside("disk0", f"s{self._chance.random()}", lambda: 0))
        actions.append(AddBitmap("disk1", f"b{self._chance.random()}", persistent=True))
        self._chance.shuffle(actions)
        if self._chance.random() < 0.5:
            actions.append(Abort())
        await self._run(*actions)

    async def internal_snapshots(self) -> None:
        """A snapshot comes, or goes."""
        disk = self._chance.choice(self._disks)
        if disk.kept and (len(disk.kept) >= MOST or self._chance.random() < 0.4):
            name = disk.kept.pop(self._chance.randrange(len(disk.kept)))
            say(disk.number, "dropping", name)
            await delete(self._starter, disk.name, None, name)
            return
        async with disk.turn:
            name = f"s{self._chance.random()}"
            await self._run(KeepInside(disk.name, name, lambda: 0))
            say(disk.number, "kept", name)
            disk.kept.append(name)

    async def bitmaps(self) -> None:
        """Bitmaps come, change and go; an image is put away with its bitmaps, and when an overlay takes its place."""
        disk, chance = self._chance.choice(self._disks), self._chance
        if not bitmaps.is_taken(disk.image, "b"):
            async with disk.turn:
                await self._run(AddBitmap(disk.name, "b", granularity=4096, persistent=True))
                say(disk.number, "recording", disk.image.filename)
        elif chance.random() < 0.3:
            await disk.put_away(self._starter.graph)
        elif chance.random() < 0.3 and disk.count < MOST:
            async with disk.turn:
                say(disk.number, "closing")
                await self._run(self._overlay(disk))
        else:
            name = f"o{chance.randrange(3)}"
            if not bitmaps.is_taken(disk.image, name):
                await self._run(AddBitmap(disk.name, name, granularity=65536, persistent=True))
            kind = chance.choice([ClearBitmap, EnableBitmap, DisableBitmap, RemoveBitmap])
            await self._run(kind(disk.name, name))

    async def backups(self) -> None:
        """Incremental backups of both disks begin at one moment and end together."""
        starter, chance = self._starter, self._chance
        for disk in self._disks:
            if not bitmaps.is_taken(disk.image, "b"):
                await self._run(AddBitmap(disk.name, "b", persistent=True))
        actions = []
        for disk in self._disks:
            disk.count += 1
            actions.append(
                BackupToFile(
                    disk.name,
                    str(self._directory / f"backup{disk.count % 3}-{disk.number}"),
                    MirrorSyncMode.BITMAP,
                    JobOptions(speed=chance.choice([0, 2 << 20])),
                    bitmap="b",
                    bitmap_mode=chance.choice(list(BitmapSyncMode)),
                )
            )
        await run(starter, *actions, grouped=True)
        while jobs := list(starter.manager.jobs.values()):
            if chance.random() < 0.02:
                with contextlib.suppress(GenericError):
                    starter.manager.cancel(jobs[0], force=True)
            await asyncio.sleep(0.001)


async def work(directory: Path, chance: random.Random, what: str) -> None:
    """Until killed."""
    graph = Graph()
    disks = []
    for number in range(2):
        source = {"driver": "qcow2", "file.filename": str(directory / f"top{number}.qcow2")}
        node = await graph.open(source, user=None)
        backend = BlockBackend(graph, f"disk{number}", node)
        backend.keep()
        graph.disown(node)
        backend.attach(f"device 'vd{number}'", write=True)
        disks.append(Disk(number, backend, random.Random(chance.random())))
    backends = {disk.name: disk.backend for disk in disks}
    monitor = Monitor(directory, JobStarter(graph, backends, JobManager(lambda event: None)), disks, chance)
    guests = [asyncio.create_task(disk.write_for_ever()) for disk in disks]
    happen = getattr(monitor, what.replace(" ", "_"))
    while not any(guest.done() for guest in guests):
        await happen()
        await asyncio.sleep(chance.random() * 0.02)
    await asyncio.gather(*guests)


if __name__ == "__main__":
    asyncio.run(work(Path(sys.argv[1]), random.Random(sys.argv[2]), sys.argv[3]))
