from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.fake_machine import FakeMachine
from tests.support.job_bench import content_of, make_chain

from varan.block import request
from varan.commands import block_core as commands
from varan.errors import GenericError, VaranError


def options(directory: Path, **more: Any) -> dict[str, Any]:
    return {
        "driver": "qcow2",
        "node-name": "top",
        "file": {"driver": "file", "filename": f"{directory}/top.qcow2"},
    } | more


async def test_nodes_come_and_go(machine: FakeMachine, tmp_path: Path) -> None:
    await make_chain(tmp_path, ["base.raw", "top.qcow2"])
    await commands.blockdev_add(machine, options(tmp_path))
    graph = machine.drives.graph
    with pytest.raises(GenericError, match="Duplicate nodes with node-name='top'"):
        await commands.blockdev_add(machine, options(tmp_path))
    with pytest.raises(VaranError, match="'node-name' must be specified for the root node"):
        await commands.blockdev_add(machine, {"driver": "null-co"})
    below = graph.nodes["top"].children["backing"].node.node_name
    with pytest.raises(GenericError, match="not owned by the monitor"):
        await commands.blockdev_del(machine, below)
    backend = machine.drives.find("top")
    backend.attach("device 'vda'", write=True)
    with pytest.raises(GenericError, match="Node top is in use"):
        await commands.blockdev_del(machine, "top")
    await backend.detach()
    await commands.blockdev_del(machine, "top")
    with pytest.raises(GenericError, match="Failed to find node with node-name='top'"):
        await commands.blockdev_del(machine, "top")
    assert graph.nodes == {}


async def test_a_node_becomes_writable_and_read_only_again(machine: FakeMachine, tmp_path: Path) -> None:
    await make_chain(tmp_path, ["base.raw", "top.qcow2"])
    await commands.blockdev_add(machine, options(tmp_path, **{"read-only": True}))
    top = machine.drives.graph.nodes["top"]
    with pytest.raises(VaranError, match="read-only"):
        await request.write_bytes(top, 0, b"x" * 512)
    wanted = {"driver": "qcow2", "node-name": "top", "file": top.children["file"].node.node_name}
    await commands.blockdev_reopen(machine, [wanted])
    await request.write_bytes(top, 0, b"x" * 512)
    await commands.blockdev_reopen(machine, [wanted | {"read-only": True}])
    assert top.children["file"].node.read_only
    assert (await content_of(f"{tmp_path}/top.qcow2"))[:512] == b"x" * 512


async def test_another_backing_file(machine: FakeMachine, tmp_path: Path) -> None:
    await make_chain(tmp_path, ["base.raw", "top.qcow2"])
    await commands.blockdev_add(machine, options(tmp_path))
    await commands.blockdev_add(
        machine, {"driver": "null-co", "node-name": "zeros", "read-zeroes": True, "size": 4 << 20}
    )
    top = machine.drives.graph.nodes["top"]
    wanted = {"driver": "qcow2", "node-name": "top"}
    await commands.blockdev_reopen(machine, [wanted | {"backing": "zeros", "discard": "unmap"}])
    assert top.children["backing"].node.node_name == "zeros"
    assert top.options.discard
    await commands.blockdev_reopen(machine, [wanted | {"backing": None}])
    assert "backing" not in top.children


async def test_one_refusal_changes_nothing(machine: FakeMachine, tmp_path: Path) -> None:
    await make_chain(tmp_path, ["base.raw", "top.qcow2"])
    await commands.blockdev_add(machine, options(tmp_path))
    top = machine.drives.graph.nodes["top"]
    below = top.children["backing"].node
    edge = machine.drives.graph.attach(below, "an export", *below.granted)
    change = {"driver": "qcow2", "node-name": "top", "backing": None, "discard": "unmap"}
    for bad, message in (
        ({"driver": "raw", "node-name": "top"}, "Cannot change the option 'driver'"),
        ({"driver": "qcow2"}, "node-name not specified"),
        ({"driver": "qcow2", "node-name": "top", "file": "other"}, "Cannot change the option 'file'"),
        ({"driver": "qcow2", "node-name": "nope"}, "Failed to find node"),
        ({"driver": "qcow2", "node-name": "top", "backing": "top"}, "stands on node"),
    ):
        with pytest.raises(VaranError, match=message):
            await commands.blockdev_reopen(machine, [change, bad])
        assert top.children["backing"].node is below
        assert not top.options.discard
    await machine.drives.graph.detach(edge)
