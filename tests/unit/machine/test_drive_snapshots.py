"""Drives with snapshot=on: what is written is gone at the end, unless it is committed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

import varan.block
from varan.api.values import JobStatus
from varan.block import rewire
from varan.block.base import Data
from varan.block.crypto.secret import Secrets
from varan.block.jobs.starting import JobOptions
from varan.block.request import read_bytes, write_bytes
from varan.errors import VaranError
from varan.jobs.manager import JobManager
from varan.machine.drives import Drives
from varan.machine.spec import DriveSpec

MIB = 1 << 20


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where temporary files are made."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


@pytest.fixture
async def drives() -> AsyncIterator[Drives]:
    drives = Drives(Secrets(), {})
    yield drives
    await drives.close()


@pytest.fixture
async def image(tmp_path: Path) -> str:
    path = str(tmp_path / "disk.qcow2")
    await varan.block.create(path, MIB, format="qcow2")
    async with varan.block.open(path) as disk:
        await disk.write(0, b"old" * 100)
    return path


async def content(path: str) -> bytes:
    async with varan.block.open(path, read_only=True) as disk:
        return await disk.read(0, 300)


def medium(drives: Drives) -> Any:
    backend = drives.find("d")
    if backend.user is None:
        backend.attach("the test", write=not backend.read_only)
    return backend.node


async def test_the_image_stays_as_it_is_and_no_file_is_left(drives: Drives, folder: Path, image: str) -> None:
    await drives.open(DriveSpec("d", {"filename": image}, snapshot=True))
    node = medium(drives)
    assert list(folder.iterdir()) == []
    assert (await read_bytes(node, 0, 300), node.length) == (b"old" * 100, MIB)
    await write_bytes(node, 0, b"new" * 100)
    assert await read_bytes(node, 0, 300) == b"new" * 100
    assert await content(image) == b"old" * 100
    await drives.find("d").detach()


async def test_two_machines_may_use_one_image(drives: Drives, folder: Path, image: str) -> None:
    other = Drives(Secrets(), {})
    for each in (drives, other):
        await each.open(DriveSpec("d", {"filename": image}, snapshot=True))
        await write_bytes(medium(each), 0, b"new" * 100)
    await other.find("d").detach()
    await other.close()
    await drives.find("d").detach()


async def test_a_commit_moves_it_into_the_image(drives: Drives, folder: Path, image: str) -> None:
    await drives.open(DriveSpec("d", {"filename": image}, snapshot=True))
    await write_bytes(medium(drives), 0, b"new" * 100)
    starter = drives.jobs(JobManager(lambda event: None))
    await starter.commit_at_once("d")
    await write_bytes(medium(drives), 3, b"gone")
    await drives.find("d").detach()
    await drives.close()
    assert await content(image) == b"new" * 100


async def test_after_a_block_commit_the_drive_uses_the_image(drives: Drives, folder: Path, image: str) -> None:
    await drives.open(DriveSpec("d", {"filename": image, "node-name": "n"}, snapshot=True))
    await write_bytes(medium(drives), 0, b"new" * 100)
    manager = JobManager(lambda event: None)
    await drives.jobs(manager).commit("d", JobOptions("j"))
    async with asyncio.timeout(20):
        while (job := manager.jobs.get("j")) is not None:
            if job.state.status is JobStatus.READY:
                manager.complete(job)
            await asyncio.sleep(0.01)
    assert medium(drives).node_name == "n"
    await write_bytes(medium(drives), 0, b"yet")
    await drives.find("d").detach()
    await drives.close()
    assert await content(image) == b"yet" + b"new" * 99


async def test_the_temporary_image_can_become_read_only_and_back(drives: Drives, folder: Path, image: str) -> None:
    await drives.open(DriveSpec("d", {"filename": image}, snapshot=True))
    await write_bytes(medium(drives), 0, b"new" * 100)
    node = medium(drives)
    await drives.find("d").detach()
    async with rewire.quiet(drives.graph, node):
        await rewire.reopen(drives.graph, node, read_only=True)
        await rewire.reopen(drives.graph, node, read_only=False)
    assert await read_bytes(medium(drives), 0, 300) == b"new" * 100
    await drives.find("d").detach()


async def test_copy_on_read_fills_the_temporary_file(drives: Drives, folder: Path, image: str) -> None:
    source = {"driver": "copy-on-read", "file.filename": image, "file.driver": "qcow2"}
    await drives.open(DriveSpec("d", source, copy_on_read=True, snapshot=True))
    node = medium(drives)
    overlay = node.filtered
    assert not (await overlay.block_status(0, 512)).flags & Data.ALLOCATED
    assert await read_bytes(node, 0, 300) == b"old" * 100
    assert (await overlay.block_status(0, 512)).flags & Data.ALLOCATED
    await drives.find("d").detach()


async def test_a_read_only_drive_stays_one(drives: Drives, folder: Path, image: str) -> None:
    await drives.open(DriveSpec("d", {"filename": image, "read-only": True}, snapshot=True))
    assert drives.find("d").read_only
    with pytest.raises(VaranError, match="Block node is read-only"):
        await drives.jobs(JobManager(lambda event: None)).commit_at_once("d")


async def test_what_cannot_be_opened_leaves_nothing(
    drives: Drives, folder: Path, image: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(VaranError, match="nowhere"):
        await drives.open(DriveSpec("d", {"filename": "nowhere"}, snapshot=True))
    with pytest.raises(VaranError, match="detect-zeroes"):
        await drives.open(DriveSpec("d", {"filename": image, "detect-zeroes": "maybe"}, snapshot=True))
    monkeypatch.setenv("TMPDIR", str(folder / "absent"))
    with pytest.raises(VaranError, match="no temporary file can be made"):
        await drives.open(DriveSpec("d", {"filename": image}, snapshot=True))
    assert (list(folder.iterdir()), drives.graph.nodes) == ([], {})
