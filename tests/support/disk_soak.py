"""A driver of a virtio disk whose images fail, in a machine that stops for it and goes on, while jobs work on the disk.

`DiskSoak` is guest, faults, operator and jobs in one, all by chance from one seed; it keeps a model of what the disk
must hold. Sectors that a request with an error left in doubt (reported, ignored, or cut off by a reset) are not
compared until they are written again.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.job_bench import make_chain
from tests.support.virtio_driver import Buffers, CountingTransport, GuestMemory, chain, start
from varan.api.events import Event
from varan.api.values import BlockdevOnError, BlockErrorAction, JobStatus, MirrorSyncMode
from varan.block import create
from varan.block.backend import BlockBackend
from varan.block.base import BlockError, Node
from varan.block.errorpolicy import ErrorPolicy
from varan.block.filters.blkdebug import BlkdebugNode
from varan.block.filters.rules import Effect
from varan.block.graph import Graph
from varan.block.jobs.starting import JobOptions, JobStarter
from varan.block.request import read_bytes
from varan.core.state import decode, encode
from varan.devices.virtio import blk_layout as b
from varan.devices.virtio.blk import BlkState, VirtioBlk
from varan.devices.virtio.features import RING_EVENT_IDX, RING_INDIRECT_DESC, RING_PACKED
from varan.errors import VaranError
from varan.jobs.manager import JobManager

SECTOR = b.SECTOR
SIZE = 1 << 20
SECTORS = SIZE // SECTOR
QUEUES, DEPTH = 2, 6
CHAIN = ["base.raw", "mid.qcow2", "top.qcow2"]
NAME = "disk0"
_IO_TYPES = ("read", "write", "write", "write-zeroes", "flush", "discard")
_ERRNOS = (5, 28)


@dataclass
class Asked:
    """A request that has not come back."""

    kind: int
    first: int
    count: int
    value: int = 0
    doubtful: bool = False
    """Something went wrong that its answer does not tell."""


def faulty(path: Path) -> dict[str, Any]:
    """A file whose requests can be made to fail."""
    return {"driver": "blkdebug", "image.filename": str(path)}


class DiskSoak:
    """See the module's text."""

    def __init__(self, directory: Path, seed: int) -> None:
        self.directory = directory
        self.chance = chance = random.Random(seed)
        self.features = RING_INDIRECT_DESC | RING_EVENT_IDX | b.F_DISCARD | b.F_WRITE_ZEROES | b.F_CONFIG_WCE
        self.features |= RING_PACKED if chance.random() < 0.5 else 0
        often_stop = [BlockdevOnError.STOP] * 4
        self.policy = ErrorPolicy(
            chance.choice([*often_stop, BlockdevOnError.REPORT, BlockdevOnError.IGNORE]),
            chance.choice([*often_stop, BlockdevOnError.REPORT, BlockdevOnError.IGNORE, BlockdevOnError.ENOSPC]),
        )
        self.graph = Graph()
        self.events: list[Event] = []
        self.manager = JobManager(self.events.append)
        self.lock = threading.RLock()
        self.memory = GuestMemory(64 << 20)
        self.content = bytearray()
        self.unknown: set[int] = set()
        self.asked: dict[int, tuple[Buffers, Asked]] = {}
        self.stopped = False
        self.counts = dict.fromkeys(("answered", "stops", "reported", "ignored", "jobs", "loads", "resets"), 0)
        self.targets = 0
        self.backend: BlockBackend
        self.device: VirtioBlk

    async def open(self) -> None:
        """Make images and disk."""
        self.content = bytearray(await make_chain(self.directory, CHAIN, size=SIZE))
        base, mid, top = (self.directory / name for name in CHAIN)
        source = {
            "driver": "qcow2",
            "discard": "unmap",
            "file": faulty(top),
            "backing": {
                "driver": "qcow2",
                "file": faulty(mid),
                "backing": {"driver": "raw", "file": faulty(base)},
            },
        }
        node = await self.graph.open(source, user=None)
        self.backend = BlockBackend(self.graph, NAME, node)
        self.backend.keep()
        self.graph.disown(node)
        self.backend.policy = self.policy
        self.backend.on_error = self._failed
        self.backend.lock = self.lock
        self.backend.attach("the guest", write=True)
        self.starter = JobStarter(self.graph, {NAME: self.backend}, self.manager)
        self._make_device()
        self._start_driver()

    def _make_device(self) -> None:
        loop = asyncio.get_running_loop()

        def post(work: Any) -> None:
            loop.call_soon_threadsafe(work)

        self.device = VirtioBlk(
            self.memory.space,
            self.backend,
            lock=self.lock,
            post=post,
            shape=b.DiskShape(),
            features=self.features,
            queues=QUEUES,
            queue_size=16,
        )
        self.device.transport = CountingTransport()
        self.device.inline = self.chance.random() < 0.5

    def _start_driver(self) -> None:
        self.queues = start(self.device, self.memory, self.device.offered, 16)

    def _failed(self, backend: BlockBackend, error: BlockError, is_read: bool, action: BlockErrorAction) -> None:
        if action is BlockErrorAction.STOP:
            self.counts["stops"] += 1
            self.stopped = True
        elif action is BlockErrorAction.IGNORE:
            self.counts["ignored"] += 1
            for _, asked in self.asked.values():
                asked.doubtful |= (asked.kind == b.T_IN) == is_read

    # The guest

    def ask(self) -> None:
        """One request that touches nothing that others under way do."""
        chance = self.chance
        kind = chance.choice([b.T_IN, b.T_OUT, b.T_OUT, b.T_OUT, b.T_WRITE_ZEROES, b.T_DISCARD, b.T_FLUSH])
        count = chance.choice([1, 1, 2, 8, 8, 31])
        first = chance.randrange(SECTORS - count + 1)
        if kind == b.T_FLUSH:
            first = count = 0
        for _, other in self.asked.values():
            if first < other.first + other.count and other.first < first + count:
                return
        asked = Asked(kind, first, count, chance.randrange(1, 256))
        header = struct.pack("<IIQ", kind, 0, 0 if kind in (b.T_WRITE_ZEROES, b.T_DISCARD) else first)
        data = b""
        if kind == b.T_OUT:
            data = bytes([asked.value]) * (count * SECTOR)
        elif kind in (b.T_WRITE_ZEROES, b.T_DISCARD):
            data = struct.pack("<QII", first, count, chance.randrange(2) if kind == b.T_WRITE_ZEROES else 0)
        answer = [count * SECTOR, 1] if kind == b.T_IN else [1]
        buffers = chain(self.memory, [header, data] if data else [header], answer)
        number = chance.randrange(QUEUES)
        if self.queues[number].add(buffers, indirect=True):
            self.asked[id(buffers)] = buffers, asked
            self.device.kick(number)

    def collect(self) -> None:
        """Look at what has come back."""
        for queue in self.queues:
            for buffers, _ in queue.collect():
                # A request that comes back twice is not there the second time.
                _, asked = self.asked.pop(id(buffers))
                self.counts["answered"] += 1
                answer = buffers.answer(self.memory)
                self._check(asked, answer[-1], answer[:-1])

    def _check(self, asked: Asked, status: int, data: bytes) -> None:
        sectors = range(asked.first, asked.first + asked.count)
        allowed = self.policy.read if asked.kind == b.T_IN else self.policy.write
        if status != b.S_OK:
            self.counts["reported"] += 1
            assert allowed in (BlockdevOnError.REPORT, BlockdevOnError.ENOSPC), (asked, status)
        if asked.kind == b.T_IN:
            for at, sector in enumerate(sectors):
                if status == b.S_OK and not asked.doubtful and sector not in self.unknown:
                    found = data[at * SECTOR : (at + 1) * SECTOR]
                    assert found == self.content[sector * SECTOR : (sector + 1) * SECTOR], f"sector {sector}"
        elif status != b.S_OK or asked.doubtful or asked.kind == b.T_DISCARD:
            self.unknown.update(sectors)
        elif asked.kind in (b.T_OUT, b.T_WRITE_ZEROES):
            value = asked.value if asked.kind == b.T_OUT else 0
            self.content[asked.first * SECTOR : (asked.first + asked.count) * SECTOR] = bytes([value]) * (
                asked.count * SECTOR
            )
            self.unknown.difference_update(sectors)

    # Who looks after the machine

    def plant(self) -> None:
        """Some request to some image is going to fail."""
        nodes = [node for node in self.graph.nodes.values() if isinstance(node, BlkdebugNode)]
        rules = self.chance.choice(nodes).rules
        types = frozenset({self.chance.choice(_IO_TYPES)})
        effect = Effect("none", types=types, once=True, errno=self.chance.choice(_ERRNOS))
        rules.effects.append(effect)
        rules.armed.append(effect)

    def mend(self) -> None:
        """Nothing fails any more."""
        for node in self.graph.nodes.values():
            if isinstance(node, BlkdebugNode):
                node.rules.effects.clear()
                node.rules.armed.clear()

    async def go_on(self) -> None:
        """`cont`, perhaps by another device that has this one's state."""
        if self.stopped and self.chance.random() < 0.3:
            await self.backend.drain()
            saved = decode(BlkState, encode(self.device.save()))
            self.collect()
            old = self.device
            old.forget_memory()
            self._make_device()
            self.device.load(saved)
            self.counts["loads"] += 1
        self.stopped = False
        self.backend.retry()

    async def reset(self) -> None:
        """The guest starts anew: what it had asked may have been done or not."""
        self.device.set_status(0)
        async with asyncio.timeout(20):
            while self.device.status:
                await asyncio.sleep(0)
        for _, asked in self.asked.values():
            if asked.kind not in (b.T_IN, b.T_FLUSH):
                self.unknown.update(range(asked.first, asked.first + asked.count))
        self.asked.clear()
        self._start_driver()
        self.counts["resets"] += 1

    # Jobs

    async def meddle(self) -> None:
        """Begin a job, or do something to the one there is."""
        chance = self.chance
        job: Any = self.manager.jobs.get(NAME)
        with contextlib.suppress(VaranError):
            if job is None:
                await self._begin()
                self.counts["jobs"] += 1
            elif job.state.status is JobStatus.READY and chance.random() < 0.5:
                self.manager.complete(job)
            elif job.state.user_paused:
                self.manager.resume(job)
            elif chance.random() < 0.2:
                self.manager.cancel(job, force=chance.random() < 0.5)
            elif chance.random() < 0.2:
                self.manager.pause(job)

    async def _begin(self) -> None:
        chance = self.chance
        policies = [BlockdevOnError.STOP, BlockdevOnError.REPORT, BlockdevOnError.IGNORE, BlockdevOnError.ENOSPC]
        options = JobOptions(
            speed=chance.choice([0, 0, 4 << 20]),
            on_source_error=chance.choice(policies),
            on_target_error=chance.choice(policies),
        )
        kind = chance.choice(["stream", "commit", "commit", "mirror", "blocking", "backup"])
        if kind == "stream":
            await self.starter.stream(NAME, options)
        elif kind == "commit":
            await self.starter.commit(NAME, options)
        else:
            target = await self._target()
            if kind == "backup":
                await self.starter.backup(NAME, target, MirrorSyncMode.FULL, options)
            else:
                full = MirrorSyncMode.FULL
                await self.starter.mirror(NAME, target, full, options, write_blocking=kind == "blocking")

    async def _target(self) -> Node:
        self.targets += 1
        path = self.directory / f"target{self.targets}.qcow2"
        await create(str(path), SIZE, format="qcow2")
        source = {"driver": "qcow2", "discard": "unmap", "file": faulty(path)}
        node = await self.graph.open(source, user=None)
        self.graph.disown(node)
        return node

    # The whole

    async def run(self, turns: int) -> None:
        """So many turns, and then everything comes to its end."""
        chance = self.chance
        for _ in range(turns):
            self.collect()
            if not self.stopped and len(self.asked) < DEPTH:
                self.ask()
            what = chance.random()
            if what < 0.06:
                self.plant()
            elif what < 0.12:
                await self.meddle()
            elif what < 0.125:
                await self.reset()
            elif self.stopped and what < 0.3:
                if chance.random() < 0.3:
                    self.mend()
                await self.go_on()
            await asyncio.sleep(chance.choice([0, 0, 0, 0.001]))
        await self._finish()

    async def _finish(self) -> None:
        async with asyncio.timeout(60):
            while self.asked or self.manager.jobs:
                self.mend()
                if self.stopped:
                    await self.go_on()
                for number in range(QUEUES):
                    self.device.kick(number)
                self.collect()
                job: Any = self.manager.jobs.get(NAME)
                if job is not None:
                    with contextlib.suppress(VaranError):
                        if job.state.user_paused:
                            self.manager.resume(job)
                        elif job.state.status is JobStatus.READY:
                            self.manager.complete(job)
                        else:
                            job.set_speed(0)
                await asyncio.sleep(0.001)

    async def close(self) -> str:
        """Compare the disk with the model, and close it; the name of the image it ended with."""
        root = self.backend.node
        assert root is not None
        self.compare(await read_bytes(root, 0, SIZE))
        name = next(
            str(path)
            for path in self.directory.iterdir()
            if str(path) in root.children["file"].node.filename or str(path) == root.filename
        )
        self.device.forget_memory()
        await self.backend.detach()
        await self.backend.close()
        await self.graph.close_all()
        return name

    def compare(self, found: bytes) -> None:
        """Every sector that is not in doubt is what was last written there."""
        for sector in range(SECTORS):
            if sector not in self.unknown:
                at = sector * SECTOR
                assert found[at : at + SECTOR] == self.content[at : at + SECTOR], f"sector {sector}"
