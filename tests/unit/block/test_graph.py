"""Opening, naming, sharing and closing nodes."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.block_images import a_graph, raw_image

from varan.block import registry
from varan.block.base import BlockError, ErrorKind, OpenOptions, Permission
from varan.block.drive import run_now
from varan.block.graph import MAX_CHAIN, Graph
from varan.block.request import read_bytes, write_bytes


async def qcow2_image(directory: Path, name: str, size: int = 1 << 20, **options: str) -> str:
    path = str(directory / name)
    await registry.driver("qcow2").create(path, size, {key.replace("_", "-"): value for key, value in options.items()})
    return path


async def overlay(directory: Path, name: str, backing: str, form: str = "qcow2") -> str:
    path = str(directory / name)
    await registry.driver("qcow2").create(path, 1 << 20, {"backing_file": backing, "backing_fmt": form})
    return path


async def refused(graph: Graph, source, **arguments) -> BlockError:
    before = set(graph.nodes)
    with pytest.raises(BlockError) as caught:
        await graph.open(source, **arguments)
    assert set(graph.nodes) == before, "a failed opening leaves nodes behind"
    return caught.value


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def test_a_file_name_opens_a_format_over_a_file(tmp_path: Path):
    path = await qcow2_image(tmp_path, "a.qcow2")
    async with a_graph() as graph:
        node = await graph.open(path)
        assert (node.driver, node.filename) == ("qcow2", path)
        assert node.children["file"].node.driver == "file"
        assert node.node_name.startswith("#block")
        await graph.close(node)
        assert graph.nodes == {}


@pytest.mark.parametrize(
    "spell",
    [
        lambda path: path,
        lambda path: f"file:{path}",
        lambda path: {"driver": "raw", "file": {"driver": "file", "filename": path}},
        lambda path: {"driver": "raw", "file.filename": path},
        lambda path: {"driver": "raw", "filename": path},
        lambda path: {"file.filename": path},
        lambda path: "json:" + json.dumps({"driver": "raw", "file": {"driver": "file", "filename": path}}),
        lambda path: {"filename": "json:" + json.dumps({"driver": "raw"}), "file.filename": path},
        lambda path: {"driver": "raw", "file.filename": "json:" + json.dumps({"driver": "file", "filename": path})},
    ],
)
async def test_every_spelling_opens_the_same_image(tmp_path: Path, spell):
    path = raw_image(tmp_path, b"content", 4096)
    async with a_graph() as graph:
        node = await graph.open(spell(path))
        assert (node.driver, node.filename, await read_bytes(node, 0, 7)) == ("raw", path, b"content")


async def test_the_nodes_of_a_protocol_can_be_opened_bare(tmp_path: Path):
    path = raw_image(tmp_path, b"x", 512)
    async with a_graph() as graph:
        node = await graph.open({"driver": "file", "filename": path, "node-name": "proto0"})
        assert (node.driver, node.node_name) == ("file", "proto0")
        above = await graph.open({"driver": "raw", "file": "proto0"})
        assert above.children["file"].node is node
        await graph.close(above)
        assert list(graph.nodes) == ["proto0"], "a node that its opener holds stays"


async def test_unknown_things_are_named_and_nothing_stays_open(tmp_path: Path):
    path = raw_image(tmp_path, b"x", 512)
    async with a_graph() as graph:
        files = open_files()
        assert "'carrier-pigeon'" in str(await refused(graph, "carrier-pigeon:a"))
        assert "'vmfloppy'" in str(await refused(graph, path, format="vmfloppy"))
        assert "'color'" in str(await refused(graph, {"driver": "raw", "file.filename": path, "color": "red"}))
        assert "'mode'" in str(await refused(graph, {"driver": "raw", "file.filename": path, "file.mode": "1"}))
        assert "'nobody'" in str(await refused(graph, {"driver": "raw", "file": "nobody"}))
        assert "'file'" in str(await refused(graph, {"driver": "raw"}))
        assert "driver" in str(await refused(graph, {}))
        assert "driver" in str(await refused(graph, {"driver": 5, "file.filename": path}))
        assert "and format" in str(await refused(graph, {"driver": "raw", "filename": path}, format="qcow2"))
        missing = await refused(graph, str(tmp_path / "missing"))
        assert missing.kind is ErrorKind.NOT_FOUND
        assert "missing: No such file or directory" in str(missing)
        assert (await refused(graph, str(tmp_path))).kind is ErrorKind.INVALID
        assert (await refused(graph, "a\0b")).kind is ErrorKind.INVALID
        assert open_files() == files


async def test_a_node_name_is_taken_only_once(tmp_path: Path):
    path = raw_image(tmp_path, b"x", 512)
    async with a_graph() as graph:
        await graph.open(
            {"driver": "raw", "file.filename": path, "node-name": "disk0"}, options=OpenOptions(read_only=True)
        )
        error = await refused(
            graph, {"driver": "raw", "file.filename": path, "node-name": "disk0"}, options=OpenOptions(read_only=True)
        )
        assert "'disk0'" in str(error)


async def test_backing_files_are_found_beside_the_image_and_opened_read_only(tmp_path: Path):
    raw_image(tmp_path, b"base", 1 << 20, "base.raw")
    await overlay(tmp_path, "middle.qcow2", "base.raw", "raw")
    top = await overlay(tmp_path, "top.qcow2", "middle.qcow2")
    async with a_graph() as graph:
        node = await graph.open(top)
        middle = node.children["backing"].node
        base = middle.children["backing"].node
        assert [each.read_only for each in (node, middle, base)] == [False, True, True]
        assert base.filename == str(tmp_path / "base.raw")
        assert await read_bytes(node, 0, 4) == b"base"
        await graph.close(node)
        assert graph.nodes == {}


async def test_the_backing_file_can_be_another_or_none(tmp_path: Path):
    raw_image(tmp_path, b"base", 1 << 20, "base.raw")
    other = raw_image(tmp_path, b"other", 1 << 20, "other.raw")
    top = await overlay(tmp_path, "top.qcow2", "base.raw", "raw")
    async with a_graph() as graph:
        options = {"driver": "qcow2", "file.filename": top, "backing": {"driver": "raw", "file.filename": other}}
        node = await graph.open(options)
        assert await read_bytes(node, 0, 5) == b"other"
        await graph.close(node)
        node = await graph.open({"driver": "qcow2", "file.filename": top, "backing": None})
        assert "backing" not in node.children
        assert await read_bytes(node, 0, 5) == bytes(5)


async def test_options_can_be_given_for_the_backing_file_that_the_image_names(tmp_path: Path):
    raw_image(tmp_path, b"QFI\xfb", 1 << 20, "base.raw")
    top = await overlay(tmp_path, "top.qcow2", "base.raw", "raw")
    async with a_graph() as graph:
        source = {"driver": "qcow2", "file.filename": top, "backing": {"node-name": "below", "cache.direct": "on"}}
        node = await graph.open(source)
        assert node.children["backing"].node is graph.nodes["below"]
        assert graph.nodes["below"].options.cache_direct
        assert graph.nodes["below"].driver == "raw"
        alone = await qcow2_image(tmp_path, "alone.qcow2")
        error = await refused(graph, {"driver": "qcow2", "file.filename": alone, "backing.node-name": "x"})
        assert "names no backing file" in str(error)


async def test_a_missing_backing_file_is_told_with_both_names(tmp_path: Path):
    raw_image(tmp_path, b"", 1 << 20, "base.raw")
    top = await overlay(tmp_path, "top.qcow2", "base.raw", "raw")
    (tmp_path / "base.raw").unlink()
    async with a_graph() as graph:
        error = await refused(graph, top)
        assert error.kind is ErrorKind.NOT_FOUND
        assert "top.qcow2: could not open its backing file" in str(error)
        assert "base.raw: No such file" in str(error)


async def test_a_chain_that_leads_back_to_itself_is_refused(tmp_path: Path):
    await qcow2_image(tmp_path, "a.qcow2")
    top = await overlay(tmp_path, "b.qcow2", "a.qcow2")
    (tmp_path / "a.qcow2").unlink()
    os.link(top, tmp_path / "a.qcow2")
    async with a_graph() as graph:
        files = open_files()
        error = await refused(graph, top, options=OpenOptions(read_only=True))
        assert "leads back" in str(error)
        assert open_files() == files


async def test_a_chain_has_a_bounded_length(tmp_path: Path):
    name = await qcow2_image(tmp_path, "0.qcow2", 65536)
    for number in range(1, MAX_CHAIN + 2):
        path = str(tmp_path / f"{number}.qcow2")
        await registry.driver("qcow2").create(
            path, 65536, {"backing_file": os.path.basename(name), "backing_fmt": "qcow2"}
        )
        name = path
    async with a_graph() as graph:
        error = await refused(graph, name)
        assert f"more than {MAX_CHAIN}" in str(error)
        assert len(str(error)) < 400


async def test_options_nested_too_deeply_are_refused(tmp_path: Path):
    source: dict[str, object] = {"driver": "file", "filename": raw_image(tmp_path, b"x")}
    for _ in range(300):
        source = {"driver": "raw", "file": source}
    async with a_graph() as graph:
        assert (await refused(graph, source)).kind is ErrorKind.INVALID


async def test_read_only_files_need_read_only_or_auto_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    path = raw_image(tmp_path, b"x", 512)
    real_open = os.open

    def refuse_writing(name, flags, *rest, **named):
        if flags & os.O_RDWR and name == path:
            raise PermissionError(13, "Permission denied")
        return real_open(name, flags, *rest, **named)

    monkeypatch.setattr(os, "open", refuse_writing)
    async with a_graph() as graph:
        assert (await refused(graph, path)).kind is ErrorKind.PERMISSION
        node = await graph.open(path, options=OpenOptions(auto_read_only=True))
        assert node.read_only
        with pytest.raises(BlockError) as caught:
            await write_bytes(node, 0, b"y")
        assert caught.value.kind is ErrorKind.READ_ONLY


async def test_a_writable_format_over_a_read_only_node_is_refused(tmp_path: Path):
    path = raw_image(tmp_path, b"x", 512)
    async with a_graph() as graph:
        await graph.open({"driver": "file", "filename": path, "node-name": "f", "read-only": True}, user=None)
        assert (await refused(graph, {"driver": "raw", "file": "f"})).kind is ErrorKind.READ_ONLY
        node = await graph.open({"driver": "raw", "file": "f", "read-only": "on"})
        assert node.read_only


async def test_conflicts_name_both_parties_and_change_nothing(tmp_path: Path):
    path = raw_image(tmp_path, b"x", 512)
    async with a_graph() as graph:
        node = await graph.open({"driver": "raw", "file.filename": path, "node-name": "disk"}, user=None)
        write = Permission.CONSISTENT_READ | Permission.WRITE
        edge = graph.attach(node, "device 'ide0'", write, Permission.CONSISTENT_READ)
        with pytest.raises(BlockError) as caught:
            graph.attach(node, "job 'backup'", write, Permission.ALL)
        assert caught.value.kind is ErrorKind.IN_USE
        assert str(caught.value).endswith(
            "job 'backup' wants 'write' on node 'disk', which device 'ide0' does not share"
        )
        assert [parent.parent for parent in graph.parents(node)] == ["device 'ide0'"]
        reader = graph.attach(node, "job 'backup'", Permission.CONSISTENT_READ, Permission.ALL)
        with pytest.raises(BlockError):
            graph.change(reader, write, Permission.ALL)
        assert reader.permissions == Permission.CONSISTENT_READ
        await graph.detach(edge)
        graph.change(reader, write, Permission.ALL)
        await graph.detach(reader)


async def test_a_formats_file_is_its_own(tmp_path: Path):
    path = await qcow2_image(tmp_path, "a.qcow2")
    async with a_graph() as graph:
        node = await graph.open({"driver": "qcow2", "file": {"driver": "file", "filename": path, "node-name": "f"}})
        error = await refused(graph, {"driver": "raw", "file": "f"})
        assert error.kind is ErrorKind.IN_USE
        assert node.node_name in str(error)
        wanted, shared = graph.nodes["f"].granted
        assert wanted == Permission.CONSISTENT_READ | Permission.WRITE | Permission.RESIZE
        assert not shared & Permission.WRITE


async def test_a_backing_file_of_two_overlays_cannot_be_written(tmp_path: Path):
    base = await qcow2_image(tmp_path, "base.qcow2")
    top = await overlay(tmp_path, "top.qcow2", "base.qcow2")
    async with a_graph() as graph:
        shared_base = await graph.open({"driver": "qcow2", "file.filename": base, "node-name": "base"}, user=None)
        first = await graph.open({"driver": "qcow2", "file.filename": top, "backing": "base"})
        edge = graph.parents(shared_base)[0]
        assert edge.parent == f"node '{first.node_name}' (as its backing)"
        assert edge.permissions == Permission.CONSISTENT_READ
        first_user = graph.parents(first)[0]
        graph.change(first_user, Permission.CONSISTENT_READ, Permission.CONSISTENT_READ)
        with pytest.raises(BlockError) as caught:
            graph.attach(shared_base, "device 'x'", Permission.WRITE, Permission.ALL)
        assert first.node_name in str(caught.value)


async def test_a_backing_file_can_be_replaced_while_open(tmp_path: Path):
    raw_image(tmp_path, b"base", 1 << 20, "base.raw")
    other = raw_image(tmp_path, b"other", 1 << 20, "other.raw")
    top = await overlay(tmp_path, "top.qcow2", "base.raw", "raw")
    async with a_graph() as graph:
        node = await graph.open(top)
        old = node.children["backing"].node
        new = await graph.open(other, format="raw", options=OpenOptions(read_only=True), user=None)
        await graph.replace(node, "backing", new)
        assert await read_bytes(node, 0, 5) == b"other"
        assert old.node_name not in graph.nodes
        await graph.replace(node, "backing", None)
        assert await read_bytes(node, 0, 5) == bytes(5)


async def test_a_node_cannot_be_put_under_itself(tmp_path: Path):
    raw_image(tmp_path, b"base", 1 << 20, "base.raw")
    await overlay(tmp_path, "middle.qcow2", "base.raw", "raw")
    top = await overlay(tmp_path, "top.qcow2", "middle.qcow2")
    async with a_graph() as graph:
        node = await graph.open(top)
        middle = node.children["backing"].node
        for child in (node, middle):
            with pytest.raises(BlockError) as caught:
                await graph.replace(middle, "backing", child)
            assert caught.value.kind is ErrorKind.INVALID
        assert await read_bytes(node, 0, 4) == b"base"


OPTION_VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-1, 5000),
    st.sampled_from(
        ["on", "off", "unmap", "x", "", "disk", "json:{}", "nbd:a", "blkdebug::", "#block1", "PATH", "QCOW"]
    ),
    st.sampled_from(registry.names()),
)
OPTION_NAMES = st.sampled_from(
    [
        "driver",
        "filename",
        "node-name",
        "offset",
        "size",
        "read-only",
        "cache.direct",
        "detect-zeroes",
        "discard",
        "force-share",
        "align",
        "max-transfer",
        "config",
        "bottom",
        "throttle-group",
        "inject-error.0.event",
        "locking",
    ]
)
OPTION_TREES = st.recursive(
    st.dictionaries(OPTION_NAMES, OPTION_VALUES, max_size=4),
    lambda inner: st.tuples(
        st.dictionaries(OPTION_NAMES, OPTION_VALUES, max_size=3),
        st.dictionaries(st.sampled_from(["file", "backing", "image", "data-file", "encrypt"]), inner, max_size=2),
    ).map(lambda pair: pair[0] | pair[1]),
    max_leaves=6,
)


@settings(max_examples=100, deadline=None)
@given(OPTION_TREES)
def test_any_options_open_or_are_refused_and_nothing_stays_open(source: dict[str, object]):
    with tempfile.TemporaryDirectory() as directory:
        path = raw_image(Path(directory), b"x" * 512, 8192)
        run_now(registry.driver("qcow2").create(f"{directory}/disk.qcow2", 65536, {}))
        text = json.dumps(source).replace("PATH", path).replace("QCOW", f"{directory}/disk.qcow2")
        graph = Graph(inline=True)
        files = open_files()
        try:
            node = run_now(graph.open(json.loads(text)))
        except BlockError:
            assert graph.nodes == {}
        else:
            assert node.length >= 0
            run_now(graph.close(node))
            assert graph.nodes == {}
        assert open_files() == files


async def test_a_second_writer_in_the_same_process_is_kept_out_by_the_file_lock(tmp_path: Path):
    path = await qcow2_image(tmp_path, "a.qcow2")
    async with a_graph() as first, a_graph() as second:
        await first.open(path)
        files = open_files()
        assert (await refused(second, path)).kind is ErrorKind.LOCKED
        assert (await refused(second, path, options=OpenOptions(read_only=True))).kind is ErrorKind.LOCKED
        assert open_files() == files
        node = await second.open(path, options=OpenOptions(read_only=True, force_share=True))
        assert node.length == 1 << 20
