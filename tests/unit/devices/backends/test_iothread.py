"""Threads that serve disks."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.bus import Bus
from tests.unit.devices.virtio.test_blk import Disk, open_disk

import varan
from varan.block.graph import Graph
from varan.devices.backends.iothread import IoThread
from varan.devices.virtio import blk_layout as b
from varan.errors import DeviceNotFound, GenericError, InvalidParameterType
from varan.machine.spec import BootSpec, MachineSpec

CONTENT = bytes(range(256)) * 4096


@pytest.fixture
async def thread() -> AsyncIterator[IoThread]:
    thread = IoThread({})
    await thread.complete(Bus().environment())
    yield thread
    await thread.dispose()


@pytest.fixture
async def disk(thread: IoThread, tmp_path: Path) -> AsyncIterator[Disk]:
    (tmp_path / "disk").write_bytes(CONTENT)
    graph = Graph()
    source = {"driver": "raw", "file.filename": str(tmp_path / "disk")}
    disk = await open_disk(graph, source, queues=2, elsewhere=thread.post)
    yield disk
    await disk.backend.detach()
    await graph.close_all()


async def test_it_takes_the_requests_and_does_what_needs_no_waiting(disk: Disk, thread: IoThread) -> None:
    seen: list[int] = []
    read = disk.backend.read_now

    def noted(*given: Any) -> bool:
        seen.append(threading.get_native_id())
        return read(*given)

    disk.backend.read_now = noted  # type: ignore[method-assign]
    for queue in range(2):
        disk.send(b.T_IN, 1 + queue, answer=512, queue=queue)
        ((buffers, _),) = await disk.finish(queue=queue)
        assert buffers.answer(disk.memory) == CONTENT[:512] + bytes([b.S_OK])
    assert seen == [thread.thread_id] * 2
    assert thread.thread_id != threading.get_native_id()


async def test_what_needs_waiting_comes_back_too(disk: Disk) -> None:
    assert await disk.ask(b.T_FLUSH) == (b.S_OK, b"")
    disk.device.inline = False
    assert await disk.ask(b.T_IN, 0, answer=1024) == (b.S_OK, CONTENT[:1024])


async def test_draining_waits_for_doorbells_that_it_has_not_answered(disk: Disk, thread: IoThread) -> None:
    busy = threading.Event()
    thread.post(lambda: void(busy.wait()))
    buffers = disk.send(b.T_IN, 0, answer=512)
    disk.device.kick(0)
    assert not disk.queues[0].collect()
    busy.set()
    await thread.drain()
    assert [done for done, _ in disk.queues[0].collect()] == [buffers]


async def test_a_doorbell_from_before_a_reset_is_nobodys(disk: Disk, thread: IoThread) -> None:
    busy = threading.Event()
    thread.post(lambda: void(busy.wait()))
    disk.send(b.T_IN, 0, answer=512)
    disk.device.kick(0)
    disk.device.set_status(0)
    busy.set()
    await thread.drain()
    assert not disk.queues[0].collect()


async def test_work_that_fails_does_not_end_it(thread: IoThread, caplog: pytest.LogCaptureFixture) -> None:
    def fail() -> None:
        raise RuntimeError("on purpose")

    thread.post(fail)
    await thread.drain()
    assert "on purpose" in caplog.text
    assert thread.thread_id


@pytest.mark.parametrize("setting", ["poll-max-ns", "poll-grow", "poll-shrink", "aio-max-batch"])
def test_settings_that_would_do_nothing_are_refused(setting: str) -> None:
    assert IoThread({setting: "0"}).settings[setting] == 0
    with pytest.raises(GenericError, match="not available"):
        IoThread({setting: 5})
    with pytest.raises(GenericError, match="must be in range"):
        IoThread({setting: -1})
    with pytest.raises(InvalidParameterType):
        IoThread({setting: True})


async def test_machine_lists_it_and_keeps_it_while_a_disk_uses_it() -> None:
    disk = {"driver": "virtio-blk-pci", "id": "disk", "drive": "n"}
    async with varan.Machine(spec=MachineSpec(memory=16 << 20, boot=BootSpec(demo=True), autostart=False)) as vm:
        await vm.qmp.execute("blockdev-add", {"driver": "null-co", "node-name": "n"})
        with pytest.raises(DeviceNotFound):
            await vm.qmp.execute("device_add", {**disk, "iothread": "io1"})
        await vm.qmp.execute("object-add", {"qom-type": "rng-builtin", "id": "rng"})
        with pytest.raises(GenericError, match="Invalid parameter type for 'iothread', expected: iothread"):
            await vm.qmp.execute("device_add", {**disk, "iothread": "rng"})
        await vm.qmp.execute("object-add", {"qom-type": "iothread", "id": "io1"})
        await vm.qmp.execute("device_add", {**disk, "iothread": "io1"})
        (listed,) = await vm.qmp.execute("query-iothreads")
        assert (listed["id"], Path(f"/proc/self/task/{listed['thread-id']}").exists()) == ("io1", True)
        assert f"  thread_id={listed['thread-id']}" in await info(vm, "iothreads")
        assert await vm.qmp.execute("qom-get", {"path": "disk", "property": "iothread"}) == "/objects/io1"
        with pytest.raises(GenericError, match="in use"):
            await vm.qmp.execute("object-del", {"id": "io1"})
        await vm.qmp.execute("device_del", {"id": "disk"})


async def info(vm: varan.Machine, what: str) -> str:
    return str(await vm.qmp.execute("human-monitor-command", {"command-line": f"info {what}"}))


def void(value: object) -> None:
    """Nothing, whatever the value."""
