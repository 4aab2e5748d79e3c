from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest
from msgspec import UNSET
from tests.support.fake_machine import FakeMachine
from tests.support.job_bench import make_chain

from varan.api.events import BlockIoError, BlockWriteThreshold, Event
from varan.api.values import (
    BlockdevDriver,
    BlockDeviceIoStatus,
    BlockdevOnError,
    BlockErrorAction,
    FileBlockStatsSpecific,
)
from varan.block import registry
from varan.block.base import BlockError, ErrorKind
from varan.block.errorpolicy import ErrorPolicy
from varan.commands import block_query as commands
from varan.commands.block_core import blockdev_add, blockdev_del
from varan.devices.pluggable import PluggableDevice
from varan.errors import GenericError, QmpError
from varan.machine.spec import DriveSpec


class Disk:
    """A device's place in the object tree."""

    id = None
    path = "/machine/peripheral/vda"


async def add_chain(machine: FakeMachine, directory: Path) -> None:
    """Drive d0 over three images."""
    await make_chain(directory, ["base.raw", "mid.qcow2", "top.qcow2"])
    await machine.drives.open(DriveSpec("d0", {"filename": f"{directory}/top.qcow2"}, writeback=False))


async def test_a_drive_is_described_with_all_its_images(machine: FakeMachine, tmp_path: Path) -> None:
    await add_chain(machine, tmp_path)
    (info,) = await commands.query_block(machine)
    assert (info.device, info.type, info.qdev) == ("d0", "unknown", UNSET)
    assert info.removable and not info.locked
    inserted = info.inserted
    assert inserted
    assert (inserted.file, inserted.drv, inserted.ro) == (f"{tmp_path}/top.qcow2", "qcow2", False)
    assert inserted.backing_file_depth == 2
    assert inserted.backing_file == f"{tmp_path}/mid.qcow2"
    assert not inserted.cache.writeback
    names = []
    image = inserted.image
    while image:
        names.append((Path(image.filename).name, image.format))
        image = image.backing_image
    assert names == [("top.qcow2", "qcow2"), ("mid.qcow2", "qcow2"), ("base.raw", "raw")]


async def test_a_drive_without_medium_has_nothing_inserted(machine: FakeMachine) -> None:
    await machine.drives.open(DriveSpec("empty", None))
    (info,) = await commands.query_block(machine)
    assert (info.device, info.inserted, info.removable) == ("empty", UNSET, True)
    (stats,) = await commands.query_blockstats(machine)
    assert (stats.device, stats.node_name, stats.parent, stats.backing) == ("empty", UNSET, UNSET, UNSET)


async def test_a_device_over_a_node_is_named_by_its_place(machine: FakeMachine, tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(1024))
    await machine.drives.add_node({"driver": "file", "node-name": "n0", "filename": f"{tmp_path}/disk"})
    assert await commands.query_block(machine) == []
    backend = machine.drives.find("n0")
    backend.attach("device 'vda'", write=True, device=Disk())
    (info,) = await commands.query_block(machine)
    assert (info.device, info.qdev, info.removable) == ("", "/machine/peripheral/vda", False)
    (stats,) = await commands.query_blockstats(machine)
    assert (stats.device, stats.qdev, stats.node_name) == ("", "/machine/peripheral/vda", "n0")
    await backend.detach()
    assert await commands.query_block(machine) == []


async def test_a_disk_whose_errors_can_stop_the_machine_has_an_io_status(machine: FakeMachine, tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(1024))
    source = {"filename": f"{tmp_path}/disk"}
    for id, policy in (("stops", BlockdevOnError.AUTO), ("tells", BlockdevOnError.REPORT)):
        await machine.drives.open(DriveSpec(id, {**source, "read-only": True}, "raw", werror=policy))
    assert [info.io_status for info in await commands.query_block(machine)] == [UNSET, UNSET]
    events: list[Event] = []
    machine.events.subscribe(lambda event, *when: events.append(event))
    full = BlockError(ErrorKind.NO_SPACE, "full", where="disk")
    for backend in machine.drives.backends.values():
        backend.attach("the test", write=False, device=Disk())
        backend.try_again = lambda: None
        backend.decide(full, is_read=False)
    assert [info.io_status for info in await commands.query_block(machine)] == [BlockDeviceIoStatus.NOSPACE, UNSET]
    stopped, reported = (event for event in events if isinstance(event, BlockIoError))
    assert (stopped.device, stopped.action, stopped.nospace) == ("stops", BlockErrorAction.STOP, True)
    assert (reported.device, reported.action, reported.nospace) == ("tells", BlockErrorAction.REPORT, UNSET)
    assert stopped.reason == "full"
    machine.retry()
    assert [info.io_status for info in await commands.query_block(machine)] == [BlockDeviceIoStatus.OK, UNSET]


async def test_counters_are_the_drives_and_ends_of_writes_the_nodes(machine: FakeMachine, tmp_path: Path) -> None:
    await add_chain(machine, tmp_path)
    backend = machine.drives.find("d0")
    backend.attach("the test", write=True)
    await backend.write(65536, [memoryview(bytearray(b"x" * 4096))])
    (stats,) = await commands.query_blockstats(machine)
    assert (stats.stats.wr_operations, stats.stats.wr_bytes) == (1, 4096)
    assert stats.stats.wr_highest_offset == 65536 + 4096
    assert stats.stats.account_failed and stats.stats.account_invalid
    file = stats.parent
    assert file
    assert file.stats.wr_bytes == 0 and not file.stats.account_failed
    assert file.stats.wr_highest_offset >= 5 * 65536
    mid = stats.backing
    assert mid and mid.parent and mid.backing
    assert mid.stats.wr_highest_offset == mid.parent.stats.wr_highest_offset == 0
    await backend.detach()


async def test_nodes_are_told_one_by_one(machine: FakeMachine, tmp_path: Path) -> None:
    await add_chain(machine, tmp_path)
    nodes = await commands.query_named_block_nodes(machine)
    names = [(Path(node.file).name, node.drv, node.backing_file_depth) for node in nodes]
    assert names == [
        ("base.raw", "raw", 0),
        ("base.raw", "file", 0),
        ("mid.qcow2", "qcow2", 1),
        ("mid.qcow2", "file", 0),
        ("top.qcow2", "qcow2", 2),
        ("top.qcow2", "file", 0),
    ]
    flat = await commands.query_named_block_nodes(machine, flat=True)
    assert all(node.image.backing_image is UNSET for node in flat)
    assert [node.backing_file for node in flat] == [node.backing_file for node in nodes]
    stats = await commands.query_blockstats(machine, query_nodes=True)
    assert [one.node_name for one in stats] == [node.node_name for node in reversed(nodes)]
    assert all(one.backing is UNSET and one.device is UNSET for one in stats)


async def test_histograms_are_drawn_for_the_kinds_that_are_named(machine: FakeMachine, tmp_path: Path) -> None:
    await add_chain(machine, tmp_path)
    backend = machine.drives.find("d0")
    with pytest.raises(QmpError, match="Device 'nix' not found"):
        await commands.block_latency_histogram_set(machine, "nix")
    disk = PluggableDevice("vda")
    machine.tree.peripheral.add_child("vda", disk)
    backend.attach("the test", write=True, device=disk)
    await commands.block_latency_histogram_set(machine, "vda", [10**15], boundaries_write=[])
    await backend.write(0, [memoryview(bytearray(512))])
    await backend.flush()
    for boundaries in ([5, 5], [0, 5], [10, 5]):
        with pytest.raises(GenericError, match="Device 'vda' set write boundaries fail"):
            await commands.block_latency_histogram_set(machine, "vda", [1], boundaries_write=boundaries)
    (stats,) = await commands.query_blockstats(machine)
    drawn = [stats.stats.rd_latency_histogram, stats.stats.wr_latency_histogram, stats.stats.flush_latency_histogram]
    assert [(histogram.boundaries, histogram.bins) for histogram in drawn if histogram] == [
        ([10**15], [0, 0]),
        ([], [1]),
        ([10**15], [1, 0]),
    ]
    await commands.block_latency_histogram_set(machine, "vda")
    (stats,) = await commands.query_blockstats(machine)
    assert stats.stats.rd_latency_histogram is UNSET
    await backend.detach()


async def test_a_write_behind_a_threshold_is_told_once(machine: FakeMachine, tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(65536))
    source = {"file.driver": "file", "file.filename": f"{tmp_path}/disk", "file.node-name": "f0"}
    await machine.drives.open(DriveSpec("d0", source, "raw"))
    backend = machine.drives.find("d0")
    backend.attach("the test", write=True)
    told: list[BlockWriteThreshold] = []
    machine.events.subscribe(lambda event, *_: told.append(event) if isinstance(event, BlockWriteThreshold) else None)
    with pytest.raises(GenericError, match="Device 'nix' not found"):
        await commands.block_set_write_threshold(machine, "nix", 4096)

    def threshold() -> int:
        return machine.drives.graph.nodes["f0"].write_threshold

    block = [memoryview(bytearray(4096))]
    assert backend.write_now(32768, block)
    await commands.block_set_write_threshold(machine, "f0", 8192)
    assert backend.write_now(4096, block)
    assert threshold() == 8192
    assert backend.write_now(6144, block)
    assert backend.write_now(16384, block)
    await asyncio.sleep(0)
    assert [(event.node_name, event.amount_exceeded, event.write_threshold) for event in told] == [("f0", 2048, 8192)]
    assert threshold() == 0
    await commands.block_set_write_threshold(machine, "f0", 49152)
    await commands.block_set_write_threshold(machine, "f0", 0)
    await backend.write(53248, block)
    await asyncio.sleep(0)
    assert len(told) == 1
    assert machine.drives.graph.nodes["f0"].highest_write == 57344
    await backend.detach()


async def test_settings_of_a_drive_and_its_device_say_what_counts(machine: FakeMachine) -> None:
    await machine.drives.open(DriveSpec("d0", None, account_invalid=False, intervals=(60, 5)))
    (stats,) = await commands.query_blockstats(machine)
    assert [timed.interval_length for timed in stats.stats.timed_stats] == [60, 5]
    assert (stats.stats.account_invalid, stats.stats.account_failed) == (False, True)
    machine.drives.find("d0").statistics.follow("on", "off")
    machine.drives.find("d0").statistics.follow("auto", "auto")
    (stats,) = await commands.query_blockstats(machine)
    assert (stats.stats.account_invalid, stats.stats.account_failed) == (True, False)


async def test_every_driver_has_a_name_in_the_protocol() -> None:
    assert [driver.value for driver in BlockdevDriver] == registry.names()


async def test_a_files_discards_are_counted_apart(machine: FakeMachine, tmp_path: Path) -> None:
    (tmp_path / "disk").write_bytes(bytes(65536))
    source = {"file.driver": "file", "file.filename": f"{tmp_path}/disk", "discard": "unmap"}
    await machine.drives.open(DriveSpec("d0", source, "raw"))
    backend = machine.drives.find("d0")
    backend.attach("the test", write=True)
    await backend.discard(0, 8192)
    (stats,) = await commands.query_blockstats(machine)
    assert (stats.stats.unmap_operations, stats.stats.unmap_bytes) == (1, 8192)
    assert stats.parent
    counted = stats.parent.driver_specific
    assert isinstance(counted, FileBlockStatsSpecific)
    assert (counted.discard_nb_ok, counted.discard_nb_failed, counted.discard_bytes_ok) == (1, 0, 8192)
    await backend.detach()


async def test_the_graph_is_drawn_with_who_holds_whom(machine: FakeMachine, tmp_path: Path) -> None:
    await make_chain(tmp_path, ["base.raw", "top.qcow2"])
    await machine.drives.open(DriveSpec("d0", {"filename": f"{tmp_path}/top.qcow2", "node-name": "top"}))
    await machine.drives.open(DriveSpec("empty", None))
    backend = machine.drives.find("d0")
    backend.attach("the test", write=True)
    drawn = await commands.x_debug_query_block_graph(machine)
    names = {node.id: (node.type.value, node.name) for node in drawn.nodes}
    assert list(names.values())[:2] == [("block-backend", "d0"), ("block-backend", "empty")]
    assert sum(kind == "block-driver" for kind, _ in names.values()) == 4
    lines = [(names[edge.parent][1], edge.name) for edge in drawn.edges if names[edge.child][1] == "top"]
    assert lines == [("d0", "root")]
    (root,) = (edge for edge in drawn.edges if edge.name == "root")
    assert [permission.value for permission in root.perm] == ["consistent-read", "write"]
    assert {permission.value for permission in root.shared_perm} == {"consistent-read", "write-unchanged", "resize"}
    assert sorted(edge.name for edge in drawn.edges if names[edge.parent][1] == "top") == ["backing", "file"]
    await backend.detach()


async def test_only_a_device_that_can_try_again_has_an_io_status(machine: FakeMachine) -> None:
    await machine.drives.open(DriveSpec("d0", None))
    backend = machine.drives.find("d0")
    backend.attach("device 'fda'", write=True, device=Disk())
    (info,) = await commands.query_block(machine)
    assert info.io_status is UNSET
    backend.try_again = lambda: None
    (info,) = await commands.query_block(machine)
    assert info.io_status is BlockDeviceIoStatus.OK
    backend.policy = ErrorPolicy(write=BlockdevOnError.REPORT)
    (info,) = await commands.query_block(machine)
    assert info.io_status is UNSET


async def test_nodes_that_come_and_go_disturb_no_answer(machine: FakeMachine, tmp_path: Path) -> None:
    await add_chain(machine, tmp_path)
    shutil.copy(tmp_path / "top.qcow2", tmp_path / "other.qcow2")
    options = {"driver": "qcow2", "node-name": "n0", "read-only": True}
    over = True

    async def come_and_go() -> None:
        while not over:
            await blockdev_add(machine, options | {"file": {"driver": "file", "filename": f"{tmp_path}/other.qcow2"}})
            await asyncio.sleep(0)
            await blockdev_del(machine, "n0")

    over = False
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(come_and_go())
        for _ in range(40):
            nodes = await commands.query_named_block_nodes(machine)
            assert len({node.node_name for node in nodes}) == len(nodes)
            (info,) = await commands.query_block(machine)
            assert info.inserted and info.inserted.backing_file_depth == 2
            assert len(await commands.query_blockstats(machine)) == 1
            await asyncio.sleep(0)
        over = True
