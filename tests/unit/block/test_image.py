"""Images as programs use them, and the examples in the manual."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path

import pytest

import varan.block
import varan.block.blocking
from varan.block import BlockError, ErrorKind
from varan.block.graph import Graph

MANUAL = Path(__file__).parents[3] / "docs" / "block.md"


async def test_an_image_is_written_and_read(tmp_path: Path):
    path = str(tmp_path / "a.qcow2")
    await varan.block.create(path, 1 << 20, format="qcow2", lazy_refcounts=True)
    async with varan.block.open(path, discard=True) as image:
        assert (image.format, image.length, image.read_only, image.filename) == ("qcow2", 1 << 20, False, path)
        await image.write(70_000, b"abc", bytearray(b"def"), stable=True)
        into = [bytearray(2), bytearray(5)]
        await image.read_into(69_999, *into)
        assert into == [b"\0a", b"bcdef"]
        await image.write_zeroes(70_001, 2)
        assert await image.read(70_000, 4) == b"a\0\0d"
        await image.discard(0, 1 << 20)
        await image.resize(2 << 20)
        assert [(part.offset, part.length, part.zero) async for part in image.status(1 << 20)] == [
            (1 << 20, 1 << 20, True)
        ]
        await image.flush()
    await image.close()


async def test_an_image_can_be_awaited_and_closed(tmp_path: Path):
    path = str(tmp_path / "a.raw")
    await varan.block.create(path, 4096)
    image = await varan.block.open(path, format="raw", read_only=True)
    with pytest.raises(BlockError) as caught:
        await image.write(0, b"x")
    assert caught.value.kind is ErrorKind.READ_ONLY
    await image.close()
    await image.close()


async def test_images_of_one_graph_share_nodes(tmp_path: Path):
    path = str(tmp_path / "a.raw")
    await varan.block.create(path, 4096)
    graph = Graph()
    async with varan.block.open({"driver": "raw", "file.filename": path, "node-name": "disk"}, graph=graph) as first:
        async with varan.block.open({"driver": "blkdebug", "image": "disk"}, graph=graph) as second:
            await second.write(0, b"seen")
            assert await first.read(0, 4) == b"seen"
        assert list(graph.nodes) == [first.node.children["file"].node.node_name, "disk"]
    assert graph.nodes == {}


async def test_secrets_are_looked_up_by_id(tmp_path: Path):
    path = str(tmp_path / "a.luks")
    options = {"key-secret": "k", "iter-time": "10"}
    await varan.block.create(path, 4096, format="luks", secrets={"k": b"right"}, **options)
    source = {"driver": "luks", "file.filename": path, "key-secret": "k"}
    for secrets in ({}, {"k": b"wrong"}, {"other": b"right"}):
        with pytest.raises(BlockError) as caught:
            await varan.block.open(source, secrets=secrets)
        assert caught.value.kind is ErrorKind.ENCRYPTED
    async with varan.block.open(source, secrets={"k": b"right"}) as image:
        await image.write(0, b"secret")
    assert b"secret" not in Path(path).read_bytes()


def test_without_a_loop_an_image_does_the_same(tmp_path: Path):
    path = str(tmp_path / "a.qcow2")
    varan.block.blocking.create(path, 1 << 20, format="qcow2")
    with varan.block.blocking.open(path, discard=True) as image:
        assert (image.format, image.length, image.read_only, image.filename) == ("qcow2", 1 << 20, False, path)
        image.write(100, b"abc", stable=True)
        into = bytearray(5)
        image.read_into(99, into)
        assert into == b"\0abc\0"
        image.write_zeroes(100, 1)
        assert image.read(100, 3) == b"\0bc"
        image.discard(0, 65536)
        image.resize(3 << 20)
        assert sum(part.length for part in image.status()) == 3 << 20
        image.flush()
    image.close()


def test_without_a_loop_waiting_filters_work(tmp_path: Path):
    path = str(tmp_path / "a.raw")
    varan.block.blocking.create(path, 4096)
    delay = {"driver": "blkdebug", "image.filename": path, "delay": [{"iotype": "read", "latency-ns": 1000}]}
    with varan.block.blocking.open({"driver": "raw", "file": delay}) as image:
        assert image.read(0, 4) == bytes(4)


def test_without_a_loop_a_failed_opening_leaves_nothing(tmp_path: Path):
    with pytest.raises(BlockError) as caught:
        varan.block.blocking.open(str(tmp_path / "missing"))
    assert caught.value.kind is ErrorKind.NOT_FOUND


def examples() -> str:
    """The manual's programs, one after another (some use what an earlier one made)."""
    blocks = re.findall(r"^```python\n(.*?)^```$", MANUAL.read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) >= 5
    return "\n".join(blocks)


def test_the_examples_in_the_manual_work(tmp_path: Path):
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", examples()], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert run.stderr == ""
    lines = run.stdout.splitlines()
    assert lines[0] == f"qcow2 {10 << 30}"
    assert "b'hello, disk'" in lines
    assert "NOT_FOUND - missing.qcow2: No such file or directory" in lines
    assert "b'U\\xaa'" in lines
    assert lines[-1] == "NO_SPACE"


def test_every_driver_is_in_the_manual():
    from varan.block import registry

    text = MANUAL.read_text()
    filters = [name for name in registry.names() if registry.driver(name).is_filter]
    assert [name for name in filters if f"`{name}`" not in text] == []


def test_importing_the_block_layer_is_cheap():
    code = "import sys, varan.block; sys.exit(bool({'numpy', 'cryptography', 'zstandard'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


async def test_a_request_that_is_cancelled_leaves_the_image_usable(tmp_path: Path):
    path = str(tmp_path / "a.qcow2")
    await varan.block.create(path, 16 << 20, format="qcow2")
    async with varan.block.open(path, cache_direct=True) as image:
        tasks = [asyncio.create_task(image.write(at << 16, b"x" * 65536)) for at in range(64)]
        await asyncio.sleep(0)
        for task in tasks[::2]:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        async with asyncio.timeout(10):
            assert await image.read(1 << 16, 65536) == b"x" * 65536
            await image.write(0, b"y" * 65536)
            await image.flush()
