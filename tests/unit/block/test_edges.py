"""Permissions through a graph, whatever comes and goes."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.block_images import raw_image

from varan.block import permissions, registry
from varan.block.base import BlockError, Edge, ErrorKind, Node, Permission
from varan.block.drive import run_now
from varan.block.graph import Graph

some = st.integers(0, 15).map(Permission)
steps = st.lists(
    st.one_of(
        st.tuples(st.just("attach"), st.sampled_from(["top", "base", "basefile", "filter"]), some, some),
        st.tuples(st.just("change"), st.integers(0, 9), some, some),
        st.tuples(st.just("detach"), st.integers(0, 9), some, some),
    ),
    max_size=25,
)


def state(graph: Graph) -> dict[str, object]:
    """Everything that a refused change must leave as it was."""
    return {
        name: (node.granted, [(id(edge), edge.permissions, edge.shared) for edge in graph.parents(node)])
        for name, node in graph.nodes.items()
    }


def check(graph: Graph) -> None:
    """All parents of every node get along, and each edge carries what its parent needs."""
    for node in graph.nodes.values():
        edges = graph.parents(node)
        assert node.granted == permissions.together(edges)
        for edge in edges:
            assert not any(permissions.conflict(edge, other) for other in edges if other is not edge)
        for role, edge in node.children.items():
            assert (edge.permissions, edge.shared) == node.child_permissions(role, *node.granted)


def build(directory: Path) -> Graph:
    """A qcow2 image over a raw base, and a filter over it."""
    graph = Graph(inline=True)
    path = str(directory / "top.qcow2")
    raw_image(directory, b"", 1 << 16, "base.raw")
    run_now(registry.driver("qcow2").create(path, 1 << 16, {"backing_file": "base.raw", "backing_fmt": "raw"}))
    top = {
        "driver": "qcow2",
        "node-name": "top",
        "file": {"driver": "file", "filename": path},
        "backing": {"node-name": "base", "file.node-name": "basefile"},
    }
    run_now(graph.open({"driver": "copy-on-read", "node-name": "filter", "file": top}, user=None))
    return graph


@settings(max_examples=80, deadline=None)
@given(steps)
def test_any_comings_and_goings_keep_all_in_agreement(sequence):
    with tempfile.TemporaryDirectory() as directory:
        graph = build(Path(directory))
        edges: list[Edge] = []
        check(graph)
        for what, which, wanted, shared in sequence:
            before = state(graph)
            try:
                if what == "attach":
                    edges.append(graph.attach(graph.nodes[which], f"user {len(edges)}", wanted, shared))
                elif edges and what == "change":
                    graph.change(edges[which % len(edges)], wanted, shared)
                elif edges:
                    run_now(graph.detach(edges.pop(which % len(edges))))
            except BlockError as error:
                assert error.kind in (ErrorKind.IN_USE, ErrorKind.READ_ONLY)
                assert state(graph) == before
            check(graph)
        for edge in edges:
            run_now(graph.detach(edge))
        run_now(graph.close_all())
        assert graph.nodes == {}


def test_a_refusal_deep_below_undoes_everything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    graph = build(tmp_path)
    before = state(graph)
    file = graph.nodes["top"].children["file"].node

    def refuse(self: Node, wanted: Permission, shared: Permission) -> None:
        raise BlockError(ErrorKind.LOCKED, "taken", where=self.filename)

    with monkeypatch.context() as patched:
        patched.setattr(type(graph.nodes["basefile"]), "permissions_changed", refuse)
        with pytest.raises(BlockError) as caught:
            graph.attach(graph.nodes["filter"], "device 'x'", Permission.CONSISTENT_READ, Permission.CONSISTENT_READ)
        assert caught.value.kind is ErrorKind.LOCKED
    assert state(graph) == before
    assert file.granted[0] & Permission.WRITE
    run_now(graph.close_all())


def test_permissions_have_the_protocols_names():
    assert permissions.names(Permission.ALL) == ["consistent-read", "write", "write-unchanged", "resize"]
    assert permissions.words(Permission.NONE) == "nothing"
