from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.job_bench import OPTIONS, a_bench, content_of

from varan.block.image import open_image
from varan.block.jobs.starting import JobOptions
from varan.errors import BaseNotFound, DeviceInUse, GenericError

CHAIN = ["base.raw", "mid.qcow2", "top.qcow2"]


async def backing_name(path: str) -> str | None:
    async with open_image(path, format="qcow2", read_only=True) as image:
        name: str | None = image.node.metadata.header.backing_file  # type: ignore[attr-defined]
        return name


async def test_the_whole_chain_is_copied_while_the_guest_writes(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        bench.writer.begin()
        await bench.starter.stream("disk0", JobOptions(speed=8 << 20))
        await bench.until("BLOCK_JOB_COMPLETED")
        await bench.gone()
        assert bench.writer.rounds > 3
        await bench.writer.end()
        await bench.writer.check_all()
        assert len(bench.graph.nodes) == 2
    assert await backing_name(bench.path("top.qcow2")) is None
    (tmp_path / "base.raw").unlink()
    assert await content_of(bench.path("top.qcow2")) == bench.writer.content


@pytest.mark.parametrize("how", ["base", "base_node", "bottom"])
async def test_a_base_stays(tmp_path: Path, how: str) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        bench.writer.begin()
        middle = bench.root.children["backing"].node
        base = middle.children["backing"].node.node_name
        given = {"base": "base.raw", "base_node": base, "bottom": middle.node_name}[how]
        await bench.starter.stream("disk0", OPTIONS, **{how: given})
        await bench.gone()
        await bench.writer.end()
        await bench.writer.check_all()
    assert await backing_name(bench.path("top.qcow2")) == "base.raw"
    (tmp_path / "mid.qcow2").unlink()
    assert await content_of(bench.path("top.qcow2")) == bench.writer.content


async def test_an_image_below_is_streamed_into(tmp_path: Path) -> None:
    async with a_bench(tmp_path, ["a.raw", "b.qcow2", "c.qcow2", "d.qcow2"]) as bench:
        bench.writer.begin()
        middle = bench.root.children["backing"].node
        assert middle.read_only
        await bench.starter.stream(middle.node_name, JobOptions(id="job"), backing_file=None)
        await bench.gone()
        await bench.writer.end()
        await bench.writer.check_all()
        assert middle.read_only
    assert await backing_name(bench.path("c.qcow2")) is None
    assert await backing_name(bench.path("d.qcow2")) == "c.qcow2"
    assert await content_of(bench.path("d.qcow2")) == bench.writer.content


async def test_a_cancelled_stream_changes_nothing_that_is_seen(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        bench.writer.begin()
        await bench.starter.stream("disk0", JobOptions(speed=1 << 20))
        job = bench.manager.find("disk0")
        bench.manager.cancel(job, force=False)
        await bench.until("BLOCK_JOB_CANCELLED")
        await bench.gone()
        await bench.writer.end()
        await bench.writer.check_all()
        assert bench.root.driver == "qcow2"
    assert await backing_name(bench.path("top.qcow2")) == "mid.qcow2"


async def test_one_job_at_a_time_on_a_chain(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        await bench.starter.stream("disk0", JobOptions(speed=1))
        with pytest.raises(DeviceInUse, match="in use by block job: stream") as caught:
            await bench.starter.stream("disk0", JobOptions(id="other"))
        assert caught.value.data == {"device": "disk0"}


async def test_what_is_not_below_is_no_base(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        with pytest.raises(BaseNotFound, match="in the backing chain"):
            await bench.starter.stream("disk0", OPTIONS, base="other.raw")
        with pytest.raises(BaseNotFound):
            await bench.starter.stream("disk0", OPTIONS, base="top.qcow2")
        with pytest.raises(GenericError, match="streaming the entire chain"):
            await bench.starter.stream("disk0", OPTIONS, backing_file="x")
        assert bench.manager.jobs == {}


async def test_an_image_with_nothing_below_is_streamed_at_once(tmp_path: Path) -> None:
    async with a_bench(tmp_path, ["only.raw"]) as bench:
        await bench.starter.stream("disk0", OPTIONS)
        await bench.gone()
        (event,) = bench.seen("BLOCK_JOB_COMPLETED")
        assert (event.len, event.offset) == (0, 0)  # type: ignore[attr-defined]
