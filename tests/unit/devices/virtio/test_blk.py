"""The virtio block device, over images in memory and in files."""

from __future__ import annotations

import asyncio
import struct
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.virtio_driver import Buffers, CountingTransport, GuestMemory, chain, start

from varan.block.backend import BlockBackend
from varan.block.graph import Graph
from varan.block.resizing import resize
from varan.core.state import decode, encode
from varan.devices.virtio import blk_layout as b
from varan.devices.virtio.blk import BlkState, VirtioBlk
from varan.devices.virtio.device import NEEDS_RESET
from varan.devices.virtio.features import RING_EVENT_IDX, RING_INDIRECT_DESC, RING_PACKED

LENGTH = 1 << 20
OPTIONAL = b.F_DISCARD | b.F_WRITE_ZEROES | b.F_CONFIG_WCE
ALL = RING_INDIRECT_DESC | RING_EVENT_IDX | RING_PACKED | OPTIONAL


def void(value: object) -> None:
    """Nothing, whatever the value."""


class Disk:
    """A device with its driver, and an image of pseudo-random bytes."""

    def __init__(self, graph: Graph, backend: BlockBackend, **options: Any) -> None:
        self.graph, self.backend, self.options = graph, backend, options
        self.memory = GuestMemory()
        self.lock = threading.RLock()
        self.device = self.make()
        self.features = self.device.offered
        self.queues = start(self.device, self.memory, self.features, 16)

    def make(self) -> VirtioBlk:
        loop = asyncio.get_running_loop()
        options: dict[str, Any] = {"serial": "SN-1", "features": ALL} | self.options
        device = VirtioBlk(
            self.memory.space,
            self.backend,
            lock=self.lock,
            post=lambda work: void(loop.call_soon_threadsafe(work)),
            shape=b.DiskShape(),
            **options,
        )
        self.interrupts = device.transport = CountingTransport()
        return device

    def send(self, kind: int, sector: int = 0, data: bytes = b"", answer: int = 0, queue: int = 0) -> Buffers:
        header = struct.pack("<IIQ", kind, 0, sector)
        buffers = chain(self.memory, [header, data] if data else [header], [answer, 1] if answer else [1])
        assert self.queues[queue].add(buffers, indirect=True)
        return buffers

    async def finish(self, count: int = 1, queue: int = 0) -> list[tuple[Buffers, int]]:
        """Ring the doorbell; the next `count` chains that come back."""
        self.device.kick(queue)
        done: list[tuple[Buffers, int]] = []
        while True:
            done += self.queues[queue].collect()
            if len(done) >= count:
                return done
            await asyncio.sleep(0)

    async def ask(self, kind: int, sector: int = 0, data: bytes = b"", answer: int = 0) -> tuple[int, bytes]:
        """One request: its status and the data that came."""
        self.send(kind, sector, data, answer)
        ((buffers, _),) = await self.finish()
        text = buffers.answer(self.memory)
        return text[-1], text[:-1]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(at * 7 // 512 & 0xFF for at in range(LENGTH)))
    return path


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    graph = Graph()
    yield graph
    await graph.close_all()


async def open_disk(graph: Graph, source: Any, **options: Any) -> Disk:
    node = await graph.open(source, user=None)
    backend = BlockBackend(graph, "drive0", node)
    backend.attach("device 'disk0'", write=not node.read_only)
    return Disk(graph, backend, **options)


@pytest.fixture
async def disk(graph: Graph, path: Path) -> AsyncIterator[Disk]:
    disk = await open_disk(graph, {"driver": "raw", "discard": "unmap", "file.filename": str(path)})
    yield disk
    await disk.backend.detach()


async def test_reads_come_from_the_image(disk: Disk, path: Path) -> None:
    assert await disk.ask(b.T_IN, 3, answer=1024) == (b.S_OK, path.read_bytes()[1536:2560])


async def test_reads_that_do_not_go_at_once_are_done_on_the_loop(disk: Disk, path: Path) -> None:
    disk.device.inline = False
    assert await disk.ask(b.T_IN, 3, answer=1024) == (b.S_OK, path.read_bytes()[1536:2560])


async def test_writes_that_do_not_go_at_once_are_done_on_the_loop(disk: Disk, path: Path) -> None:
    disk.device.inline = False
    assert await disk.ask(b.T_OUT, 5, b"w" * 512) == (b.S_OK, b"")
    assert path.read_bytes()[5 * 512 : 6 * 512] == b"w" * 512


async def test_a_host_that_makes_writers_wait_is_left_alone_for_a_while(
    disk: Disk, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 100_000_000_000
    tries: list[int] = []

    def slow_write(offset: int, buffers: Any) -> bool:
        nonlocal now
        tries.append(now)
        now += 200_000_000
        return True

    assert disk.backend.node is not None
    monkeypatch.setattr(disk.backend.statistics, "clock", lambda: now)
    monkeypatch.setattr(disk.backend.node, "write_now", slow_write)
    buffers = [memoryview(bytearray(512))]
    assert disk.backend.write_now(0, buffers)
    assert not disk.backend.write_now(0, buffers)
    now += 2_000_000_000
    assert disk.backend.write_now(0, buffers)
    assert len(tries) == 2


@pytest.mark.parametrize(
    "options", [{"cache.writeback": False}, {"detect-zeroes": "on"}, {"read-only": True}, {"cache.direct": True}]
)
async def test_writes_are_only_done_at_once_where_nothing_is_in_the_way(
    graph: Graph, path: Path, options: dict[str, Any]
) -> None:
    node = await graph.open({"driver": "raw", "file.filename": str(path), **options}, user=None)
    backend = BlockBackend(graph, "drive0", node)
    backend.attach("device 'disk0'", write=not node.read_only)
    assert not backend.write_now(0, [memoryview(bytearray(512))])
    await backend.detach()


async def test_writes_reach_the_image(disk: Disk, path: Path) -> None:
    assert await disk.ask(b.T_OUT, 5, b"w" * 512) == (b.S_OK, b"")
    assert await disk.ask(b.T_FLUSH) == (b.S_OK, b"")
    assert path.read_bytes()[5 * 512 : 6 * 512] == b"w" * 512


async def test_the_used_length_counts_what_was_written(disk: Disk) -> None:
    disk.send(b.T_IN, 0, answer=512)
    disk.send(b.T_IN, LENGTH // 512, answer=512)
    disk.send(b.T_FLUSH)
    done = await disk.finish(3)
    assert sorted(written for _, written in done) == [0, 1, 513]


async def test_neighbours_are_served_together(disk: Disk, path: Path) -> None:
    calls: list[int] = []
    write = disk.backend.write

    async def counted(offset: int, buffers: Any, **how: bool) -> None:
        calls.append(offset)
        await write(offset, buffers, **how)

    disk.device.inline = False
    disk.backend.write = counted  # type: ignore[method-assign]
    for sector in (8, 9, 10, 20):
        disk.send(b.T_OUT, sector, bytes([sector]) * 512)
    await disk.finish(4)
    assert calls == [8 * 512, 20 * 512]
    assert path.read_bytes()[8 * 512 : 11 * 512] == b"".join(bytes([sector]) * 512 for sector in (8, 9, 10))


async def test_of_neighbours_only_the_one_with_the_error_fails(graph: Graph, path: Path) -> None:
    rule = {"event": "none", "iotype": "write", "errno": "EIO", "sector": 9}
    source = {"driver": "raw", "file.driver": "blkdebug", "file.image.filename": str(path), "file.inject-error": [rule]}
    disk = await open_disk(graph, source)
    sent = [disk.send(b.T_OUT, sector, b"n" * 512) for sector in (8, 9, 10)]
    await disk.finish(3)
    assert [buffers.answer(disk.memory)[-1] for buffers in sent] == [b.S_OK, b.S_IOERR, b.S_OK]
    await disk.backend.detach()


async def test_completions_of_one_batch_interrupt_once(disk: Disk) -> None:
    for sector in range(0, 12, 2):
        disk.send(b.T_OUT, sector, b"x" * 512)
    disk.queues[0].suppress(interrupts=False)
    await disk.finish(6)
    assert len(disk.interrupts.used) <= 6


@pytest.mark.parametrize(
    ("kind", "sector", "data", "answer"),
    [
        pytest.param(b.T_IN, LENGTH // 512, b"", 512, id="read behind the end"),
        pytest.param(b.T_IN, (1 << 64) - 1, b"", 512, id="read behind all ends"),
        pytest.param(b.T_IN, 0, b"", 511, id="read of part of a sector"),
        pytest.param(b.T_OUT, LENGTH // 512 - 1, b"x" * 1024, 0, id="write over the end"),
        pytest.param(b.T_OUT, 0, b"x" * 100, 0, id="write of part of a sector"),
        pytest.param(b.T_DISCARD, 0, b"x" * 15, 0, id="part of a segment"),
        pytest.param(b.T_DISCARD, 0, bytes(17 * 16), 0, id="too many segments"),
        pytest.param(b.T_DISCARD, 0, b"", 0, id="no segment"),
        pytest.param(b.T_WRITE_ZEROES, 0, struct.pack("<QII", 0, 1 << 31, 0), 0, id="huge segment"),
        pytest.param(b.T_WRITE_ZEROES, 0, struct.pack("<QII", 2048, 1, 0), 0, id="segment behind the end"),
    ],
)
async def test_what_cannot_be_is_an_error(disk: Disk, kind: int, sector: int, data: bytes, answer: int) -> None:
    assert (await disk.ask(kind, sector, data, answer))[0] == b.S_IOERR
    assert (await disk.ask(b.T_FLUSH))[0] == b.S_OK


async def test_an_unknown_request_is_unsupported(disk: Disk) -> None:
    assert await disk.ask(99) == (b.S_UNSUPP, b"")
    assert await disk.ask(b.T_DISCARD, 0, struct.pack("<QII", 0, 1, 1)) == (b.S_UNSUPP, b"")


async def test_the_serial_number_is_padded(disk: Disk) -> None:
    assert await disk.ask(b.T_GET_ID, answer=20) == (b.S_OK, b"SN-1".ljust(20, b"\0"))


async def test_zeroes_and_discards(disk: Disk, path: Path) -> None:
    before = path.read_bytes()
    segments = struct.pack("<QIIQII", 16, 8, 0, 64, 8, 1)
    assert (await disk.ask(b.T_WRITE_ZEROES, 0, segments))[0] == b.S_OK
    assert (await disk.ask(b.T_DISCARD, 0, struct.pack("<QII", 256, 1024, 0)))[0] == b.S_OK
    await disk.ask(b.T_FLUSH)
    expected = bytearray(before)
    for first, count in ((16, 8), (64, 8), (256, 1024)):
        expected[first * 512 : (first + count) * 512] = bytes(count * 512)
    assert path.read_bytes() == expected


async def test_a_read_only_disk_says_so_and_refuses_writes(graph: Graph, path: Path) -> None:
    disk = await open_disk(graph, {"driver": "raw", "read-only": True, "file.filename": str(path)})
    assert disk.features & b.F_RO
    assert not disk.features & (b.F_DISCARD | b.F_WRITE_ZEROES)
    assert (await disk.ask(b.T_OUT, 0, b"x" * 512))[0] == b.S_IOERR
    await disk.backend.detach()


async def test_the_configuration_space(disk: Disk) -> None:
    device = disk.device
    assert len(device.config()) == 60
    assert device.read_config(0, 8) == LENGTH // 512
    assert device.read_config(12, 4) == 254
    assert device.read_config(20, 4) == 512
    assert device.read_config(34, 2) == 1
    assert device.read_config(60, 4) == 0


async def test_the_driver_is_told_of_another_size(disk: Disk) -> None:
    generation = disk.device.state.generation
    assert disk.backend.node is not None
    await resize(disk.graph, disk.backend.node, 2 * LENGTH)
    assert disk.interrupts.config == 1
    assert disk.device.state.generation == generation + 1
    assert disk.device.read_config(0, 8) == 2 * LENGTH // 512
    assert (await disk.ask(b.T_OUT, 2 * LENGTH // 512 - 1, b"e" * 512))[0] == b.S_OK
    await resize(disk.graph, disk.backend.node, LENGTH)
    assert (await disk.ask(b.T_OUT, 2 * LENGTH // 512 - 1, b"e" * 512))[0] == b.S_IOERR


async def test_the_write_cache_can_be_switched(disk: Disk) -> None:
    seen: list[bool] = []

    async def write(offset: int, buffers: Any, *, stable: bool = False, requests: int = 1) -> None:
        seen.append(stable)

    disk.device.inline = False
    disk.backend.write = write  # type: ignore[method-assign]
    await disk.ask(b.T_OUT, 0, b"x" * 512)
    disk.device.write_config(b.WRITEBACK_OFFSET, b"\0")
    assert disk.device.read_config(b.WRITEBACK_OFFSET, 1) == 0
    await disk.ask(b.T_OUT, 0, b"x" * 512)
    assert seen == [False, True]


async def test_every_queue_works(graph: Graph, path: Path) -> None:
    disk = await open_disk(graph, {"driver": "raw", "file.filename": str(path)}, queues=3)
    assert disk.features & b.F_MQ
    for queue in range(3):
        disk.send(b.T_OUT, queue, bytes([queue]) * 512, queue=queue)
        await disk.finish(queue=queue)
    assert path.read_bytes()[: 3 * 512] == b"".join(bytes([queue]) * 512 for queue in range(3))
    await disk.backend.detach()


async def test_requests_in_flight_are_done_after_a_load(disk: Disk, path: Path) -> None:
    disk.device.inline = False
    sent = [disk.send(b.T_IN, 1, answer=512), disk.send(b.T_OUT, 2, b"m" * 512)]
    disk.device.kick(0)
    saved = decode(BlkState, encode(disk.device.save()))
    old, disk.device = disk.device, disk.make()
    old.reset()
    disk.device.load(saved)
    disk.device.kick(0)
    await asyncio.sleep(0.01)
    assert disk.queues[0].collect() == []
    disk.backend.retry()
    await disk.finish(2)
    assert sent[0].answer(disk.memory)[:-1] == path.read_bytes()[512:1024]
    assert path.read_bytes()[1024:1536] == b"m" * 512


async def test_a_reset_waits_for_requests_under_way(graph: Graph, path: Path) -> None:
    disk = await open_disk(graph, {"driver": "raw", "file.filename": str(path)})
    gate = asyncio.Event()

    async def read(offset: int, buffers: Any, *, requests: int = 1) -> None:
        await gate.wait()

    disk.backend.read = read  # type: ignore[method-assign]
    disk.device.inline = False
    disk.send(b.T_IN, 0, answer=512)
    disk.device.kick(0)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    disk.device.set_status(0)
    assert disk.device.status
    gate.set()
    while disk.device.status:
        await asyncio.sleep(0)
    assert disk.queues[0].collect() == []
    await disk.backend.detach()


@pytest.mark.parametrize("buffers", [([b"x" * 16], []), ([b"x" * 15], [1]), ([], [20])])
async def test_a_request_without_header_or_status_breaks_the_device(
    disk: Disk, buffers: tuple[list[bytes], list[int]]
) -> None:
    disk.queues[0].add(chain(disk.memory, *buffers))
    disk.device.kick(0)
    assert disk.device.status & NEEDS_RESET
    disk.device.set_status(0)
    assert disk.device.status == 0


async def test_a_message_may_be_cut_anywhere(disk: Disk, path: Path) -> None:
    header = struct.pack("<IIQ", b.T_IN, 0, 2)
    buffers = chain(disk.memory, [header[:3], header[3:9], header[9:]], [100, 412, 1])
    disk.queues[0].add(buffers)
    await disk.finish()
    assert buffers.answer(disk.memory) == path.read_bytes()[1024:1536] + b"\0"
