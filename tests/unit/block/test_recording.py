"""Dirty bitmaps of nodes of every kind, changed in every way."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from varan.block import create, request
from varan.block.backend import BlockBackend
from varan.block.base import BlockError, Node, Write
from varan.block.bitmaps import add, every, find, remove
from varan.block.graph import Graph

SIZE = 1 << 20
GRANULE = 4096


async def a_node(graph: Graph, directory: Path, driver: str) -> Node:
    path = str(directory / "image")
    if driver == "null-co":
        return await graph.open({"driver": "null-co", "size": SIZE})
    await create(path, SIZE, format="qcow2" if driver == "qcow2" else "raw")
    if driver == "throttle":
        return await graph.open({"driver": "preallocate", "file": {"driver": "file", "filename": path}})
    return await graph.open(
        {"driver": driver, "file.filename": path} if driver != "file" else f"file:{path}", format=driver
    )


@pytest.mark.parametrize("driver", ["raw", "file", "qcow2", "null-co", "throttle"])
async def test_what_changes_is_marked_and_nothing_else(tmp_path: Path, driver: str) -> None:
    graph = Graph()
    node = await a_node(graph, tmp_path, driver)
    bitmap = add(node, "b", granularity=GRANULE)
    await request.read_bytes(node, 0, SIZE)
    assert list(bitmap.areas()) == []
    await request.write_bytes(node, GRANULE, b"x" * 512)
    await request.zero(node, 8 * GRANULE, 2 * GRANULE)
    await node.discard(16 * GRANULE, GRANULE)
    await request.write_bytes(node, 32 * GRANULE, bytes(512), Write.UNCHANGED)
    assert list(bitmap.areas()) == [(GRANULE, GRANULE), (8 * GRANULE, 2 * GRANULE), (16 * GRANULE, GRANULE)]
    bitmap.enabled = False
    await request.write_bytes(node, 64 * GRANULE, b"x")
    assert not bitmap.get(64 * GRANULE)
    await remove(node, "b")
    assert "write" not in vars(node)
    await request.write_bytes(node, 0, b"x")
    await graph.close_all()


async def test_writes_that_do_not_wait_are_marked(tmp_path: Path) -> None:
    graph = Graph()
    await create(str(tmp_path / "image"), SIZE)
    node = await graph.open({"driver": "raw", "file.filename": str(tmp_path / "image")}, user=None)
    backend = BlockBackend(graph, "d0", node)
    backend.attach("device 'vda'", write=True)
    bitmap = add(node, "b", granularity=GRANULE)

    def from_a_thread() -> bool:
        return backend.write_now(3 * GRANULE, [memoryview(bytes(512))])

    assert await asyncio.to_thread(from_a_thread)
    assert list(bitmap.areas()) == [(3 * GRANULE, GRANULE)]
    await backend.detach()
    await graph.close_all()


async def test_a_failed_write_is_marked_for_it_may_have_happened_in_part(tmp_path: Path) -> None:
    graph = Graph()
    path = str(tmp_path / "image")
    await create(path, SIZE)
    rules = [{"event": "none", "iotype": "write", "errno": "EIO", "once": True}]
    node = await graph.open(
        {"driver": "raw", "file": {"driver": "blkdebug", "image.filename": path, "inject-error": rules}}
    )
    bitmap = add(node, "b", granularity=GRANULE)
    with pytest.raises(BlockError):
        await request.write_bytes(node, 0, b"x")
    assert bitmap.get(0)
    await graph.close_all()


async def test_bitmaps_follow_the_size(tmp_path: Path) -> None:
    graph = Graph()
    node = await a_node(graph, tmp_path, "qcow2")
    bitmap = add(node, "b", granularity=GRANULE)
    await request.truncate(node, 2 * SIZE)
    assert bitmap.size == 2 * SIZE
    await request.write_bytes(node, 2 * SIZE - 1, b"x")
    assert list(bitmap.areas()) == [(2 * SIZE - GRANULE, GRANULE)]
    await graph.close_all()


async def test_an_image_that_becomes_read_only_and_writable_again_keeps_its_bitmaps(tmp_path: Path) -> None:
    from varan.block import rewire

    graph = Graph()
    await create(str(tmp_path / "image"), SIZE, format="qcow2")
    node = await graph.open({"driver": "qcow2", "file.filename": str(tmp_path / "image")}, user=None)
    add(node, "kept", granularity=GRANULE, persistent=True)
    add(node, "passing", granularity=GRANULE)
    await request.write_bytes(node, 0, b"x")
    for read_only in (True, False):
        async with rewire.quiet(graph, node):
            await rewire.reopen(graph, node, read_only=read_only)
        assert {(each.name, each.persistent, each.count) async for each in every(node)} == {
            ("kept", True, GRANULE),
            ("passing", False, GRANULE),
        }
    await request.write_bytes(node, 2 * GRANULE, b"x")
    assert (await find(node, "kept")).count == (await find(node, "passing")).count == 2 * GRANULE
    await graph.close_all()
