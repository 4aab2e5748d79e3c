from __future__ import annotations

import asyncio
import os
import stat
import threading
from pathlib import Path

import pytest

from varan import errors
from varan.commands.whole_file import WholeFile


async def test_the_file_appears_only_when_it_is_complete(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    async with WholeFile(str(target)) as file:
        await file.write(b"new")
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


async def test_a_failure_keeps_what_was_there(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError):
        async with WholeFile(str(target)) as file:
            await file.write(b"new")
            raise ZeroDivisionError
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


async def test_skipped_bytes_are_zero(tmp_path: Path) -> None:
    async with WholeFile(str(tmp_path / "file")) as file:
        await file.write(b"a")
        await file.skip(3)
        await file.write(b"b")
        await file.skip(2)
    assert (tmp_path / "file").read_bytes() == b"a\0\0\0b\0\0"


async def test_a_replaced_file_keeps_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "file"
    target.touch(0o640)
    target.chmod(0o640)
    async with WholeFile(str(target)):
        pass
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


async def test_a_symbolic_link_stays_one(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("real")
    async with WholeFile(str(tmp_path / "link")) as file:
        await file.write(b"x")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_bytes() == b"x"


async def test_a_pipe_is_written_and_not_replaced(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    reading = asyncio.create_task(asyncio.to_thread(fifo.read_bytes))
    async with WholeFile(str(fifo)) as file:
        await file.write(b"x")
        await file.skip(100_000)
    assert await reading == b"x" + bytes(100_000)
    assert stat.S_ISFIFO(fifo.stat().st_mode)


@pytest.mark.parametrize("filename", ["", ".", "missing/file", "nul\0byte"])
async def test_a_file_that_cannot_be_made_is_an_open_failure(
    tmp_path: Path, filename: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(errors.OpenFileFailed) as caught:
        async with WholeFile(filename):
            pass
    assert caught.value.data == {"filename": filename}
    assert os.listdir(tmp_path) == []


async def test_a_full_disk_is_an_io_error(tmp_path: Path) -> None:
    with pytest.raises(errors.IOError, match="No space left"):
        async with WholeFile("/dev/full") as file:
            await file.write(b"x")


async def test_cancellation_waits_for_the_write_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    pwrite = os.pwrite

    def slow(fd: int, data: bytes, offset: int) -> int:
        begun.set()
        go_on.wait(10)
        return pwrite(fd, data, offset)

    monkeypatch.setattr(os, "pwrite", slow)

    async def save() -> None:
        async with WholeFile(str(tmp_path / "file")) as file:
            await file.write(b"x")

    task = asyncio.create_task(save())
    await asyncio.to_thread(begun.wait, 10)
    task.cancel()
    go_on.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert os.listdir(tmp_path) == []
