"""Fault injection."""

from __future__ import annotations

import asyncio
import errno
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.block_images import a_graph, raw_image

from varan.block import registry
from varan.block.base import BlockError, ErrorKind, Node
from varan.block.filters.blkdebug import BlkdebugNode
from varan.block.filters.rules import EVENTS, Rules, parse_config, parse_rules
from varan.block.graph import Graph
from varan.block.request import read_bytes, write_bytes, zero


async def faulty(graph: Graph, path: str, **options: object) -> tuple[Node, BlkdebugNode]:
    """A raw node over blkdebug, and the latter."""
    file = {"driver": "blkdebug", "image.filename": path, **{k.replace("_", "-"): v for k, v in options.items()}}
    node = await graph.open({"driver": "raw", "file": file})
    debug = node.children["file"].node
    assert isinstance(debug, BlkdebugNode)
    return node, debug


async def failing(call) -> BlockError:
    with pytest.raises(BlockError) as caught:
        await call
    return caught.value


async def test_requests_fail_at_the_event_with_the_errno(tmp_path: Path):
    path = raw_image(tmp_path, b"x" * 4096)
    rule = {"event": "read_aio", "errno": errno.ENOSPC, "once": True}
    async with a_graph() as graph:
        node, _ = await faulty(
            graph, path, inject_error=[{key: str(value) if key == "errno" else value for key, value in rule.items()}]
        )
        await write_bytes(node, 0, b"y")
        assert (await failing(read_bytes(node, 0, 512))).kind is ErrorKind.NO_SPACE
        assert await read_bytes(node, 0, 1) == b"y", "once is once"


async def test_each_request_spends_one_error(tmp_path: Path):
    rule = {"event": "none", "iotype": "read", "once": True}
    async with a_graph() as graph:
        node, _ = await faulty(graph, raw_image(tmp_path, b"x" * 4096), inject_error=[rule, rule])
        for _ in range(2):
            assert (await failing(read_bytes(node, 0, 1))).kind is ErrorKind.IO
        assert await read_bytes(node, 0, 1) == b"x"


async def test_only_the_sector_and_kind_named_fail(tmp_path: Path):
    path = raw_image(tmp_path, b"x" * 8192)
    async with a_graph() as graph:
        node, _ = await faulty(graph, path, inject_error=[{"event": "none", "iotype": "write", "sector": 3}])
        await write_bytes(node, 0, bytes(1536))
        assert (await failing(write_bytes(node, 1000, bytes(1000)))).kind is ErrorKind.IO
        assert (await failing(write_bytes(node, 1536, b"x"))).kind is ErrorKind.IO
        await write_bytes(node, 2048, bytes(512))
        await read_bytes(node, 0, 8192)
        await node.flush()


async def test_states_make_sequences(tmp_path: Path):
    path = raw_image(tmp_path, b"x" * 4096)
    rules = {
        "set_state": [{"event": "write_aio", "state": 1, "new_state": 2}],
        "inject_error": [{"event": "read_aio", "iotype": "read", "state": 2}],
    }
    async with a_graph() as graph:
        node, debug = await faulty(graph, path, **rules)
        await read_bytes(node, 0, 1)
        await write_bytes(node, 0, b"y")
        assert debug.rules.state == 2
        await failing(read_bytes(node, 0, 1))


async def test_rules_come_from_a_file_through_the_name(tmp_path: Path):
    path = raw_image(tmp_path, b"x" * 4096)
    config = tmp_path / "rules.conf"
    config.write_text(
        '# faults\n[inject-error]\nevent = "read_aio"\nerrno = "28"\nonce = "on"\n\n'
        '[inject-error "second"]\nevent = "write_aio"\niotype = "write"\n'
    )
    async with a_graph() as graph:
        node = await graph.open(f"blkdebug:{config}:{path}", format="raw")
        assert node.filename == f"blkdebug:{config}:{path}"
        assert (await failing(read_bytes(node, 0, 1))).kind is ErrorKind.NO_SPACE
        assert (await failing(write_bytes(node, 0, b"x"))).kind is ErrorKind.IO


async def test_a_name_without_rules_is_the_image(tmp_path: Path):
    path = str(tmp_path / "a.qcow2")
    await registry.driver("qcow2").create(path, 1 << 20, {})
    async with a_graph() as graph:
        node = await graph.open(f"blkdebug::{path}")
        assert node.driver == "qcow2"
        await write_bytes(node, 0, b"data")
        assert await read_bytes(node, 0, 4) == b"data"


async def test_a_write_error_of_the_file_reaches_the_formats_user(tmp_path: Path):
    path = str(tmp_path / "a.qcow2")
    await registry.driver("qcow2").create(path, 1 << 20, {})
    async with a_graph() as graph:
        file = {"driver": "blkdebug", "image.filename": path, "inject-error": [{"event": "none", "iotype": "write"}]}
        with pytest.raises(BlockError):
            node = await graph.open({"driver": "qcow2", "file": file})
            await write_bytes(node, 0, b"x" * 65536)
            await node.flush()
        for node in list(graph.nodes.values()):
            if isinstance(node, BlkdebugNode):
                node.rules.armed.clear()


async def test_a_request_stops_at_a_breakpoint_until_resumed(tmp_path: Path):
    path = raw_image(tmp_path, b"x" * 4096)
    async with a_graph() as graph:
        node, debug = await faulty(graph, path)
        debug.add_breakpoint("write_aio", "A")
        writing = asyncio.create_task(write_bytes(node, 0, b"new"))
        await debug.wait_suspended("A")
        assert debug.is_suspended("A")
        assert await read_bytes(node, 0, 3) == b"xxx"
        await write_bytes(node, 10, b"other")
        debug.resume("A")
        await writing
        assert not debug.is_suspended("A")
        assert await read_bytes(node, 0, 3) == b"new"
        for call in (debug.resume, debug.remove_breakpoint):
            with pytest.raises(BlockError):
                call("A")
        with pytest.raises(BlockError):
            debug.add_breakpoint("moonrise", "B")


async def test_a_removed_breakpoint_lets_go_what_it_stopped(tmp_path: Path):
    path = raw_image(tmp_path, b"x" * 4096)
    async with a_graph() as graph:
        node, debug = await faulty(graph, path)
        debug.add_breakpoint("read_aio", "A")
        debug.add_breakpoint("read_aio", "B")
        reading = asyncio.create_task(read_bytes(node, 0, 1))
        await debug.wait_suspended("A")
        debug.remove_breakpoint("A")
        await debug.wait_suspended("B")
        debug.remove_breakpoint("B")
        assert await reading == b"x"


async def test_delays_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    slept: list[float] = []

    async def note(seconds: float) -> None:
        slept.append(seconds)

    path = raw_image(tmp_path, b"x" * 4096)
    async with a_graph() as graph:
        node, _ = await faulty(graph, path, delay=[{"event": "none", "iotype": "read", "latency-ns": 5_000_000}])
        monkeypatch.setattr(asyncio, "sleep", note)
        await read_bytes(node, 0, 1)
        await write_bytes(node, 0, b"x")
        monkeypatch.undo()
    assert slept == [0.005]


async def test_alignment_and_length_of_requests_are_kept(tmp_path: Path):
    path = raw_image(tmp_path, b"x" * 65536)
    seen: list[tuple[int, int]] = []
    async with a_graph() as graph:
        node, debug = await faulty(graph, path, align=512, max_transfer=4096)
        below = debug.children["image"].node
        real = below.write

        async def note(offset, buffers, *rest):
            seen.append((offset, sum(map(len, buffers))))
            await real(offset, buffers, *rest)

        below.write = note  # type: ignore[method-assign]
        await write_bytes(node, 100, b"y" * 20000)
        await zero(node, 1, 3)
        assert await read_bytes(node, 0, 65536) == b"x" + bytes(3) + b"x" * 96 + b"y" * 20000 + b"x" * 45436
    assert all(offset % 512 == 0 and length % 512 == 0 and length <= 4096 for offset, length in seen)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"inject-error": [{"event": "moonrise"}]}, "moonrise"),
        ({"inject-error": [{"event": "none", "iotype": "sing"}]}, "sing"),
        ({"inject-error": [{"event": "none", "errno": "0"}]}, "error number"),
        ({"inject-error": [{"event": "none", "color": "red"}]}, "color"),
        ({"set-state": [{"event": "none"}]}, "new_state"),
        ({"align": 3}, "align"),
        ({"align": 4096, "max-transfer": 512}, "max-transfer"),
        ({"take-child-perms": ["fly"]}, "fly"),
        ({"config": "/does/not/exist"}, "/does/not/exist"),
    ],
)
async def test_bad_options_are_refused_by_name(tmp_path: Path, options: dict[str, object], named: str):
    path = raw_image(tmp_path, b"x" * 4096)
    async with a_graph() as graph:
        error = await failing(graph.open({"driver": "blkdebug", "image.filename": path, **options}))
        assert named in str(error)
        assert graph.nodes == {}


async def test_a_name_of_another_shape_is_refused():
    async with a_graph() as graph:
        assert (await failing(graph.open("blkdebug:only"))).kind is ErrorKind.INVALID


@given(st.text(alphabet='[]inject-error set-state="#\n event1', max_size=120))
def test_any_configuration_is_read_or_refused(text: str):
    try:
        parse_rules({}, parse_config(text, "x"))
    except BlockError as error:
        assert error.kind is ErrorKind.INVALID


def test_every_event_can_carry_a_rule():
    for event in EVENTS:
        rules = parse_rules({"inject-error.0.event": event})
        rules.happen(event)
        assert len(rules.armed) == 1


async def test_qcow2_tells_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    create = registry.driver("qcow2").create
    await create(str(tmp_path / "base"), 4 << 20, {})
    path = str(tmp_path / "a.qcow2")
    await create(path, 4 << 20, {"backing_file": "base", "backing_fmt": "qcow2"})
    heard: list[str] = []

    async with a_graph() as graph:
        node = await graph.open({"driver": "qcow2", "file": {"driver": "blkdebug", "image.filename": path}})
        debug = node.children["file"].node
        assert isinstance(debug, BlkdebugNode)
        monkeypatch.setattr(Rules, "happen", lambda _, event: heard.append(event))

        async def events(call) -> set[str]:
            heard.clear()
            await call
            return set(heard)

        assert "read_backing_aio" in await events(read_bytes(node, 0, 512))
        assert {"cluster_alloc", "write_aio", "pwritev"} <= await events(write_bytes(node, 1 << 20, b"x"))
        assert {"l2_update", "l1_update", "refblock_update_part", "flush_to_disk"} <= await events(node.flush())
        assert "read_aio" in await events(read_bytes(node, 1 << 20, 512))


async def test_a_write_stopped_inside_qcow2_can_be_overtaken(tmp_path: Path):
    path = str(tmp_path / "a.qcow2")
    await registry.driver("qcow2").create(path, 4 << 20, {})
    async with a_graph() as graph:
        node = await graph.open({"driver": "qcow2", "file": {"driver": "blkdebug", "image.filename": path}})
        debug = node.children["file"].node
        assert isinstance(debug, BlkdebugNode)
        debug.add_breakpoint("write_aio", "A")
        first = asyncio.create_task(write_bytes(node, 0, b"1" * 4096))
        await debug.wait_suspended("A")
        second = asyncio.create_task(write_bytes(node, 8192, b"2" * 4096))
        await write_bytes(node, 1 << 20, b"3" * 4096)
        assert await read_bytes(node, 1 << 20, 4096) == b"3" * 4096
        debug.resume("A")
        await asyncio.gather(first, second)
        expected = b"1" * 4096 + bytes(4096) + b"2" * 4096
        assert await read_bytes(node, 0, 12288) == expected
