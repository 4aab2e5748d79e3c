"""What is read through the filter is kept above the backing file."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from tests.support.block_images import a_graph, raw_image

from varan.block import registry
from varan.block.base import BlockError, Data, Node, OpenOptions
from varan.block.graph import Graph
from varan.block.request import backing_of, read_bytes, unfiltered, walk_status, write_bytes

SIZE = 1 << 20
CLUSTER = 65536


async def chain(directory: Path) -> str:
    """middle (one cluster of "m" at 1) over base (all "b"), under top."""
    raw_image(directory, b"b" * SIZE, name="base.raw")
    create = registry.driver("qcow2").create
    await create(str(directory / "middle.qcow2"), SIZE, {"backing_file": "base.raw", "backing_fmt": "raw"})
    async with a_graph() as graph:
        await write_bytes(await graph.open(str(directory / "middle.qcow2")), CLUSTER, b"m" * CLUSTER)
    top = str(directory / "top.qcow2")
    await create(top, SIZE, {"backing_file": "middle.qcow2", "backing_fmt": "qcow2"})
    return top


async def reading(graph: Graph, top: str, **options: object) -> Node:
    file = {"driver": "qcow2", "file.filename": top, "backing.node-name": "middle"}
    return await graph.open({"driver": "copy-on-read", "file": file, **options})


async def allocated(node: Node) -> list[int]:
    """The clusters that the image itself has."""
    top = unfiltered(node)
    found = []
    for cluster in range(SIZE // CLUSTER):
        extent = await top.block_status(cluster * CLUSTER, CLUSTER)
        if extent.flags & Data.ALLOCATED:
            found.append(cluster)
    return found


async def test_what_is_read_is_kept(tmp_path: Path):
    async with a_graph() as graph:
        node = await reading(graph, await chain(tmp_path))
        assert await read_bytes(node, CLUSTER - 2, 4) == b"bbmm"
        assert await allocated(node) == [0, 1]
        assert await read_bytes(node, CLUSTER - 2, 4) == b"bbmm"
        (tmp_path / "base.raw").write_bytes(b"?" * SIZE)
        assert await read_bytes(node, 0, CLUSTER) == b"b" * CLUSTER


async def test_what_was_written_is_not_overwritten(tmp_path: Path):
    async with a_graph() as graph:
        node = await reading(graph, await chain(tmp_path))
        await asyncio.gather(
            *(read_bytes(node, at, CLUSTER) for at in range(0, SIZE, CLUSTER)),
            *(write_bytes(node, at + 100, b"new") for at in range(0, SIZE, CLUSTER)),
            *(read_bytes(node, at, CLUSTER) for at in range(0, SIZE, CLUSTER)),
        )
        for at in range(0, SIZE, CLUSTER):
            assert await read_bytes(node, at + 99, 5) in (b"bnewb", b"mnewm")


async def test_only_what_lies_above_the_bottom_is_kept(tmp_path: Path):
    async with a_graph() as graph:
        node = await reading(graph, await chain(tmp_path), bottom="middle")
        assert await read_bytes(node, 0, 3 * CLUSTER) == b"b" * CLUSTER + b"m" * CLUSTER + b"b" * CLUSTER
        assert await allocated(node) == [1]


async def test_a_bottom_outside_the_chain_is_refused(tmp_path: Path):
    async with a_graph() as graph:
        with pytest.raises(BlockError) as caught:
            await reading(graph, await chain(tmp_path), bottom="elsewhere")
        assert "elsewhere" in str(caught.value)
        assert graph.nodes == {}


async def test_a_read_only_image_is_just_read(tmp_path: Path):
    async with a_graph() as graph:
        source = {"driver": "copy-on-read", "file": {"driver": "qcow2", "file.filename": await chain(tmp_path)}}
        node = await graph.open(source, options=OpenOptions(read_only=True))
        assert await read_bytes(node, 0, 4) == b"bbbb"
        assert await allocated(node) == []


async def test_chains_are_looked_up_through_filters(tmp_path: Path):
    async with a_graph() as graph:
        node = await reading(graph, await chain(tmp_path))
        assert backing_of(node) is graph.nodes["middle"]
        flags = [extent.flags & Data.ALLOCATED async for _, extent in walk_status(node, 0, SIZE)]
        assert all(flags)
