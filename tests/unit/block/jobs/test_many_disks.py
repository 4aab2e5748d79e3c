"""Sixteen disks that guests write to, each with a job at work, or in a snapshot, at moments that nobody chose."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.support.job_bench import SIZE, Writer, content_of, make_chain
from tests.unit.block.jobs.test_random_moments import assert_sound, faulty

from varan.api.events import BlockJobCompleted, Event
from varan.api.values import BitmapSyncMode, BlockdevOnError, JobStatus, MirrorSyncMode
from varan.block import bitmaps
from varan.block.backend import BlockBackend
from varan.block.graph import Graph
from varan.block.jobs.base import BlockJob
from varan.block.jobs.starting import JobOptions, JobStarter
from varan.block.transactions.abort import Abort
from varan.block.transactions.backups import BackupToFile
from varan.block.transactions.change import Action
from varan.block.transactions.external import NewOverlay
from varan.block.transactions.internal import KeepInside
from varan.block.transactions.marks import AddBitmap
from varan.block.transactions.running import run
from varan.errors import GenericError, VaranError
from varan.jobs.manager import JobManager

DISKS = 16
CHAIN = ["base.raw", "mid.qcow2", "top.qcow2"]
POLICIES = [BlockdevOnError.REPORT, BlockdevOnError.STOP, BlockdevOnError.IGNORE, BlockdevOnError.ENOSPC]
KINDS = ["stream", "commit", "commit of the top", "mirror", "backup"]
ROUNDS = 3
"""Jobs that each disk has."""


class Disk:
    """One of them, with its guest."""

    def __init__(self, name: str, directory: Path, backend: BlockBackend, writer: Writer) -> None:
        self.name = name
        self.directory = directory
        self.backend = backend
        self.writer = writer
        self.count = 0

    def path(self, kind: str) -> str:
        """A file that is not there yet."""
        self.count += 1
        return str(self.directory / f"{kind}{self.count}.qcow2")


class Machine:
    """All of them."""

    def __init__(self, seed: str) -> None:
        self.graph = Graph()
        self.chance = random.Random(seed)
        self.disks: dict[str, Disk] = {}
        self.backends: dict[str, BlockBackend] = {}
        self.events: list[Event] = []
        self.starter = JobStarter(self.graph, self.backends, JobManager(self.events.append))

    async def add(self, name: str, directory: Path) -> None:
        """A disk of three images, of which the lowest fails at some places once."""
        directory.mkdir()
        content = await make_chain(directory, CHAIN, seed=len(self.disks))
        sectors = [self.chance.randrange(SIZE // 512) for _ in range(3)]
        base = {"driver": "raw", "file": faulty(str(directory / "base.raw"), sectors, "read", "write")}
        mid = {"driver": "qcow2", "file.filename": str(directory / "mid.qcow2"), "backing": base}
        top = {"driver": "qcow2", "file.filename": str(directory / "top.qcow2"), "backing": mid}
        node = await self.graph.open(top, user=None)
        backend = self.backends[name] = BlockBackend(self.graph, name, node)
        backend.keep()
        self.graph.disown(node)
        backend.attach(f"device '{name}'", write=True)
        self.disks[name] = Disk(name, directory, backend, Writer(backend, content, random.Random(name)))

    async def begin(self, disk: Disk) -> None:
        """Some job of a disk."""
        chance, starter = self.chance, self.starter
        options = JobOptions(speed=chance.choice([0, 2 << 20, 16 << 20]))
        options = replace(options, on_source_error=chance.choice(POLICIES), on_target_error=chance.choice(POLICIES))
        kind = chance.choice(KINDS)
        if kind == "stream":
            await starter.stream(disk.name, options)
        elif kind.startswith("commit"):
            images = disk.backend.node
            assert images is not None
            below = images.children.get("backing")
            if below is None:
                return
            await starter.commit(disk.name, options, top=None if kind.endswith("top") else below.node.filename)
        else:
            path = disk.path(kind)
            async with starter.target(disk.name, path, "qcow2", MirrorSyncMode.FULL, existing=False) as target:
                if kind == "mirror":
                    blocking = chance.random() < 0.5
                    await starter.mirror(disk.name, target, MirrorSyncMode.FULL, options, write_blocking=blocking)
                else:
                    await starter.backup(disk.name, target, MirrorSyncMode.FULL, options)

    async def together(self) -> None:
        """A transaction over disks without jobs, which may fail."""
        chance = self.chance
        free = [disk for disk in self.disks.values() if disk.name not in self.starter.manager.jobs]
        actions: list[Action] = []
        for disk in chance.sample(free, min(len(free), 5)):
            name = f"n{chance.random()}"
            actions += chance.sample(
                [
                    KeepInside(disk.name, name, lambda: 0),
                    AddBitmap(disk.name, name, persistent=chance.random() < 0.5),
                    NewOverlay(disk.path("over"), device=disk.name),
                ],
                2,
            )
            if chance.random() < 0.5:
                actions.append(
                    BackupToFile(disk.name, disk.path("backup"), MirrorSyncMode.FULL, JobOptions(speed=16 << 20))
                )
        if chance.random() < 0.3:
            actions.append(Abort())
        with contextlib.suppress(VaranError):
            await run(self.starter, *actions)

    def bother(self, job: BlockJob, *, over: bool) -> None:
        """Ask something of a job; `over`: it is to end."""
        manager, chance = self.starter.manager, self.chance
        what = "fast" if over else chance.choice(["pause", "resume", "cancel", "force", "slow", "fast", "complete"])
        with contextlib.suppress(GenericError):
            if what in ("cancel", "force"):
                manager.cancel(job, force=what == "force")
            elif what in ("slow", "fast"):
                job.set_speed(1 << 20 if what == "slow" else 0)
            else:
                getattr(manager, what)(job)
        if over:
            with contextlib.suppress(GenericError):
                manager.resume(job)
            if job.state.status is JobStatus.READY:
                manager.complete(job)

    async def idle(self) -> None:
        """Every job ends."""
        async with asyncio.timeout(60):
            while jobs := list(self.starter.manager.jobs.values()):
                for job in jobs:
                    assert isinstance(job, BlockJob)
                    with contextlib.suppress(GenericError):
                        self.bother(job, over=True)
                await asyncio.sleep(0.005)


@asynccontextmanager
async def a_machine(directory: Path, seed: str) -> AsyncIterator[Machine]:
    machine = Machine(seed)
    for number in range(DISKS):
        await machine.add(f"d{number}", directory / f"d{number}")
    for disk in machine.disks.values():
        disk.writer.begin()
    try:
        yield machine
    finally:
        for disk in machine.disks.values():
            await disk.writer.end()
        await machine.starter.manager.close()
        for backend in machine.backends.values():
            await backend.detach()
            await backend.close()
        await machine.graph.close_all()


@pytest.mark.parametrize("seed", ["one", "two"])
async def test_sixteen_disks_with_jobs_are_as_their_guests_wrote_them(tmp_path: Path, seed: str) -> None:
    names: dict[str, str] = {}
    async with a_machine(tmp_path, seed) as machine:
        for _ in range(ROUNDS):
            for disk in machine.disks.values():
                if disk.name not in machine.starter.manager.jobs:
                    with contextlib.suppress(VaranError):
                        await machine.begin(disk)
            assert machine.starter.manager.jobs
            for _ in range(12):
                await asyncio.sleep(machine.chance.random() * 0.01)
                for job in machine.chance.sample(list(machine.starter.manager.jobs.values()), 1):
                    assert isinstance(job, BlockJob)
                    machine.bother(job, over=False)
                if not machine.starter.manager.jobs:
                    break
            await machine.together()
        await machine.idle()
        for disk in machine.disks.values():
            await disk.writer.end()
            await disk.writer.check_all()
            assert disk.backend.node is not None
            names[disk.name] = disk.backend.node.filename
        kinds = {event.type.value for event in machine.events if isinstance(event, BlockJobCompleted)}
    assert len(kinds) >= 3
    for disk in machine.disks.values():
        name = names[disk.name]
        assert await content_of(name, format=name.rpartition(".")[2]) == disk.writer.content
        for image in disk.directory.glob("*.qcow2"):
            await assert_sound(image)


@pytest.mark.parametrize("what", ["snapshots", "backups", "internal snapshots"])
async def test_a_transaction_is_one_moment_of_all_disks(tmp_path: Path, what: str) -> None:
    """A guest writes the same number to one disk after the other: no disk is ahead of one before it."""
    async with a_machine(tmp_path, what) as machine:
        disks = list(machine.disks.values())
        for disk in disks:
            await disk.writer.end()
        number = 0

        async def count() -> None:
            nonlocal number
            while True:
                number += 1
                for disk in disks:
                    await disk.backend.write(0, [memoryview(number.to_bytes(8, "little") * 64)])
                await asyncio.sleep(0)

        guest = asyncio.create_task(count())
        while number < 20:
            await asyncio.sleep(0.001)
        below: list[Any] = [disk.backend.node for disk in disks]
        actions: dict[str, list[Action]] = {
            "snapshots": [NewOverlay(disk.path("over"), device=disk.name) for disk in disks],
            "backups": [
                BackupToFile(disk.name, str(disk.directory / "copy.qcow2"), MirrorSyncMode.FULL, JobOptions())
                for disk in disks
            ],
            "internal snapshots": [KeepInside(disk.name, "s", lambda: 0) for disk in disks],
        }
        await run(machine.starter, *actions[what], grouped=what == "backups")
        seen = number
        while number < seen + 20:
            await asyncio.sleep(0.001)
        await machine.idle()
        guest.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await guest
        if what == "internal snapshots":
            from varan.block.formats.qcow2 import snapshots

            for node in below:
                await snapshots.apply(node, "s")
        kept: list[int] = []
        for disk, node in zip(disks, below, strict=True):
            if what == "backups":
                data = (await content_of(str(disk.directory / "copy.qcow2")))[:8]
            else:
                found = bytearray(8)
                await node.read(0, [memoryview(found)])
                data = bytes(found)
            kept.append(int.from_bytes(data, "little"))
    assert kept == sorted(kept, reverse=True) and kept[0] - kept[-1] <= 1 and 20 <= kept[0] <= seen


async def test_incremental_backups_of_sixteen_disks_make_up_the_disks(tmp_path: Path) -> None:
    """Bitmaps and full backups begin at one moment, incremental ones of all disks follow, also failed ones."""
    async with a_machine(tmp_path, "incremental") as machine:
        disks = list(machine.disks.values())

        def backups(sync: MirrorSyncMode, name: str, **more: Any) -> list[Action]:
            existing = sync is not MirrorSyncMode.FULL
            return [
                BackupToFile(
                    disk.name,
                    str(disk.directory / "copy.qcow2"),
                    sync,
                    JobOptions(speed=32 << 20),
                    format="qcow2",
                    existing=existing,
                    **more,
                )
                for disk in disks
            ]

        bits: list[Action] = [AddBitmap(disk.name, "since", granularity=65536) for disk in disks]
        await run(machine.starter, *bits, *backups(MirrorSyncMode.FULL, "full"))
        await machine.idle()
        mode = {"bitmap": "since", "bitmap_mode": BitmapSyncMode.ON_SUCCESS}
        for attempt in range(3):
            await run(machine.starter, *backups(MirrorSyncMode.BITMAP, "more", **mode), grouped=True)
            await asyncio.sleep(0.01)
            if attempt == 1:
                with contextlib.suppress(GenericError):
                    machine.starter.manager.cancel(machine.starter.manager.find("d5"), force=True)
            await machine.idle()
        for disk in disks:
            await disk.writer.end()
        await run(machine.starter, *backups(MirrorSyncMode.BITMAP, "last", **mode), grouped=True)
        await machine.idle()
        for disk in disks:
            assert disk.backend.node is not None
            assert (await bitmaps.find(disk.backend.node, "since")).count == 0
            assert await content_of(str(disk.directory / "copy.qcow2")) == disk.writer.content, disk.name
