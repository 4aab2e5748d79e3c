"""Files that grow ahead of their data."""

from __future__ import annotations

import asyncio
import os
import random
from pathlib import Path

import pytest
from tests.support.block_images import a_graph, raw_image

from varan.block import registry
from varan.block.base import BlockError
from varan.block.request import read_bytes, truncate, write_bytes

KIB = 1024


async def test_a_file_grows_in_steps_and_is_cut_back_at_the_end(tmp_path: Path):
    path = raw_image(tmp_path, b"x" * 1000)
    async with a_graph() as graph:
        node = await graph.open(
            {"driver": "preallocate", "prealloc-size": 256 * KIB, "prealloc-align": 64 * KIB}
            | {"file": {"driver": "file", "filename": path}}
        )
        await node.write(1000, [memoryview(b"y" * 1000)])
        assert node.length == 2000
        assert os.stat(path).st_size == 320 * KIB
        sizes = set()
        for at in range(2000, 200 * KIB, 1000):
            await node.write(at, [memoryview(b"z" * 1000)])
            sizes.add(os.stat(path).st_size)
        assert sizes == {320 * KIB}
        end = node.length
        assert await read_bytes(node, 0, 3000) == b"x" * 1000 + b"y" * 1000 + b"z" * 1000
        await truncate(node, end + 5000)
        assert await read_bytes(node, end, 5000) == bytes(5000)
        end = node.length
    assert os.stat(path).st_size == end


async def test_a_format_over_it_has_the_same_content(tmp_path: Path):
    path = str(tmp_path / "a.qcow2")
    await registry.driver("qcow2").create(path, 8 << 20, {})
    async with a_graph() as graph:
        file = {"driver": "preallocate", "file": {"driver": "file", "filename": path}}
        node = await graph.open({"driver": "qcow2", "file": file})
        for at in range(0, 8 << 20, 1 << 20):
            await write_bytes(node, at, bytes([at >> 20]) * 70000)
        await node.flush()
        assert os.stat(path).st_size > 100 << 20
    assert os.stat(path).st_size < 10 << 20
    async with a_graph() as graph:
        node = await graph.open(path)
        assert [(await read_bytes(node, at << 20, 1))[0] for at in range(8)] == list(range(8))


async def test_writes_that_grow_the_file_at_once_all_count(tmp_path: Path):
    path = raw_image(tmp_path)
    async with a_graph() as graph:
        source = {"driver": "preallocate", "prealloc-size": 4 * KIB, "prealloc-align": 4 * KIB}
        node = await graph.open(source | {"file": {"driver": "file", "filename": path}})
        order = list(range(100))
        random.Random(5).shuffle(order)
        await asyncio.gather(*(node.write(at * 1000, [memoryview(bytes([at]) * 1000)]) for at in order))
        assert node.length == 100_000
    assert Path(path).read_bytes() == b"".join(bytes([at]) * 1000 for at in range(100))


@pytest.mark.parametrize("align", [0, 1, 513])
async def test_an_alignment_that_is_none_is_refused(tmp_path: Path, align: int):
    path = raw_image(tmp_path)
    async with a_graph() as graph:
        with pytest.raises(BlockError):
            await graph.open({"driver": "preallocate", "prealloc-align": align, "file.filename": path})
