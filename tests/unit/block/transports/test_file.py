"""Files of the host."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import threading
from pathlib import Path

import pytest
from tests.support.block_images import a_graph, raw_image

from varan.block import registry
from varan.block.base import BlockError, Data, ErrorKind, OpenOptions, Write
from varan.block.graph import Graph
from varan.block.request import read_bytes, write_bytes
from varan.block.transports import posix
from varan.block.transports.file import FileNode


async def opened(graph: Graph, path: str, **options) -> FileNode:
    node = await graph.open({"driver": "file", "filename": path}, options=OpenOptions(**options))
    assert isinstance(node, FileNode)
    return node


MODES = [{}, {"inline": True}, {"cache_direct": True}, {"cache_direct": True, "inline": True}]


@pytest.mark.parametrize("mode", MODES, ids=["loop", "inline", "direct", "direct-inline"])
async def test_vectored_requests_of_any_shape_match_a_model(tmp_path: Path, mode: dict[str, bool]):
    random_bytes = random.Random(7)
    size = 100_001
    model = bytearray(random_bytes.randbytes(size))
    async with a_graph() as graph:
        node = await opened(graph, raw_image(tmp_path, bytes(model)), **mode)
        for _ in range(150):
            offset = random_bytes.randrange(size)
            lengths = [random_bytes.choice([0, 1, 511, 512, 4096, 9000]) for _ in range(random_bytes.randrange(1, 5))]
            if random_bytes.random() < 0.5:
                data = [random_bytes.randbytes(length) for length in lengths]
                await node.write(offset, [memoryview(piece) for piece in data])
                model.extend(bytes(max(offset + sum(lengths) - len(model), 0)))
                model[offset : offset + sum(lengths)] = b"".join(data)
            else:
                into = [bytearray(b"\xee" * length) for length in lengths]
                await node.read(offset, [memoryview(piece) for piece in into])
                expected = bytes(model[offset : offset + sum(lengths)]).ljust(sum(lengths), b"\0")
                assert b"".join(into) == expected
            assert node.length == len(model)
        await node.flush()
    assert Path(node.filename).read_bytes() == model


@pytest.mark.parametrize("direct", [False, True])
async def test_concurrent_neighbours_in_one_block_do_not_undo_each_other(tmp_path: Path, direct: bool):
    async with a_graph() as graph:
        node = await opened(graph, raw_image(tmp_path, b"", 300), cache_direct=direct)
        pieces = [bytes([number]) * 700 for number in range(1, 60)]
        await asyncio.gather(*(node.write(i * 700, [memoryview(piece)]) for i, piece in enumerate(pieces)))
        assert await read_bytes(node, 0, node.length) == b"".join(pieces)
    assert Path(node.filename).read_bytes() == b"".join(pieces)


async def test_zeroing_and_writing_one_block_at_once_keeps_both_with_direct_io(tmp_path: Path):
    async with a_graph() as graph:
        node = await opened(graph, raw_image(tmp_path, b"\xff" * 8192), cache_direct=True, discard=True)
        for _ in range(20):
            await asyncio.gather(
                node.write(0, [memoryview(b"a" * 100)]),
                node.write_zeroes(100, 4000, Write.MAY_UNMAP),
                node.write(4100, [memoryview(b"b" * 100)]),
            )
            assert await read_bytes(node, 0, 4300) == b"a" * 100 + bytes(4000) + b"b" * 100 + b"\xff" * 100


async def test_more_buffers_than_the_kernel_takes_at_once_are_split(tmp_path: Path):
    count = 3 * posix.IOV_MAX + 7
    pieces = [bytes([i % 251]) * 3 for i in range(count)]
    for inline in (False, True):
        async with a_graph() as graph:
            node = await opened(graph, raw_image(tmp_path), inline=inline)
            await node.write(5, [memoryview(piece) for piece in pieces])
            into = [bytearray(3) for _ in pieces]
            await node.read(5, [memoryview(piece) for piece in into])
            assert b"".join(into) == b"".join(pieces)


async def test_short_transfers_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real_read, real_write = os.preadv, os.pwritev

    def short_read(fd, buffers, offset, flags=0):
        return real_read(fd, [next(buffer for buffer in buffers if len(buffer))[:7]], offset, flags)

    def short_write(fd, buffers, offset, flags=0):
        return real_write(fd, [next(buffer for buffer in buffers if len(buffer))[:5]], offset, flags)

    monkeypatch.setattr(os, "preadv", short_read)
    monkeypatch.setattr(os, "pwritev", short_write)
    async with a_graph() as graph:
        node = await opened(graph, raw_image(tmp_path))
        data = bytes(range(100))
        await node.write(1, [memoryview(data[:40]), memoryview(data[40:])])
        into = [bytearray(30), bytearray(71)]
        await node.read(0, [memoryview(piece) for piece in into])
        assert b"".join(into) == b"\0" + data


async def test_a_read_that_would_wait_goes_to_a_worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real, tried = os.preadv, []

    def would_wait(fd, buffers, offset, flags=0):
        tried.append(flags)
        if flags & os.RWF_NOWAIT:
            raise BlockingIOError(errno.EAGAIN, "again")
        return real(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", would_wait)
    async with a_graph() as graph:
        node = await opened(graph, raw_image(tmp_path, b"data"))
        assert await read_bytes(node, 0, 4) == b"data"
        assert await read_bytes(node, 0, 4) == b"data"
    assert tried == [os.RWF_NOWAIT, 0, os.RWF_NOWAIT, 0]


async def test_a_cancelled_request_ends_when_the_kernel_is_done_with_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    started, finish = threading.Event(), threading.Event()
    real = os.pwritev

    def slow(fd, buffers, offset, flags=0):
        if flags & os.RWF_NOWAIT:
            raise BlockingIOError(errno.EAGAIN, "again")
        started.set()
        assert finish.wait(10)
        return real(fd, buffers, offset)

    monkeypatch.setattr(os, "pwritev", slow)
    async with a_graph() as graph:
        node = await opened(graph, raw_image(tmp_path, b"old"))
        writing = asyncio.create_task(write_bytes(node, 0, b"new"))
        await asyncio.to_thread(started.wait, 10)
        for _ in range(3):
            writing.cancel()
            await asyncio.sleep(0)
        assert not writing.done()
        finish.set()
        with pytest.raises(asyncio.CancelledError):
            await writing
        assert await read_bytes(node, 0, 3) == b"new"


async def test_a_file_system_without_nowait_is_asked_only_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real, tried = os.preadv, []

    def cannot(fd, buffers, offset, flags=0):
        tried.append(flags)
        if flags:
            raise OSError(errno.EOPNOTSUPP, "not here")
        return real(fd, buffers, offset)

    monkeypatch.setattr(os, "preadv", cannot)
    async with a_graph() as graph:
        node = await opened(graph, raw_image(tmp_path, b"data"))
        for _ in range(3):
            assert await read_bytes(node, 0, 4) == b"data"
    assert tried == [os.RWF_NOWAIT, 0, 0, 0]


@pytest.mark.parametrize(
    ("number", "kind"),
    [(errno.ENOSPC, ErrorKind.NO_SPACE), (errno.EDQUOT, ErrorKind.NO_SPACE), (errno.EIO, ErrorKind.IO)],
)
@pytest.mark.parametrize("inline", [False, True])
async def test_host_errors_name_file_kind_and_place(tmp_path, monkeypatch, number: int, kind: ErrorKind, inline: bool):
    def fail(*arguments):
        raise OSError(number, "fails")

    path = raw_image(tmp_path, b"x" * 512)
    async with a_graph() as graph:
        node = await opened(graph, path, inline=inline)
        with monkeypatch.context() as patched:
            patched.setattr(os, "pwritev", fail)
            with pytest.raises(BlockError) as caught:
                await write_bytes(node, 17, b"y")
        assert (caught.value.kind, caught.value.where, caught.value.offset) == (kind, path, 17)
        assert str(caught.value) == f"{path}: {os.strerror(number)}"


async def test_a_full_device_is_no_space():
    async with a_graph() as graph:
        node = await graph.open({"driver": "host_device", "filename": "/dev/full"})
        with pytest.raises(BlockError) as caught:
            await node.write(0, [memoryview(b"x")])
        assert caught.value.kind is ErrorKind.NO_SPACE


async def test_after_a_failed_flush_no_later_one_succeeds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fail(fd):
        raise OSError(errno.EIO, "lost")

    graph = Graph()
    node = await opened(graph, raw_image(tmp_path, b"x" * 512))
    await write_bytes(node, 0, b"y")
    with monkeypatch.context() as patched:
        patched.setattr(os, "fdatasync", fail)
        with pytest.raises(BlockError):
            await node.flush()
    with pytest.raises(BlockError) as caught:
        await node.flush()
    assert "lost" in str(caught.value)
    with pytest.raises(BlockError):
        await graph.close(node)
    assert graph.nodes == {}, "closed in spite of it"


async def test_flushes_happen_only_where_something_was_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    synced: list[int] = []
    monkeypatch.setattr(os, "fdatasync", synced.append)
    async with a_graph() as graph:
        node = await opened(graph, raw_image(tmp_path, b"x" * 512))
        await node.flush()
        assert synced == []
        await write_bytes(node, 0, b"y")
        await node.flush()
        await node.flush()
        assert len(synced) == 1
        careless = await opened(graph, raw_image(tmp_path, b"x" * 512, name="other"), cache_no_flush=True)
        await write_bytes(careless, 0, b"y", Write.FUA)
        await careless.flush()
        assert len(synced) == 1


async def test_a_flush_does_not_rely_on_one_that_is_not_done(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    started, finish = threading.Semaphore(0), threading.Event()

    def slow(fd):
        started.release()
        assert finish.wait(10)

    async with a_graph() as graph:
        node = await opened(graph, raw_image(tmp_path, b"x" * 512))
        await write_bytes(node, 0, b"y")
        monkeypatch.setattr(os, "fdatasync", slow)
        first = asyncio.create_task(node.flush())
        await asyncio.to_thread(started.acquire, timeout=10)
        second = asyncio.create_task(node.flush())
        await asyncio.to_thread(started.acquire, timeout=10)
        assert not first.done() and not second.done()
        finish.set()
        await asyncio.gather(first, second)
        monkeypatch.setattr(os, "fdatasync", lambda fd: pytest.fail("nothing is left to flush"))
        await node.flush()
        monkeypatch.undo()


async def test_status_tells_holes_from_data(tmp_path: Path):
    path = raw_image(tmp_path, b"", 4 << 20)
    with open(path, "r+b") as stream:
        stream.seek(1 << 20)
        stream.write(b"x" * (1 << 20))
    async with a_graph() as graph:
        node = await opened(graph, path)
        hole = await node.block_status(0, 4 << 20)
        assert (hole.length, hole.flags) == (1 << 20, Data.ZERO | Data.ALLOCATED | Data.RAW_OFFSET)
        data = await node.block_status(1 << 20, 3 << 20)
        assert (data.length, data.offset, data.file) == (1 << 20, 1 << 20, node)
        assert data.flags == Data.DATA | Data.ALLOCATED | Data.RAW_OFFSET
        behind = await node.block_status(5 << 20, 512)
        assert (behind.length, behind.flags & Data.ZERO) == (512, Data.ZERO)


@pytest.mark.parametrize("unmap", [False, True])
async def test_zeroes_keep_or_give_back_space(tmp_path: Path, unmap: bool):
    path = raw_image(tmp_path, b"\xff" * (1 << 20))
    async with a_graph() as graph:
        node = await opened(graph, path, discard=True)
        await node.write_zeroes(0, 1 << 20, Write.MAY_UNMAP if unmap else Write.NONE)
        assert await read_bytes(node, 0, 1 << 20) == bytes(1 << 20)
    assert (os.stat(path).st_blocks == 0) is unmap


async def test_what_cannot_be_zeroed_at_once_is_in_two_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = posix.fallocate

    def like_tmpfs(fd, mode, offset, length):
        if mode & posix.FALLOC_ZERO_RANGE:
            raise OSError(errno.EOPNOTSUPP, "no")
        real(fd, mode, offset, length)

    monkeypatch.setattr(posix, "fallocate", like_tmpfs)
    path = raw_image(tmp_path, b"\xff" * (1 << 20))
    async with a_graph() as graph:
        node = await opened(graph, path)
        await node.write_zeroes(4096, 65536)
        assert await read_bytes(node, 4095, 65538) == b"\xff" + bytes(65536) + b"\xff"
    assert os.stat(path).st_blocks * 512 >= 1 << 20


async def test_zeroes_behind_the_end_make_the_file_longer(tmp_path: Path):
    async with a_graph() as graph:
        node = await opened(graph, raw_image(tmp_path, b"\xff" * 100), discard=True)
        await node.write_zeroes(50, 100_000, Write.MAY_UNMAP)
        assert node.length == 100_050
        assert await read_bytes(node, 0, 100_050) == b"\xff" * 50 + bytes(100_000)


@pytest.mark.parametrize("how", ["off", "falloc", "full"])
async def test_growing_preallocates_as_asked(tmp_path: Path, how: str):
    path = raw_image(tmp_path, b"abc")
    async with a_graph() as graph:
        node = await opened(graph, path)
        await node.truncate(1 << 20, how)
        assert await read_bytes(node, 0, 1 << 20) == b"abc" + bytes((1 << 20) - 3)
        assert (os.stat(path).st_blocks * 512 >= 1 << 20) is (how != "off")
        await node.truncate(2)
        assert (node.length, os.stat(path).st_size) == (2, 2)
        for bad in (("metadata", 5), (how, 1)) if how != "off" else (("metadata", 5),):
            with pytest.raises(BlockError) as caught:
                await node.truncate(bad[1], bad[0])
            assert caught.value.kind is ErrorKind.INVALID


async def test_the_host_is_asked_once_where_an_extent_of_data_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []
    real = posix.next_extent

    def counting(fd: int, offset: int, end: int) -> tuple[bool, int]:
        asked.append(offset)
        return real(fd, offset, end)

    monkeypatch.setattr(posix, "next_extent", counting)
    size = 1 << 20
    async with a_graph() as graph:
        node = await opened(graph, raw_image(tmp_path, b"\xff" * size), discard=True)
        for at in range(0, size, 65536):
            extent = await node.block_status(at, 65536)
            assert (extent.length, extent.offset) == (65536, at) and extent.flags & Data.DATA
        assert asked == [0]


@pytest.mark.parametrize("how", ["discard", "zeroes", "truncate"])
async def test_what_has_become_a_hole_is_no_data_any_more(tmp_path: Path, how: str):
    size = 1 << 20
    async with a_graph() as graph:
        node = await opened(graph, raw_image(tmp_path, b"\xff" * size), discard=True)
        assert (await node.block_status(0, size)).flags & Data.DATA
        if how == "discard":
            await node.discard(size // 2, size // 2)
        elif how == "zeroes":
            await node.write_zeroes(size // 2, size // 2, Write.MAY_UNMAP)
        else:
            await node.truncate(size // 2)
            await node.truncate(size)
        extent = await node.block_status(0, size)
        assert extent.flags & Data.DATA and extent.length == size // 2
        assert (await node.block_status(size // 2, size // 2)).flags & Data.ZERO


async def test_copying_happens_in_the_kernel(tmp_path: Path):
    async with a_graph() as graph:
        source = await opened(graph, raw_image(tmp_path, b"0123456789" * 1000, name="from"))
        target = await opened(graph, raw_image(tmp_path, name="to"))
        copied = await target.copy_range(source, 5, 3, 5000)
        assert copied == 5000
        assert target.length == 5003
        assert await read_bytes(target, 3, 10) == b"5678901234"


@pytest.mark.parametrize(
    "options",
    [{"preallocation": "perhaps"}, {"preallocation": "metadata"}],
)
async def test_creating_with_bad_options_leaves_nothing(tmp_path: Path, options: dict[str, str]):
    with pytest.raises(BlockError):
        await registry.driver("file").create(str(tmp_path / "new"), 512, options)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("size", [1 << 62, 1 << 63, 1 << 70])
async def test_creating_what_no_file_system_holds_leaves_nothing(tmp_path: Path, size: int):
    with pytest.raises(BlockError) as caught:
        await registry.driver("file").create(str(tmp_path / "new"), size, {})
    assert caught.value.kind is ErrorKind.NO_SPACE
    assert list(tmp_path.iterdir()) == []


async def test_creating_over_an_image_that_is_in_use_leaves_it_alone(tmp_path: Path):
    path = str(tmp_path / "used.qcow2")
    await registry.driver("qcow2").create(path, 1 << 20, {})
    async with a_graph() as graph:
        await graph.open(path)
        with pytest.raises(BlockError) as caught:
            await registry.driver("file").create(path, 512, {})
        assert caught.value.kind is ErrorKind.LOCKED
        assert os.stat(path).st_size > 512


async def test_a_fifo_does_not_hang_the_program(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    async with a_graph() as graph:
        with pytest.raises(BlockError) as caught:
            await graph.open(str(tmp_path / "fifo"), options=OpenOptions(read_only=True))
        assert caught.value.kind is ErrorKind.INVALID
