"""Names that open a node again."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.job_bench import make_chain

from varan.block.graph import Graph
from varan.block.operations.names import reopening_name


@pytest.fixture
async def graph(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Graph]:
    monkeypatch.chdir(tmp_path)
    await make_chain(tmp_path, ["base.raw", "mid.qcow2", "top.qcow2"])
    (tmp_path / "other.raw").write_bytes(bytes(4096))
    graph = Graph()
    yield graph
    await graph.close_all()


def file(name: str) -> dict[str, Any]:
    return {"driver": "file", "filename": name}


@pytest.mark.parametrize(
    "options",
    [
        {"driver": "raw", "offset": 512, "size": 1024, "file": file("other.raw")},
        {"driver": "qcow2", "file": file("top.qcow2"), "backing": None},
        {
            "driver": "qcow2",
            "file": file("top.qcow2"),
            "backing": {"driver": "raw", "file": file("base.raw")},
        },
        {"driver": "copy-on-read", "file": {"driver": "qcow2", "file": file("top.qcow2")}},
        {"driver": "raw", "file": {"driver": "qcow2", "file": file("top.qcow2")}},
        {"driver": "null-co", "size": 4096, "read-zeroes": True},
        {"driver": "raw", "file": {"driver": "blkdebug", "align": 512, "image": file("other.raw")}},
    ],
)
async def test_options_that_matter_are_in_the_name(graph: Graph, options: dict[str, Any]) -> None:
    node = await graph.open(options)
    name = reopening_name(node)
    assert json.loads(name.removeprefix("json:")) == options
    await graph.close(node)
    again = await graph.open(name)
    assert reopening_name(again) == name


async def test_a_file_with_the_backing_file_it_names_needs_no_options(graph: Graph) -> None:
    node = await graph.open(
        {"driver": "qcow2", "cache.direct": False, "l2-cache-size": "1M", "file": file("top.qcow2")}
    )
    assert reopening_name(node) == "top.qcow2"
    backing = node.children["backing"].node
    assert reopening_name(backing) == "mid.qcow2"


async def test_a_filter_that_nobody_asked_for_is_passed_over(graph: Graph) -> None:
    node = await graph.open({"driver": "copy-on-read", "file": {"driver": "qcow2", "file": file("top.qcow2")}})
    node.implicit = True
    assert reopening_name(node) == "top.qcow2"


async def test_a_change_deep_in_the_chain_changes_the_names_above(graph: Graph) -> None:
    mid = {"driver": "qcow2", "file": file("mid.qcow2"), "backing": None}
    node = await graph.open({"driver": "qcow2", "file": file("top.qcow2"), "backing": mid})
    described = json.loads(reopening_name(node).removeprefix("json:"))
    assert described == {"driver": "qcow2", "file": file("top.qcow2"), "backing": mid}


async def test_the_backing_file_may_count_from_the_image_or_from_the_process(graph: Graph, tmp_path: Path) -> None:
    mid = {"driver": "qcow2", "file": file("mid.qcow2")}
    top = str(tmp_path / "top.qcow2")
    node = await graph.open({"driver": "qcow2", "file": file(top), "backing": mid})
    assert reopening_name(node) == top
