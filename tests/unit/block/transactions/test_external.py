"""Snapshots into new images while a guest writes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from tests.support.job_bench import OPTIONS, SIZE, Bench, a_bench, content_of

from varan.block import create
from varan.block.base import BlockError, ErrorKind
from varan.block.transactions.abort import Abort
from varan.block.transactions.external import NewOverlay, OpenOverlay
from varan.block.transactions.running import run
from varan.errors import (
    CreateFileFailed,
    DeviceInUse,
    GenericError,
    InvalidBlockFormat,
    IOError,
    NodeNotFound,
    OpenFileFailed,
)

CHAIN = ["base.raw", "top.qcow2"]


async def turns(bench: Bench, count: int = 10) -> None:
    rounds = bench.writer.rounds
    while bench.writer.rounds < rounds + count:
        await bench.writer.turn()


async def test_the_guest_goes_on_through_snapshots(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        bench.writer.begin()
        for number in range(3):
            await turns(bench)
            await run(bench.starter, NewOverlay(bench.path(f"s{number}.qcow2"), device="disk0", name=f"s{number}"))
            assert bench.root.node_name == f"s{number}"
            assert bench.graph.nodes[f"s{number}"].children["backing"].node.read_only
        await turns(bench)
        await bench.writer.end()
        await bench.writer.check_all()
        content = bytes(bench.writer.content)
    assert await content_of(bench.path("s2.qcow2")) == content


async def test_a_snapshot_of_what_is_below_holds_what_the_guest_had_written(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        await turns(bench)
        before = bytes(bench.writer.content)
        await run(bench.starter, NewOverlay(bench.path("s.qcow2"), device="disk0"))
        await turns(bench)
        assert await content_of(bench.path("top.qcow2"), force_share=True) == before


async def test_an_open_node_becomes_the_overlay(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        await create(bench.path("o.qcow2"), SIZE, format="qcow2")
        options: dict[str, Any] = {"driver": "qcow2", "node-name": "o", "file.filename": bench.path("o.qcow2")}
        node = await bench.graph.open(options, user=None)
        below = bench.root
        await run(bench.starter, OpenOverlay(below.node_name, "o"))
        assert bench.root is node and node.children["backing"].node is below
        await turns(bench)
        await bench.writer.check_all()
        with pytest.raises(GenericError, match="The overlay is already in use"):
            await run(bench.starter, OpenOverlay("disk0", "o"))


@pytest.mark.parametrize("existed", [False, True])
async def test_a_failed_transaction_leaves_disk_and_directory_as_they_were(tmp_path: Path, existed: bool) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        bench.writer.begin()
        target = bench.path("s.qcow2")
        if existed:
            Path(target).write_bytes(b"something")
        root, nodes, files = bench.root, set(bench.graph.nodes), sorted(os.listdir(tmp_path))
        again = NewOverlay(bench.path("s2.qcow2"), device="disk0")
        with pytest.raises(GenericError, match="Abort action"):
            await run(bench.starter, NewOverlay(target, device="disk0", name="s"), again, Abort())
        assert (bench.root, set(bench.graph.nodes), sorted(os.listdir(tmp_path))) == (root, nodes, files)
        assert not root.read_only
        await turns(bench)
        await bench.writer.end()
        await bench.writer.check_all()


async def test_errors_say_what_is_wrong(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        files = sorted(os.listdir(tmp_path))
        (tmp_path / "nothing").write_bytes(b"x" * 1000)
        for action, kind, message in (
            (NewOverlay("s", device="nope"), NodeNotFound, "Cannot find device='nope' nor node-name=''"),
            (NewOverlay("s", device="disk0", format="nope"), InvalidBlockFormat, "Unknown file format 'nope'"),
            (NewOverlay("s", device="disk0", format="nope", existing=True), InvalidBlockFormat, "Unknown driver"),
            (NewOverlay("s", device="disk0", format="raw"), GenericError, "Backing file not supported"),
            (NewOverlay("/nonexistent/s", device="disk0"), CreateFileFailed, "Could not create '/nonexistent/s': No"),
            (NewOverlay(bench.path("none"), device="disk0", existing=True), OpenFileFailed, "Could not open"),
            (NewOverlay(bench.path("nothing"), device="disk0", existing=True), OpenFileFailed, "^Image is not in"),
            (NewOverlay(bench.path("top.qcow2"), device="disk0"), GenericError, "same filename"),
            (NewOverlay(bench.path("base.raw"), device="disk0"), OpenFileFailed, "write"),
            (NewOverlay("s", node=bench.root.node_name), GenericError, "New overlay node-name missing"),
            (NewOverlay("s", device="disk0", name=bench.root.node_name), GenericError, "already in use"),
        ):
            with pytest.raises(kind, match=message) as caught:
                await run(bench.starter, action)
            if isinstance(caught.value, OpenFileFailed):
                assert (caught.value.class_name, caught.value.data) == ("OpenFileFailed", {"filename": action.file})
        os.unlink(tmp_path / "nothing")
        assert sorted(os.listdir(tmp_path)) == files
        await bench.writer.check_all()


async def test_a_disk_that_a_job_works_on_is_left_alone(tmp_path: Path) -> None:
    async with a_bench(tmp_path, CHAIN) as bench:
        await bench.starter.stream("disk0", OPTIONS)
        with pytest.raises(DeviceInUse, match="Node 'disk0' is busy: block device is in use by block job: stream"):
            await run(bench.starter, NewOverlay(bench.path("s.qcow2"), device="disk0"))
        await bench.gone()


async def test_a_disk_that_cannot_be_flushed_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def fail() -> None:
        raise BlockError(ErrorKind.IO, "the disk is gone")

    async with a_bench(tmp_path, CHAIN) as bench:
        await bench.writer.turn()
        root = bench.root
        with monkeypatch.context() as patches:
            patches.setattr(root, "flush", fail)
            with pytest.raises(IOError, match="the disk is gone"):
                await run(bench.starter, NewOverlay(bench.path("s.qcow2"), device="disk0"))
        assert bench.root is root
        assert not (tmp_path / "s.qcow2").exists()
        await bench.writer.check_all()


async def test_an_overlay_elsewhere_finds_the_image_below(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "elsewhere").mkdir()
    source = {"driver": "qcow2", "file.filename": "top.qcow2"}
    async with a_bench(tmp_path, CHAIN, source=source) as bench:
        await run(bench.starter, NewOverlay("elsewhere/s.qcow2", device="disk0"))
        await turns(bench)
        content = bytes(bench.writer.content)
    assert await content_of("elsewhere/s.qcow2") == content
