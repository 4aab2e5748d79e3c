"""The settings of virtio disks: each does something, and what cannot be is refused."""

from __future__ import annotations

import asyncio
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.pci import PciRig
from tests.support.virtio_driver import GuestMemory, chain, start

from varan.api.values import BlockdevOnError
from varan.block.backend import BlockBackend
from varan.block.errorpolicy import ErrorPolicy
from varan.block.graph import Graph
from varan.devices.virtio import blk_layout as b
from varan.devices.virtio.blk import VirtioBlk
from varan.devices.virtio.blk_types import VirtioBlkDevice
from varan.errors import VaranError

MOST_BUFFERS, MOST_DISCARDED, ALIGNMENT, MOST_ZEROED = (12, 4), (36, 4), (44, 4), (48, 4)
"""Offset and size in the configuration space (VIRTIO 1.2, 5.2.4)."""


class Making:
    """Makes disks with settings, over one image of 1 MiB."""

    def __init__(self, backend: BlockBackend) -> None:
        self.backend = backend
        self.memory = GuestMemory()
        self.rig = PciRig(memory=self.memory.space)
        self.rig.environment.ends = SimpleNamespace(find_drive=lambda id: backend)  # type: ignore[assignment]
        loop = asyncio.get_running_loop()

        def post(work: Callable[[], None]) -> None:
            loop.call_soon_threadsafe(work)

        self.rig.environment.post = post
        self.made: list[VirtioBlkDevice] = []

    async def __call__(self, **settings: Any) -> VirtioBlk:
        """Names have `_` for `-`, or are QEMU's that have `_`."""
        declared = {name.replace("-", "_"): name for name in VirtioBlkDevice._settings}
        device = VirtioBlkDevice("disk", {"drive": "d", **{declared[name]: value for name, value in settings.items()}})
        await device.acquire(self.rig.environment)
        self.made.append(device)
        return device.make_core(self.rig.environment)


@pytest.fixture
async def make(tmp_path: Path) -> AsyncIterator[Making]:
    (tmp_path / "disk").write_bytes(bytes(1 << 20))
    graph = Graph()
    source = {"driver": "raw", "discard": "unmap", "file.filename": str(tmp_path / "disk")}
    making = Making(BlockBackend(graph, "d", await graph.open(source, user=None)))
    making.backend.policy = ErrorPolicy(BlockdevOnError.STOP, BlockdevOnError.IGNORE)
    yield making
    for device in making.made:
        await device.release()
    await graph.close_all()


@pytest.mark.parametrize(
    ("settings", "where", "value"),
    [
        ({}, MOST_BUFFERS, 254),
        ({"queue_size": 64}, MOST_BUFFERS, 62),
        ({"seg_max_adjust": False}, MOST_BUFFERS, 126),
        ({}, MOST_DISCARDED, b.MOST_SECTORS),
        ({"max_discard_sectors": 100}, MOST_DISCARDED, 100),
        ({"max_write_zeroes_sectors": 100}, MOST_ZEROED, 100),
        ({"discard_granularity": 4096}, ALIGNMENT, 8),
        ({"discard_granularity": 4096, "report_discard_granularity": False}, ALIGNMENT, 1),
        ({"logical_block_size": 4096, "physical_block_size": 4096}, ALIGNMENT, 8),
    ],
)
async def test_the_guest_is_told(make: Making, settings: dict[str, Any], where: tuple[int, int], value: int) -> None:
    assert (await make(**settings)).read_config(*where) == value


@pytest.mark.parametrize(
    ("setting", "feature"),
    [("discard", b.F_DISCARD), ("write_zeroes", b.F_WRITE_ZEROES), ("config_wce", b.F_CONFIG_WCE)],
)
@pytest.mark.parametrize("wanted", [True, False])
async def test_features_can_be_switched_off(make: Making, setting: str, feature: int, wanted: bool) -> None:
    assert bool((await make(**{setting: wanted})).offered & feature) is wanted


@pytest.mark.parametrize(("word", "expected"), [("on", True), ("off", False), ("auto", True)])
async def test_the_write_cache_at_reset(make: Making, word: str, expected: bool) -> None:
    assert (await make(write_cache=word)).state.writeback is expected


async def test_the_devices_policy_goes_before_the_drives(make: Making) -> None:
    await make(werror="report")
    assert make.backend.policy == ErrorPolicy(BlockdevOnError.STOP, BlockdevOnError.REPORT)


@pytest.mark.parametrize(("merging", "begun"), [(True, [8]), (False, [8, 9, 10])])
async def test_neighbours_are_merged_or_not(make: Making, merging: bool, begun: list[int]) -> None:
    core = await make(request_merging=merging)
    core.inline = False
    seen: list[int] = []
    write = make.backend.write

    async def noted(offset: int, buffers: Any, **how: Any) -> None:
        seen.append(offset // 512)
        await write(offset, buffers, **how)

    make.backend.write = noted  # type: ignore[method-assign]
    assert await ask(make, core, [(b.T_OUT, sector, b"m" * 512) for sector in (8, 9, 10)]) == [b.S_OK] * 3
    assert seen == begun
    core.forget_memory()


@pytest.mark.parametrize(("setting", "kind"), [("max_discard_sectors", b.T_DISCARD), ("max_write_zeroes_sectors", 13)])
async def test_more_than_the_most_is_an_error(make: Making, setting: str, kind: int) -> None:
    core = await make(**{setting: 16})
    segments = [struct.pack("<QII", 0, count, 0) for count in (16, 17)]
    assert await ask(make, core, [(kind, 0, data) for data in segments]) == [b.S_OK, b.S_IOERR]
    core.forget_memory()


async def ask(make: Making, core: VirtioBlk, requests: list[tuple[int, int, bytes]]) -> list[int]:
    """The status of each request (kind, sector, data), all made available at once."""
    queue = start(core, make.memory, core.offered, 16)[0]
    sent = []
    for kind, sector, data in requests:
        sent.append(chain(make.memory, [struct.pack("<IIQ", kind, 0, sector), data], [1]))
        assert queue.add(sent[-1], indirect=True)
    core.kick(0)
    async with asyncio.timeout(10):
        done = 0
        while done < len(sent):
            done += len(queue.collect())
            await asyncio.sleep(0)
    return [buffers.answer(make.memory)[-1] for buffers in sent]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"max_discard_sectors": 0}, "max-discard-sectors is from 1 to 4194303, not 0"),
        ({"max_write_zeroes_sectors": 4194304}, "max-write-zeroes-sectors is from 1 to 4194303, not 4194304"),
        ({"discard_granularity": 100}, "discard_granularity is a multiple of logical_block_size"),
        ({"scsi": True}, "scsi=off"),
        ({"werror": "perhaps"}, "werror"),
        ({"logical_block_size": 3}, "logical_block_size is a power of two"),
        ({"queue_size": 3}, "queue-size is a power of two"),
        ({"num_queues": 0}, "num-queues is from 1"),
    ],
)
async def test_what_cannot_be_is_refused(make: Making, settings: dict[str, Any], words: str) -> None:
    making: Awaitable[VirtioBlk] = make(**settings)
    with pytest.raises(VaranError, match=words):
        await making
