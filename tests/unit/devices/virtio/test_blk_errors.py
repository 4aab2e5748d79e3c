"""What a virtio block device does about requests that fail, by its policy: over blkdebug, in both queue layouts."""

from __future__ import annotations

import asyncio
import errno
import gc
import struct
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.virtio_driver import Buffers
from tests.unit.devices.virtio.test_blk import ALL, Disk

from varan.api.values import BlockDeviceIoStatus, BlockdevOnError, BlockErrorAction
from varan.block.backend import BlockBackend
from varan.block.base import BlockError
from varan.block.errorpolicy import ErrorPolicy
from varan.block.graph import Graph
from varan.block.transports import posix
from varan.core.state import decode, encode
from varan.devices.virtio import blk_layout as b
from varan.devices.virtio.blk import BlkState
from varan.devices.virtio.features import RING_PACKED

LENGTH = 1 << 20
Rule = dict[str, Any]
Open = Callable[..., Any]


class Faulty:
    """A disk over rules, and what its device decided."""

    def __init__(self, disk: Disk, decided: list[tuple[str, bool, str]]) -> None:
        self.disk, self.decided = disk, decided
        self.device, self.backend = disk.device, disk.backend

    async def settle(self) -> list[Buffers]:
        """Let the loop do what it can; what has come back, in order."""
        for queue in range(len(self.disk.queues)):
            self.disk.device.kick(queue)
        for _ in range(20):
            await asyncio.sleep(0.001)
        return [buffers for queue in self.disk.queues for buffers, _ in queue.collect()]


@pytest.fixture(params=[pytest.param(ALL, id="packed"), pytest.param(ALL & ~RING_PACKED, id="split")])
def features(request: pytest.FixtureRequest) -> int:
    value: int = request.param
    return value


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(LENGTH - 512) + b"r" * 512)
    return path


@pytest.fixture
async def opened(path: Path, features: int) -> AsyncIterator[Open]:
    graph = Graph()
    made: list[Faulty] = []

    async def opened(*rules: Rule, read: str = "stop", write: str = "stop", **options: Any) -> Faulty:
        file = {"driver": "blkdebug", "image.filename": str(path), "inject-error": list(rules)}
        node = await graph.open({"driver": "raw", "discard": "unmap", "file": file}, format="raw", user=None)
        backend = BlockBackend(graph, "d", node)
        backend.policy = ErrorPolicy(BlockdevOnError(read), BlockdevOnError(write))
        decided: list[tuple[str, bool, str]] = []

        def note(_: BlockBackend, error: BlockError, is_read: bool, action: BlockErrorAction) -> None:
            decided.append((error.reason, is_read, action.value))

        backend.on_error = note
        backend.attach("device 'disk0'", write=True)
        made.append(Faulty(Disk(graph, backend, features=features, **options), decided))
        return made[-1]

    yield opened
    for one in made:
        one.device.reset()
        await one.backend.detach()
    await graph.close_all()


def rule(iotype: str, errno: str = "EIO", once: bool = True, **more: Any) -> Rule:
    return {"event": "none", "iotype": iotype, "errno": errno, "once": once, **more}


def status(disk: Faulty, buffers: Buffers) -> int:
    return buffers.answer(disk.disk.memory)[-1]


async def test_a_write_that_fails_is_kept_and_tried_again(opened: Open, path: Path) -> None:
    faulty = await opened(rule("write", "ENOSPC"))
    sent = faulty.disk.send(b.T_OUT, 3, b"w" * 512)
    assert await faulty.settle() == []
    assert faulty.decided == [("No space left on device", False, "stop")]
    assert faulty.backend.io_status is BlockDeviceIoStatus.NOSPACE
    faulty.backend.retry()
    assert faulty.backend.io_status is BlockDeviceIoStatus.OK
    assert await faulty.settle() == [sent]
    assert status(faulty, sent) == b.S_OK
    assert path.read_bytes()[3 * 512 : 4 * 512] == b"w" * 512


async def test_it_fails_as_often_as_the_disk_does(opened: Open) -> None:
    faulty = await opened(*[rule("write")] * 3)
    sent = faulty.disk.send(b.T_OUT, 3, b"w" * 512)
    for failures in (1, 2, 3):
        assert await faulty.settle() == []
        assert faulty.decided == [("Input/output error", False, "stop")] * failures
        assert faulty.backend.io_status is BlockDeviceIoStatus.FAILED
        faulty.backend.retry()
    assert await faulty.settle() == [sent]


async def test_what_comes_behind_a_failure_waits_and_goes_in_order(
    opened: Open, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faulty = await opened(rule("write"), queues=3)
    begun: list[int] = []
    write = faulty.backend.write

    async def noted(offset: int, buffers: Any, **how: bool) -> None:
        begun.append(offset // 512)
        await write(offset, buffers, **how)

    monkeypatch.setattr(faulty.backend, "write", noted)
    sectors = [9, 5, 30, 20, 1, 40]
    sent = []
    for turn, sector in enumerate(sectors):
        sent.append(faulty.disk.send(b.T_OUT, sector, bytes([turn + 1]) * 512, queue=turn % 3))
        assert await faulty.settle() == []
    assert begun == [9]
    faulty.backend.retry()
    done = await faulty.settle()
    assert begun[1:] == sectors
    assert {id(buffers) for buffers in done} == {id(buffers) for buffers in sent}
    for turn, sector in enumerate(sectors):
        assert path.read_bytes()[sector * 512 : sector * 512 + 512] == bytes([turn + 1]) * 512


async def test_of_several_under_way_every_one_that_fails_is_kept(opened: Open) -> None:
    faulty = await opened(rule("write", once=False, sector=3), rule("write", once=False, sector=8))
    gate = asyncio.Event()
    write = faulty.backend.write

    async def slow(offset: int, buffers: Any, **how: bool) -> None:
        await gate.wait()
        await write(offset, buffers, **how)

    faulty.backend.write = slow
    sent = [faulty.disk.send(b.T_OUT, sector, b"w" * 512) for sector in (3, 5, 8)]
    assert await faulty.settle() == []
    gate.set()
    assert await faulty.settle() == [sent[1]]
    assert [action for _, _, action in faulty.decided] == ["stop", "stop"]


@pytest.mark.parametrize(
    ("iotype", "kind", "data", "answer"),
    [
        ("read", b.T_IN, b"", 512),
        ("flush", b.T_FLUSH, b"", 0),
        ("discard", b.T_DISCARD, struct.pack("<QII", 0, 8, 0), 0),
        ("write-zeroes", b.T_WRITE_ZEROES, struct.pack("<QII", 0, 8, 0), 0),
    ],
)
@pytest.mark.parametrize(("policy", "result"), [("stop", None), ("report", b.S_IOERR), ("ignore", b.S_OK)])
async def test_every_kind_of_request_follows_the_policy(
    opened: Open, iotype: str, kind: int, data: bytes, answer: int, policy: str, result: int | None
) -> None:
    faulty = await opened(rule(iotype), read=policy, write=policy)
    sent = faulty.disk.send(kind, 0, data, answer)
    done = await faulty.settle()
    assert faulty.decided == [("Input/output error", kind == b.T_IN, policy)]
    if result is not None:
        assert done == [sent]
        assert status(faulty, sent) == result
        assert faulty.backend.io_status is BlockDeviceIoStatus.OK
        return
    assert done == []
    faulty.backend.retry()
    assert await faulty.settle() == [sent]
    assert status(faulty, sent) == b.S_OK


@pytest.mark.parametrize(
    ("kind", "sector", "data", "answer"),
    [
        pytest.param(b.T_IN, LENGTH // 512, b"", 512, id="behind the end"),
        pytest.param(b.T_OUT, 0, b"x" * 100, 0, id="part of a sector"),
        pytest.param(b.T_WRITE_ZEROES, 0, struct.pack("<QII", LENGTH // 512, 1, 0), 0, id="zeroes behind the end"),
    ],
)
async def test_what_the_driver_does_wrong_stops_nothing(
    opened: Open, kind: int, sector: int, data: bytes, answer: int
) -> None:
    faulty = await opened()
    sent = faulty.disk.send(kind, sector, data, answer)
    assert await faulty.settle() == [sent]
    assert status(faulty, sent) == b.S_IOERR
    assert faulty.decided == []


async def test_a_reset_drops_what_waits(opened: Open, path: Path) -> None:
    faulty = await opened(rule("write"))
    faulty.disk.send(b.T_OUT, 3, b"w" * 512)
    await faulty.settle()
    faulty.disk.send(b.T_OUT, 4, b"w" * 512)
    await faulty.settle()
    faulty.device.set_status(0)
    assert faulty.device.status == 0
    faulty.backend.retry()
    assert await faulty.settle() == []
    assert path.read_bytes()[: LENGTH // 2] == bytes(LENGTH // 2)


async def test_what_fails_after_a_reset_is_let_go(opened: Open) -> None:
    faulty = await opened(rule("write"))
    gate = asyncio.Event()
    write = faulty.backend.write

    async def slow(offset: int, buffers: Any, **how: bool) -> None:
        await gate.wait()
        await write(offset, buffers, **how)

    faulty.backend.write = slow
    faulty.disk.send(b.T_OUT, 3, b"w" * 512)
    await faulty.settle()
    faulty.device.set_status(0)
    assert faulty.device.status
    gate.set()
    await asyncio.sleep(0.01)
    assert faulty.device.status == 0
    assert faulty.decided == [("Input/output error", False, "stop")]


async def test_what_waits_is_part_of_the_saved_state(opened: Open, path: Path) -> None:
    faulty = await opened(rule("write"))
    sent = [faulty.disk.send(b.T_OUT, sector, bytes([sector]) * 512) for sector in (7, 3)]
    assert await faulty.settle() == []
    sent.append(faulty.disk.send(b.T_IN, LENGTH // 512 - 1, answer=512))
    assert await faulty.settle() == []
    saved = decode(BlkState, encode(faulty.device.save()))
    faulty.device.reset()
    faulty.device = faulty.disk.device = faulty.disk.make()
    faulty.device.load(saved)
    assert await faulty.settle() == []
    faulty.backend.retry()
    assert len(await faulty.settle()) == 3
    assert [status(faulty, buffers) for buffers in sent] == [b.S_OK] * 3
    assert sent[2].answer(faulty.disk.memory)[:512] == b"r" * 512
    for sector in (7, 3):
        assert path.read_bytes()[sector * 512 : sector * 512 + 512] == bytes([sector]) * 512


async def test_a_device_that_goes_lets_go_of_what_waits(opened: Open) -> None:
    faulty = await opened(rule("write"))
    faulty.disk.send(b.T_OUT, 3, b"w" * 512)
    await faulty.settle()
    faulty.device.forget_memory()
    await faulty.backend.detach()
    faulty.backend.retry()
    faulty.backend.attach("device 'disk1'", write=True)
    assert faulty.backend.io_status is BlockDeviceIoStatus.OK


async def test_an_error_keeps_no_guest_memory(opened: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(fd: int, offset: int, buffers: Any, sync: bool) -> None:
        raise OSError(errno.ENOSPC, "full")

    faulty = await opened(write="report")
    monkeypatch.setattr(posix, "write_whole", full)
    monkeypatch.setattr(faulty.backend.node.children["file"].node, "write_now", lambda offset, buffers: False)
    gc.disable()
    try:
        sent = faulty.disk.send(b.T_OUT, 3, b"w" * (3 << 10))
        assert await faulty.settle() == [sent]
        assert status(faulty, sent) == b.S_IOERR
        faulty.device.forget_memory()
        faulty.disk.queues.clear()
        faulty.disk.memory.ram.close()
    finally:
        gc.enable()
