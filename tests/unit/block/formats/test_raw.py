"""Raw images: the window, the guard of guessed ones, and a model they are compared with."""

from __future__ import annotations

import asyncio
import struct
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.block_images import a_graph, raw_image

from varan.block import registry, request
from varan.block.base import BlockError, ErrorKind, OpenOptions, Write
from varan.block.drive import run_now
from varan.block.graph import Graph

QCOW2_START = b"QFI\xfb" + struct.pack(">I", 3) + bytes(504)


async def test_a_window_shows_a_part(tmp_path: Path):
    path = raw_image(tmp_path, bytes(range(256)) * 16)
    async with a_graph() as graph:
        node = await graph.open({"driver": "raw", "offset": 256, "size": "512", "file.filename": path})
        assert node.length == 512
        assert await request.read_bytes(node, 0, 4) == bytes([0, 1, 2, 3])
        await request.write_bytes(node, 510, b"ab")
        for call in (request.read_bytes(node, 511, 2), request.write_bytes(node, 512, b"x"), request.truncate(node, 9)):
            with pytest.raises(BlockError):
                await call
        again = node.filename
        await graph.close(node)
        node = await graph.open(again, options=OpenOptions(read_only=True))
        assert (node.length, await request.read_bytes(node, 510, 2)) == (512, b"ab")


@pytest.mark.parametrize("options", [{"offset": 4097}, {"offset": 1, "size": 4096}, {"size": 1 << 63}])
async def test_a_window_beyond_the_end_is_refused(tmp_path: Path, options: dict[str, int]):
    path = raw_image(tmp_path, b"", 4096)
    async with a_graph() as graph:
        with pytest.raises(BlockError) as caught:
            await graph.open({"driver": "raw", "file.filename": path, **options})
        assert caught.value.kind is ErrorKind.INVALID


@pytest.mark.parametrize(
    "pieces",
    [
        [(0, [QCOW2_START])],
        [(0, [QCOW2_START[:2], QCOW2_START[2:]])],
        [(4, [QCOW2_START[4:]]), (0, [QCOW2_START[:4]])],
        [(0, [b"LUKS\xba\xbe\x00\x01" + bytes(504)])],
    ],
    ids=["whole", "vectored", "backwards", "luks"],
)
async def test_a_guessed_raw_image_cannot_be_made_look_like_another_format(tmp_path: Path, pieces):
    path = raw_image(tmp_path, b"", 4096)
    async with a_graph() as graph:
        node = await graph.open(path)
        assert node.driver == "raw"
        with pytest.raises(BlockError) as caught:
            for offset, data in pieces:
                await request.write(node, offset, [memoryview(piece) for piece in data])
        assert caught.value.kind is ErrorKind.PERMISSION
        assert "format=raw" in str(caught.value)
        await request.write_bytes(node, 0, b"\x55" * 512)
    assert registry.probe(Path(path).read_bytes()[:2048], path) == "raw"


@pytest.mark.parametrize("change", [request.zero, request.discard])
async def test_zeros_cannot_make_it_look_like_another_format_either(tmp_path: Path, change):
    almost = QCOW2_START[:4] + b"\xff\xff\xff\x03" + QCOW2_START[8:]
    path = raw_image(tmp_path, almost, 4096)
    async with a_graph() as graph:
        node = await graph.open(path, options=OpenOptions(discard=True))
        with pytest.raises(BlockError) as caught:
            await change(node, 4, 3)
        assert caught.value.kind is ErrorKind.PERMISSION
        await change(node, 0, 4096)
        assert await request.read_bytes(node, 0, 4096) == bytes(4096)


async def test_two_writes_at_once_cannot_do_together_what_one_must_not(tmp_path: Path):
    path = raw_image(tmp_path, b"", 4096)
    async with a_graph() as graph:
        node = await graph.open(path)
        pieces = [(0, QCOW2_START[:4]), (4, QCOW2_START[4:8])]
        results = await asyncio.gather(
            *(request.write_bytes(node, at, data) for at, data in pieces), return_exceptions=True
        )
        assert [type(result) for result in results].count(BlockError) == 1
    assert registry.probe(Path(path).read_bytes()[:2048], path) == "raw"


async def test_an_image_that_was_asked_for_as_raw_may_hold_anything(tmp_path: Path):
    path = raw_image(tmp_path, b"", 4096)
    async with a_graph() as graph:
        node = await graph.open(path, format="raw")
        await request.write_bytes(node, 0, QCOW2_START)
    assert Path(path).read_bytes()[:8] == QCOW2_START[:8]


SIZE = 300_000
places = st.integers(0, SIZE - 1)
lengths = st.sampled_from([1, 7, 511, 512, 4096, 4097, 65536, 100_000])
steps = st.lists(
    st.one_of(
        st.tuples(st.just("write"), places, lengths, st.integers(0, 255)),
        st.tuples(st.sampled_from(["read", "zero", "unmap", "flush"]), places, lengths, st.just(0)),
        st.tuples(st.just("resize"), st.integers(0, SIZE), st.just(0), st.just(0)),
    ),
    max_size=30,
)


@settings(max_examples=60, deadline=None)
@given(steps, st.booleans(), st.sampled_from([0, 512, 1000]))
def test_any_requests_leave_what_the_model_has(sequence, direct: bool, start: int):
    with tempfile.TemporaryDirectory() as directory:
        prefix = b"\xaa" * start
        path = raw_image(Path(directory), prefix, start + SIZE)
        model = bytearray(SIZE)
        graph = Graph(inline=True)
        options = OpenOptions(discard=True, cache_direct=direct)
        source = {"driver": "raw", "file.filename": path, "offset": start}
        node = run_now(graph.open(source, options=options))
        for what, place, length, value in sequence:
            end = min(place + length, len(model))
            length = max(end - place, 0)
            if what == "resize":
                run_now(request.truncate(node, place))
                model[place:] = bytes(max(place - len(model), 0))
            elif what == "read" and length:
                assert run_now(request.read_bytes(node, place, length)) == model[place:end]
            elif what == "write" and length:
                run_now(request.write_bytes(node, place, bytes([value]) * length))
                model[place:end] = bytes([value]) * length
            elif what in ("zero", "unmap") and length:
                flags = Write.MAY_UNMAP if what == "unmap" else Write.NONE
                run_now(request.zero(node, place, length, flags))
                model[place:end] = bytes(length)
            elif what == "flush":
                run_now(node.flush())
            assert node.length == len(model)
        run_now(graph.close(node))
        assert Path(path).read_bytes() == prefix + model


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=600))
def test_any_header_is_probed_and_opened_or_refused_clearly(header: bytes):
    with tempfile.TemporaryDirectory() as directory:
        graph = Graph(inline=True)
        path = raw_image(Path(directory), header)
        assert registry.probe(header, path) in registry.names()
        try:
            node = run_now(graph.open(path, options=OpenOptions(read_only=True)))
        except BlockError:
            assert graph.nodes == {}
        else:
            run_now(graph.close(node))
