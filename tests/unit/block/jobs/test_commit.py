from __future__ import annotations

import random
from pathlib import Path

import pytest
from tests.support.job_bench import OPTIONS, a_bench, a_bench_again, content_of, make_chain
from tests.unit.block.jobs.test_stream import CHAIN, backing_name

from varan.block import create
from varan.block.image import open_image
from varan.block.jobs.base import BUFFER, CHUNK
from varan.block.jobs.starting import JobOptions
from varan.errors import GenericError, VaranError


async def test_an_image_between_is_moved_into_the_one_below(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        bench.writer.begin()
        await bench.starter.commit("disk0", OPTIONS, top="mid.qcow2")
        await bench.gone()
        (event,) = bench.seen("BLOCK_JOB_COMPLETED")
        assert event.error is not None and not isinstance(event.error, str)  # type: ignore[attr-defined]
        await bench.writer.end()
        await bench.writer.check_all()
        base = bench.root.children["backing"].node
        assert base.driver == "raw" and base.read_only and base.children["file"].node.read_only
    assert await backing_name(bench.path("top.qcow2")) == "base.raw"
    (tmp_path / "mid.qcow2").unlink()
    assert await content_of(bench.path("top.qcow2")) == bench.writer.content


async def test_the_topmost_image_is_moved_and_the_device_changes_over(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        bench.writer.begin()
        await bench.starter.commit("disk0", OPTIONS)
        await bench.until("BLOCK_JOB_READY")
        bench.manager.complete(bench.manager.find("disk0"))
        await bench.gone()
        await bench.writer.turn()
        await bench.writer.end()
        await bench.writer.check_all()
        assert bench.root.driver == "raw" and not bench.root.read_only
        assert len(bench.graph.nodes) == 2
    assert (tmp_path / "base.raw").read_bytes() == bench.writer.content


async def test_the_topmost_image_into_the_one_below_it(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        bench.writer.begin()
        await bench.starter.commit("disk0", OPTIONS, base="mid.qcow2")
        await bench.until("BLOCK_JOB_READY")
        bench.manager.complete(bench.manager.find("disk0"))
        await bench.gone()
        await bench.writer.end()
        await bench.writer.check_all()
        assert bench.root.filename == bench.path("mid.qcow2")
    assert await content_of(bench.path("mid.qcow2")) == bench.writer.content


@pytest.mark.parametrize("force", [True, False])
async def test_a_cancelled_commit_leaves_the_disk_where_it_was(tmp_path: Path, force: bool) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        bench.writer.begin()
        await bench.starter.commit("disk0", OPTIONS)
        await bench.until("BLOCK_JOB_READY")
        bench.manager.cancel(bench.manager.find("disk0"), force=force)
        await bench.until("BLOCK_JOB_CANCELLED" if force else "BLOCK_JOB_COMPLETED")
        await bench.gone()
        await bench.writer.end()
        await bench.writer.check_all()
        assert bench.root.filename == bench.path("top.qcow2")
        assert bench.graph.nodes[bench.root.children["backing"].node.node_name].read_only
    assert await content_of(bench.path("top.qcow2")) == bench.writer.content


async def test_a_shared_backing_file_is_not_committed_into(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        other = await bench.graph.open({"driver": "raw", "file.filename": bench.path("base.raw"), "read-only": "on"})
        base = bench.root.children["backing"].node.children["backing"].node
        edge = bench.graph.attach(base, "an export", *base.granted)
        with pytest.raises(VaranError, match="uses it as well"):
            await bench.starter.commit("disk0", OPTIONS)
        assert base.read_only
        await bench.graph.detach(edge)
        await bench.graph.close(other)
        await bench.writer.check_all()


async def test_what_cannot_be_committed_is_refused(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        for arguments, message in (
            ({"top": "mid.qcow2", "base": "top.qcow2"}, "in the backing chain"),
            ({"top": "other"}, "Top image file other not found"),
            ({"base_node": bench.root.node_name}, "into itself"),
            ({"backing_file": "x"}, "'top' is the active layer"),
        ):
            with pytest.raises(VaranError, match=message):
                await bench.starter.commit("disk0", OPTIONS, **arguments)
        with pytest.raises(GenericError, match="explicit job ID"):
            await bench.starter.commit(bench.root.node_name, JobOptions())
        assert bench.manager.jobs == {}


@pytest.mark.parametrize("at_once", [False, True], ids=["job", "at once"])
async def test_more_data_than_a_job_has_memory_for_are_moved_whole(tmp_path: Path, at_once: bool) -> None:
    size = 2 * CHUNK + BUFFER + 4096
    names = ["base.qcow2", "mid.qcow2", "top.qcow2"][: 2 if at_once else 3]
    await make_chain(tmp_path, names[:2], size=size)
    data = random.Random(size).randbytes(size)
    async with open_image(str(tmp_path / "mid.qcow2"), format="qcow2") as image:
        await image.write(0, data)
    if not at_once:
        below = {"backing_file": "mid.qcow2", "backing_fmt": "qcow2"}
        await create(str(tmp_path / "top.qcow2"), size, format="qcow2", **below)
    source = {"driver": "qcow2", "file.filename": str(tmp_path / names[-1])}
    async with a_bench_again(tmp_path, data, source=source) as bench:
        if at_once:
            await bench.starter.commit_at_once("disk0")
        else:
            await bench.starter.commit("disk0", OPTIONS, top="mid.qcow2")
            await bench.gone()
        await bench.writer.check_all()
    assert await content_of(bench.path("base.qcow2"), format="qcow2") == data
