"""What every block driver promises, asked of a node of each."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from tests.support.block_images import a_graph

from varan.block import registry, request
from varan.block.base import BlockError, Data, ErrorKind, Node, OpenOptions, Permission, Write
from varan.block.graph import Graph
from varan.block.throttle import parse_limits
from varan.block.throttle_group import ThrottleGroup

SIZE = 4 << 20
SECRET = b"a password that nobody knows"


def secret(name: str) -> bytes:
    assert name == "key"
    return SECRET


@dataclass(frozen=True)
class Subject:
    """How an image of a driver is made (None: nothing to make) and what options open it, given its path."""

    driver: str
    source: Callable[[str], dict[str, Any]]
    create: str | None
    create_options: dict[str, str] = field(default_factory=dict)
    keeps: bool = True
    """Whether what is written can be read back."""
    resizes: bool = True
    zeros: bool = True
    """Whether bytes that nobody wrote read as zeros (holes of an encrypted image do not)."""


def plain(driver: str, **create_options: str) -> Subject:
    options = {name.replace("__", "."): value for name, value in create_options.items()}
    return Subject(driver, lambda path: {"driver": driver, "file.filename": path}, driver, options)


def over_raw(driver: str, role: str = "file", **options: Any) -> Subject:
    def source(path: str) -> dict[str, Any]:
        return {"driver": driver, role: {"driver": "raw", "file.filename": path}, **options}

    return Subject(driver, source, "raw")


SUBJECTS = {
    "raw": plain("raw"),
    "raw-window": Subject(
        "raw",
        lambda path: {"driver": "raw", "file.filename": path, "offset": 512, "size": SIZE - 512},
        "raw",
        resizes=False,
    ),
    "file": Subject("file", lambda path: {"driver": "file", "filename": path}, "file"),
    "file-direct": Subject("file", lambda path: {"driver": "file", "filename": path, "cache.direct": True}, "file"),
    "qcow2": plain("qcow2"),
    "qcow2-v2": plain("qcow2", compat="0.10"),
    "qcow2-small": plain("qcow2", cluster_size="512"),
    "qcow2-subclusters": plain("qcow2", extended_l2="on"),
    "qcow2-lazy": plain("qcow2", lazy_refcounts="on"),
    "luks": Subject(
        "luks",
        lambda path: {"driver": "luks", "file.filename": path, "key-secret": "key"},
        "luks",
        {"key-secret": "key", "iter-time": "10"},
        zeros=False,
    ),
    "null-co": Subject("null-co", lambda _: {"driver": "null-co", "size": SIZE}, None, keeps=False, resizes=False),
    "null-aio": Subject("null-aio", lambda _: {"driver": "null-aio", "size": SIZE}, None, keeps=False, resizes=False),
    "blkdebug": over_raw("blkdebug", "image"),
    "blkdebug-aligned": over_raw("blkdebug", "image", align=512),
    "copy-on-read": over_raw("copy-on-read"),
    "preallocate": over_raw("preallocate"),
    "throttle": over_raw("throttle", **{"throttle-group": "group"}),
}
WITHOUT_HARDWARE = {"host_device", "host_cdrom"}
"""They are `file` with another check of what was opened, and need a device."""

CREATED = [name for name, subject in SUBJECTS.items() if subject.create]
KEEPING = [name for name, subject in SUBJECTS.items() if subject.keeps]
Open = Callable[..., Awaitable[Node]]


def test_every_driver_is_asked():
    assert {subject.driver for subject in SUBJECTS.values()} | WITHOUT_HARDWARE == set(registry.names())


async def make(subject: Subject, path: str, size: int = SIZE) -> None:
    if subject.create is not None:
        await registry.driver(subject.create).create(path, size, dict(subject.create_options), secret)


@pytest.fixture(params=SUBJECTS)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
async def graph() -> AsyncIterator[Graph]:
    async with a_graph() as graph:
        graph.throttle_groups["group"] = ThrottleGroup("group", parse_limits({}))
        yield graph


@pytest.fixture
async def open_it(name: str, graph: Graph, tmp_path: Path) -> Open:
    subject = SUBJECTS[name]
    path = str(tmp_path / "image")
    await make(subject, path)

    async def open_node(**options: Any) -> Node:
        return await graph.open(subject.source(path), options=OpenOptions(secret=secret, **options))

    return open_node


async def test_a_node_says_what_it_is(open_it: Open, name: str):
    node = await open_it()
    assert node.driver == SUBJECTS[name].driver
    assert node.filename
    assert not node.read_only
    assert node.length in (SIZE, SIZE - 512)
    limits = node.limits
    assert limits.request_alignment >= 1 and limits.max_transfer >= limits.request_alignment


@pytest.mark.parametrize("name", [name for name in KEEPING if SUBJECTS[name].zeros], indirect=True)
async def test_a_new_image_reads_as_zeros(open_it: Open):
    node = await open_it()
    assert await request.read_bytes(node, 0, node.length) == bytes(node.length)


async def test_ends_of_writes_are_noted(open_it: Open):
    node = await open_it()
    assert node.highest_write == 0
    await request.write_bytes(node, 8192, b"x" * 512)
    await request.write_bytes(node, 0, b"x" * 512)
    assert node.highest_write == 8704
    await request.zero(node, 65536, 4096)
    assert node.highest_write == 69632
    told: list[tuple[int, int]] = []
    node.watch_writes(10240, lambda threshold, by: told.append((threshold, by)))
    await request.write_bytes(node, 8192, b"x" * 2048)
    assert not told and node.write_threshold == 10240
    if not node.write_now(8192, [memoryview(bytearray(4096))]):
        await request.write_bytes(node, 8192, b"x" * 4096)
    await request.write_bytes(node, 8192, b"x" * 4096)
    assert told == [(10240, 2048)]
    assert node.write_threshold == 0
    assert node.highest_write == 69632


@pytest.mark.parametrize("name", KEEPING, indirect=True)
async def test_any_sequence_of_requests_matches_a_model(open_it: Open, graph: Graph, name: str):
    rng = random.Random(name)
    node = await open_it(discard=True)
    model = bytearray(await request.read_bytes(node, 0, node.length))
    for _ in range(120):
        length = rng.choice([1, 100, 512, 4096, 65536, 100_001])
        offset = rng.randrange(node.length - length)
        if rng.random() < 0.3:
            offset -= offset % 65536
        await step(node, model, offset, length, rng)
    await node.flush()
    assert await request.read_bytes(node, 0, node.length) == model
    await graph.close(node)
    node = await open_it(read_only=True)
    assert await request.read_bytes(node, 0, node.length) == model, "after closing and opening"


async def step(node: Node, model: bytearray, offset: int, length: int, rng: random.Random) -> None:
    """One random request, to the node and to the model."""
    end = offset + length
    what = rng.choice(["write", "write", "zero", "unmap", "discard", "read"])
    if what == "write":
        data = rng.randbytes(length)
        cut = rng.randrange(length + 1)
        flags = rng.choice([Write.NONE, Write.FUA])
        await request.write(node, offset, [memoryview(data)[:cut], memoryview(data)[cut:]], flags)
        model[offset:end] = data
    elif what in ("zero", "unmap"):
        await request.zero(node, offset, length, Write.MAY_UNMAP if what == "unmap" else Write.NONE)
        model[offset:end] = bytes(length)
    elif what == "discard":
        await request.discard(node, offset, length)
        model[offset:end] = await request.read_bytes(node, offset, length)
    into = [bytearray(length // 3), bytearray(length - length // 3)]
    await request.read(node, offset, [memoryview(part) for part in into])
    assert b"".join(into) == model[offset:end]


@pytest.mark.parametrize("name", KEEPING, indirect=True)
async def test_concurrent_requests_each_have_their_effect(open_it: Open):
    node = await open_it()
    unit = 1000
    pieces = [bytes([1 + number % 255]) * unit for number in range(300)]
    order = list(range(300))
    random.Random(3).shuffle(order)
    await asyncio.gather(*(request.write_bytes(node, number * unit, pieces[number]) for number in order))
    assert await request.read_bytes(node, 0, 300 * unit) == b"".join(pieces)
    readings = await asyncio.gather(*(request.read_bytes(node, number * unit, unit) for number in order))
    assert readings == [pieces[number] for number in order]


async def test_status_covers_the_image_and_never_lies_about_zeros(open_it: Open, name: str):
    node = await open_it()
    if SUBJECTS[name].keeps:
        await request.write_bytes(node, 100_000, b"x" * 70_000)
        await request.write_bytes(node, 2 << 20, b"y" * 512)
        await request.zero(node, 2 << 20, 65536)
    at = 0
    async for start, extent in request.walk_status(node, 0, node.length):
        assert start == at and extent.length > 0
        at += extent.length
        if extent.flags & Data.ZERO:
            assert not any(await request.read_bytes(node, start, extent.length))
        if extent.flags & Data.RAW_OFFSET and extent.file is not None and extent.flags & Data.DATA:
            below = await request.read_bytes(extent.file, extent.offset, min(extent.length, 4096))
            assert below == await request.read_bytes(node, start, len(below))
    assert at == node.length


async def test_a_read_only_node_refuses_changes(open_it: Open):
    node = await open_it(read_only=True)
    for call in (request.write_bytes(node, 0, b"x"), request.zero(node, 0, 1), request.truncate(node, SIZE * 2)):
        with pytest.raises(BlockError) as caught:
            await call
        assert caught.value.kind is ErrorKind.READ_ONLY
    with pytest.raises(BlockError):
        Graph().attach(node, "a writer", Permission.WRITE, Permission.ALL)


async def test_size_changes_keep_what_is_there_and_add_zeros(open_it: Open, name: str):
    node = await open_it()
    if not SUBJECTS[name].resizes:
        with pytest.raises(BlockError) as caught:
            await request.truncate(node, SIZE // 2)
        assert caught.value.kind is ErrorKind.UNSUPPORTED
        return
    await request.write_bytes(node, SIZE - 100, b"e" * 100)
    await request.truncate(node, 2 * SIZE)
    assert node.length == 2 * SIZE
    assert await request.read_bytes(node, SIZE - 100, 100) == b"e" * 100
    if not SUBJECTS[name].zeros:
        return
    assert await request.read_bytes(node, SIZE, 1000) == bytes(1000)
    await request.write_bytes(node, 2 * SIZE - 5, b"x" * 5)
    await request.truncate(node, SIZE - 512)
    await request.truncate(node, 2 * SIZE)
    assert await request.read_bytes(node, SIZE - 512, 1024) == bytes(1024), "what was cut off does not come back"
    assert not any(await request.read_bytes(node, 2 * SIZE - 512, 512))


async def test_an_unknown_option_is_refused_by_name(name: str, graph: Graph, tmp_path: Path):
    subject = SUBJECTS[name]
    path = str(tmp_path / "image")
    await make(subject, path)
    with pytest.raises(BlockError) as caught:
        await graph.open(subject.source(path) | {"x-unheard-of": 1}, options=OpenOptions(secret=secret))
    assert caught.value.kind is ErrorKind.INVALID
    assert "x-unheard-of" in str(caught.value)
    assert graph.nodes == {}


@pytest.mark.parametrize("name", CREATED, indirect=True)
async def test_creating_where_nothing_can_be_leaves_nothing(name: str, tmp_path: Path):
    subject = SUBJECTS[name]
    with pytest.raises(BlockError) as caught:
        await make(subject, str(tmp_path / "missing" / "image"))
    assert caught.value.kind is ErrorKind.NOT_FOUND
    assert str(tmp_path / "missing" / "image") in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [name for name in CREATED if name != "raw-window"], indirect=True)
@pytest.mark.parametrize("size", [0, 1, 511, 513, 1 << 20])
async def test_images_of_any_size_open_again(name: str, graph: Graph, tmp_path: Path, size: int):
    subject = SUBJECTS[name]
    path = str(tmp_path / "image")
    await make(subject, path, size)
    node = await graph.open(subject.source(path), options=OpenOptions(secret=secret))
    assert node.length in (size, -(-size // 512) * 512)
    data = await request.read_bytes(node, 0, node.length)
    assert len(data) == node.length
    assert not any(data) or not subject.zeros
