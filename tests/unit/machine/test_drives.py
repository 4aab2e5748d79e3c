"""The disks of a machine: drives, named nodes, and who uses them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

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
