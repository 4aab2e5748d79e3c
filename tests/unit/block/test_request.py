"""Requests as users make them."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.block_images import a_graph, raw_image

from varan.block import request
from varan.block.base import BlockError, Data, ErrorKind, OpenOptions, Write
from varan.block.drive import WouldSuspendError, run_now
from varan.block.graph import Graph
from varan.block.transports.file import FileNode


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 4097), (4096, 1), (1 << 64, 1)])
async def test_requests_out_of_bounds_are_refused(tmp_path: Path, offset: int, length: int):
    async with a_graph() as graph:
        node = await graph.open(raw_image(tmp_path, b"", 4096), format="raw")
        for call in (
            request.read_bytes(node, offset, length),
            request.write_bytes(node, offset, bytes(length)),
            request.zero(node, offset, length),
            request.discard(node, offset, length),
        ):
            with pytest.raises(BlockError) as caught:
                await call
            assert caught.value.kind is ErrorKind.INVALID
        assert node.length == 4096


async def test_writes_to_a_read_only_node_are_refused(tmp_path: Path):
    async with a_graph() as graph:
        node = await graph.open(raw_image(tmp_path, b"", 4096), format="raw", options=OpenOptions(read_only=True))
        for call in (
            request.write_bytes(node, 0, b"x"),
            request.zero(node, 0, 1),
            request.discard(node, 0, 1),
            request.truncate(node, 1),
        ):
            with pytest.raises(BlockError) as caught:
                await call
            assert caught.value.kind is ErrorKind.READ_ONLY


async def test_zeroing_falls_back_to_writing_zeros(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    async def refuse(self, offset, length, flags=Write.NONE):
        raise BlockError(ErrorKind.UNSUPPORTED, "no")

    monkeypatch.setattr(FileNode, "write_zeroes", refuse)
    async with a_graph() as graph:
        node = await graph.open(raw_image(tmp_path, b"\xff" * (3 << 20)), format="raw")
        with pytest.raises(BlockError):
            await request.zero(node, 1, 2 << 20, Write.NO_FALLBACK)
        await request.zero(node, 1, 2 << 20)
        data = await request.read_bytes(node, 0, 3 << 20)
        assert data == b"\xff" + bytes(2 << 20) + b"\xff" * ((1 << 20) - 1)


@pytest.mark.parametrize(("mode", "discard"), [("on", False), ("unmap", True)])
async def test_zeros_are_detected_where_asked_for(tmp_path: Path, mode: str, discard: bool):
    path = raw_image(tmp_path, b"\xff" * (1 << 20))
    async with a_graph() as graph:
        node = await graph.open(path, format="raw", options=OpenOptions(detect_zeroes=mode, discard=discard))
        await request.write_bytes(node, 0, bytes(512 << 10))
        assert await request.read_bytes(node, 0, 1 << 20) == bytes(512 << 10) + b"\xff" * (512 << 10)
        status = [extent.flags async for _, extent in request.walk_status(node, 0, 512 << 10)]
        if mode == "unmap":
            assert all(flags & Data.ZERO for flags in status)


async def test_writethrough_makes_every_write_stable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    seen: list[Write] = []
    real = FileNode.write

    async def note(self, offset, buffers, flags=Write.NONE):
        seen.append(flags)
        await real(self, offset, buffers, flags)

    monkeypatch.setattr(FileNode, "write", note)
    async with a_graph() as graph:
        node = await graph.open(raw_image(tmp_path, b"", 512), format="raw", options=OpenOptions(cache_writeback=False))
        await request.write_bytes(node, 0, b"x")
    assert seen == [Write.FUA]


async def test_discards_are_ignored_unless_asked_for(tmp_path: Path):
    path = raw_image(tmp_path, b"\xff" * (1 << 20))
    async with a_graph() as graph:
        node = await graph.open(path, format="raw")
        await request.discard(node, 0, 1 << 20)
        assert await request.read_bytes(node, 0, 4) == b"\xff" * 4
        await graph.close(node)
        node = await graph.open(path, format="raw", options=OpenOptions(discard=True))
        await request.discard(node, 0, 1 << 20)
        assert await request.read_bytes(node, 0, 1 << 20) == bytes(1 << 20)
        assert Path(path).stat().st_blocks == 0


@pytest.mark.parametrize("length", [0, 1, (1 << 20) - 1, 1 << 20, (3 << 20) + 5])
def test_only_zeros_are_zero(length: int):
    assert request.is_zero(memoryview(bytes(length)))
    for place in {0, length // 2, length - 1} - {-1} if length else set():
        data = bytearray(length)
        data[place] = 1
        assert not request.is_zero(memoryview(data))


def test_without_a_loop_requests_run_on_the_spot(tmp_path: Path):
    graph = Graph()
    node = run_now(graph.open(raw_image(tmp_path, b"", 512), format="raw"))
    run_now(request.write_bytes(node, 3, b"abc"))
    run_now(node.flush())
    assert run_now(request.read_bytes(node, 0, 8)) == b"\0\0\0abc\0\0"
    run_now(graph.close_all())


def test_what_has_to_wait_cannot_be_driven_by_hand():
    class Wait:
        def __await__(self):
            yield

    async def wait() -> None:
        await Wait()

    with pytest.raises(WouldSuspendError):
        run_now(wait())
