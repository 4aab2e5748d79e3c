"""block_resize: what is refused, in which words, and what the disks are afterwards."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.fake_machine import FakeMachine
from tests.support.job_bench import make_chain

from varan.api.values import MirrorSyncMode
from varan.block.request import read_bytes, write_bytes
from varan.commands.block_core import block_resize
from varan.commands.block_jobs import blockdev_mirror
from varan.commands.hmp.session import HmpSession
from varan.errors import QmpError, VaranError
from varan.machine.spec import DriveSpec
from varan.qmp.profile import Profile

MIB = 1 << 20


@pytest.fixture
async def disks(machine: FakeMachine, tmp_path: Path) -> FakeMachine:
    """A machine with drives `raw`, `ro`, `nil`, `empty`, a chain `top` over node `base`, and a node `n0`."""
    for name in ("raw", "ro", "n0"):
        (tmp_path / name).write_bytes(bytes(MIB))
    await make_chain(tmp_path, ["base.raw", "top.qcow2"], size=4 * MIB)
    drives = machine.drives
    await drives.open(DriveSpec("raw", {"filename": f"{tmp_path}/raw"}, "raw"))
    await drives.open(DriveSpec("ro", {"filename": f"{tmp_path}/ro", "read-only": True}, "raw"))
    await drives.open(DriveSpec("nil", {"driver": "null-co", "size": MIB}))
    await drives.open(DriveSpec("empty", None))
    await drives.open(DriveSpec("top", {"filename": f"{tmp_path}/top.qcow2", "backing.node-name": "base"}))
    await drives.add_node({"driver": "raw", "node-name": "n0", "file.filename": f"{tmp_path}/n0"})
    return machine


@pytest.mark.parametrize(
    ("arguments", "sentence", "rich", "data"),
    [
        ({"device": "no"}, "Cannot find device='no' nor node-name=''", "DeviceNotFound", {"device": "no"}),
        ({"node_name": "no"}, "Cannot find device='' nor node-name='no'", "DeviceNotFound", {"device": "no"}),
        ({}, "Cannot find device='' nor node-name=''", "DeviceNotFound", {"device": ""}),
        ({"device": "empty"}, "Device 'empty' has no medium", "DeviceHasNoMedium", {"device": "empty"}),
        ({"device": "ro"}, "Image is read-only", "DeviceIsReadOnly", {"device": "ro"}),
        ({"device": "nil"}, "Image format driver does not support resize", "Unsupported", {}),
        ({"node_name": "base"}, "Device 'base' is in use", "DeviceInUse", {"device": "base"}),
        (
            {"device": "raw", "size": -1},
            "Parameter 'size' expects a >0 size",
            "InvalidParameterValue",
            {"name": "size", "expected": "a >0 size"},
        ),
    ],
)
async def test_what_cannot_be_is_refused_in_the_words_of_the_session(
    disks: Any, arguments: dict[str, Any], sentence: str, rich: str, data: dict[str, Any]
) -> None:
    with pytest.raises(QmpError) as refused:
        await block_resize(disks, **{"size": 2 * MIB, **arguments})
    assert Profile.named("latest").render(refused.value) == {"class": "GenericError", "desc": sentence}
    old = Profile.named("1.1").render(refused.value)
    assert (old["class"], old["data"]) == (rich, data)


@pytest.mark.parametrize("size", [0, 512, 3 * MIB])
async def test_a_drive_and_its_file_have_another_size(disks: Any, tmp_path: Path, size: int) -> None:
    await block_resize(disks, size, device="raw")
    assert disks.drives.backends["raw"].length == size
    assert (tmp_path / "raw").stat().st_size == size


async def test_a_node_has_another_size(disks: Any) -> None:
    await block_resize(disks, 3 * MIB, node_name="n0")
    assert disks.drives.graph.nodes["n0"].length == 3 * MIB


async def test_what_was_cut_off_does_not_come_back_from_below(disks: Any) -> None:
    node = disks.drives.backends["top"].node
    assert any(await read_bytes(node, 3 * MIB, MIB))
    await block_resize(disks, 2 * MIB, device="top")
    with pytest.raises(VaranError, match="out of"):
        await read_bytes(node, 2 * MIB, 1)
    await block_resize(disks, 4 * MIB, device="top")
    assert await read_bytes(node, 2 * MIB, 2 * MIB) == bytes(2 * MIB)
    await write_bytes(node, 4 * MIB - 512, b"e" * 512)


async def test_a_job_keeps_the_size_of_its_disks(disks: Any) -> None:
    await block_resize(disks, 4 * MIB, node_name="n0")
    await blockdev_mirror(disks, "top", "n0", MirrorSyncMode.NONE, job_id="m")
    for arguments, name in (({"device": "top"}, "top"), ({"node_name": "n0"}, "n0")):
        with pytest.raises(VaranError, match=f"Device '{name}' is in use"):
            await block_resize(disks, 2 * MIB, **arguments)


async def test_the_file_of_a_format_is_the_formats(disks: Any) -> None:
    file = disks.drives.backends["top"].node.children["file"].node
    with pytest.raises(VaranError, match="is in use"):
        await block_resize(disks, 8 * MIB, node_name=file.node_name)


async def test_the_device_is_told_once_of_another_size(disks: Any) -> None:
    backend = disks.drives.backends["raw"]
    backend.attach("the test", write=True)
    told: list[int] = []
    backend.on_resize = lambda: told.append(backend.length)
    for size in (2 * MIB, 2 * MIB, MIB):
        await block_resize(disks, size, device="raw")
    assert told == [2 * MIB, MIB]
    await backend.detach()


async def test_on_the_human_monitor_sizes_are_in_mebibytes(disks: Any) -> None:
    session = HmpSession(disks)
    assert await session.execute("block_resize raw 3") == ""
    assert disks.drives.backends["raw"].length == 3 * MIB
    assert await session.execute("block_resize raw 1.5M") == ""
    assert disks.drives.backends["raw"].length == 3 * MIB // 2
    assert "invalid size: '-3'" in await session.execute("block_resize raw -3")
    assert "Cannot find device='no'" in await session.execute("block_resize no 3")
