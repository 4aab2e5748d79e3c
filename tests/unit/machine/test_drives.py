"""The disks of a machine: drives, named nodes, and who uses them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

import varan.block
from varan.block.crypto.secret import Secrets
from varan.errors import VaranError
from varan.machine.drives import Drives
from varan.machine.spec import DriveSpec


@pytest.fixture
async def drives() -> AsyncIterator[Drives]:
    drives = Drives(Secrets(), {})
    yield drives
    await drives.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(bytes(1 << 20))
    return path


async def test_a_drive_is_found_by_its_id(drives: Drives, path: Path) -> None:
    await drives.open(DriveSpec("d", {"filename": str(path)}, "raw", writeback=False, serial="S"))
    backend = drives.find("d")
    assert (backend.name, backend.length, backend.writeback, backend.serial) == ("d", 1 << 20, False, "S")
    assert backend.node is not None
    assert backend.node.driver == "raw"


async def test_a_node_is_found_by_its_name(drives: Drives, path: Path) -> None:
    await drives.add_node({"driver": "raw", "node-name": "n", "file.filename": str(path)})
    backend = drives.find("n")
    backend.attach("device 'a'", write=True)
    with pytest.raises(VaranError, match="which device 'b' does not share"):
        drives.find("n").attach("device 'b'", write=True)
    await backend.detach()
    drives.find("n").attach("device 'b'", write=True)


async def test_a_drive_has_one_user(drives: Drives, path: Path) -> None:
    await drives.open(DriveSpec("d", {"filename": str(path)}, "raw"))
    drives.find("d").attach("device 'a'", write=True)
    with pytest.raises(VaranError, match="Drive 'd' is already in use by device 'a'"):
        drives.find("d").attach("device 'b'", write=False)
    await drives.find("d").detach()


async def test_a_drive_may_have_no_medium(drives: Drives) -> None:
    await drives.open(DriveSpec("d", None))
    assert not drives.find("d").present
    assert drives.find("d").length == 0
    with pytest.raises(VaranError, match="there is no medium"):
        await drives.find("d").flush()


@pytest.mark.parametrize("name", ["d", "#block000"])
async def test_what_there_is_not_is_not_found(drives: Drives, name: str) -> None:
    with pytest.raises(VaranError, match=name):
        drives.find(name)


async def test_names_are_given_once_and_must_be_given(drives: Drives, path: Path) -> None:
    await drives.open(DriveSpec("d", None))
    with pytest.raises(VaranError, match="already"):
        await drives.open(DriveSpec("d", None))
    with pytest.raises(VaranError, match="node-name"):
        await drives.add_node({"driver": "raw", "file.filename": str(path)})


async def test_after_a_flush_the_images_hold_what_was_written(drives: Drives, tmp_path: Path) -> None:
    image, copy = tmp_path / "disk.qcow2", tmp_path / "copy.qcow2"
    await varan.block.create(str(image), 1 << 20, format="qcow2")
    await drives.open(DriveSpec("d", {"filename": str(image)}, "qcow2"))
    backend = drives.find("d")
    backend.attach("the test", write=True)
    await backend.write(65536, [memoryview(b"kept" * 128)])
    await drives.flush()
    copy.write_bytes(image.read_bytes())
    async with varan.block.open(str(copy), read_only=True) as opened:
        assert await opened.read(65536, 512) == b"kept" * 128
    await backend.detach()


async def test_a_flush_that_fails_is_no_reason_not_to_stop(drives: Drives, path: Path) -> None:
    rules = [{"event": "none", "iotype": "flush", "once": True}]
    for name in ("a", "b"):
        file = {"driver": "blkdebug", "image.filename": str(path), "image.locking": "off", "inject-error": rules}
        await drives.open(DriveSpec(name, {"driver": "raw", "file": file}))
        drives.find(name).attach(name, write=True)
    await drives.flush()
    for name in ("a", "b"):
        await drives.find(name).detach()


async def test_drives_and_nodes_share_no_name(drives: Drives, path: Path) -> None:
    await drives.open(DriveSpec("d", None))
    with pytest.raises(VaranError, match="node-name=d is conflicting with a device id"):
        await drives.add_node({"driver": "null-co", "node-name": "d"})
    await drives.add_node({"driver": "null-co", "node-name": "n"})
    with pytest.raises(VaranError, match="Device name 'n' conflicts with an existing node name"):
        await drives.open(DriveSpec("n", None))
    assert list(drives.backends) == ["d"]
