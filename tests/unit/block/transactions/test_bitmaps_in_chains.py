"""Dirty bitmaps of an image that is put below another one, and that the other one is merged into again."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.job_bench import OPTIONS, Bench, a_bench

from varan.block import bitmaps
from varan.block.base import Node
from varan.block.image import open_image
from varan.block.jobs.starting import JobOptions
from varan.block.transactions.external import NewOverlay
from varan.block.transactions.marks import AddBitmap, EnableBitmap
from varan.block.transactions.running import run

CHAIN = ["base.raw", "top.qcow2"]
UNIT = 65536


async def write(bench: Bench, unit: int) -> None:
    data = bytes([unit + 1]) * UNIT
    await bench.backend.write(unit * UNIT, [memoryview(data)])
    bench.writer.content[unit * UNIT : (unit + 1) * UNIT] = data


async def marks(node: Node, name: str) -> list[int]:
    """The units that are dirty."""
    bitmap = await bitmaps.find(node, name)
    return [unit for unit in range(bitmap.size // UNIT) if bitmap.get(unit * UNIT)]


async def with_overlay(bench: Bench) -> Node:
    """The image with the bitmaps "kept" and "passing", which has got an overlay."""
    below = bench.root
    await run(
        bench.starter,
        AddBitmap("disk0", "kept", granularity=UNIT, persistent=True),
        AddBitmap("disk0", "passing", granularity=UNIT),
    )
    await write(bench, 1)
    await run(bench.starter, NewOverlay(bench.path("over.qcow2"), device="disk0"))
    await write(bench, 2)
    return below


async def test_a_bitmap_stays_with_its_image_and_is_stored_there(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        below = await with_overlay(bench)
        assert await marks(below, "kept") == await marks(below, "passing") == [1]
        async with open_image(bench.path("top.qcow2"), read_only=True, force_share=True) as stored:
            assert await marks(stored.node, "kept") == [1]
            assert not bitmaps.is_taken(stored.node, "passing")
        await run(bench.starter, EnableBitmap(below.node_name, "passing"))


async def test_what_is_merged_into_the_image_is_marked_and_so_is_what_is_written_later(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        below = await with_overlay(bench)
        await bench.starter.commit("disk0", OPTIONS, base_node=below.node_name)
        await bench.until("BLOCK_JOB_READY")
        await write(bench, 3)
        bench.manager.complete(bench.manager.find("disk0"))
        await bench.gone()
        assert bench.root is below
        await write(bench, 4)
        assert await marks(below, "kept") == await marks(below, "passing") == [1, 2, 3, 4]
        await bench.writer.check_all()
    async with open_image(bench.path("top.qcow2"), read_only=True) as stored:
        assert await marks(stored.node, "kept") == [1, 2, 3, 4]


async def test_an_image_between_others_is_marked_and_stores_it(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        below = await with_overlay(bench)
        middle = bench.root
        await run(bench.starter, NewOverlay(bench.path("more.qcow2"), device="disk0"))
        await write(bench, 3)
        await bench.starter.commit("disk0", OPTIONS, top_node=middle.node_name, base_node=below.node_name)
        await bench.gone()
        assert bench.failure() is None
        assert below.read_only
        assert await marks(below, "kept") == await marks(below, "passing") == [1, 2]
        async with open_image(bench.path("top.qcow2"), read_only=True, force_share=True) as stored:
            assert await marks(stored.node, "kept") == [1, 2]
        await bench.writer.check_all()


@pytest.mark.parametrize("cancel", [False, True])
async def test_streaming_marks_nothing_for_nothing_changes(tmp_path: Path, cancel: bool) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        await run(bench.starter, AddBitmap("disk0", "b", granularity=UNIT, persistent=True))
        await bench.starter.stream("disk0", JobOptions(speed=1 << 20 if cancel else 0))
        await write(bench, 5)
        if cancel:
            bench.manager.cancel(bench.manager.find("disk0"), force=True)
        await bench.gone()
        assert await marks(bench.root, "b") == [5]
