"""Large images that lie plainly in files are compared in threads, with the answers that one thread would give."""

from __future__ import annotations

import random

import pytest
from tests.support.workshop import Workshop

from varan.block.base import BlockError, ErrorKind, OpenOptions
from varan.block.drive import run_now
from varan.block.graph import Graph
from varan.block.operations import side_by_side
from varan.block.operations.compare import Comparison, Verdict
from varan.block.operations.extents import chain_extent
from varan.block.operations.side_by_side import CHUNK, plain_file
from varan.block.transports.file import FileNode

SIZE = 3 * CHUNK + 1536


def random_bytes(seed: int) -> bytearray:
    return bytearray(random.Random(seed).randbytes(SIZE))


@pytest.mark.parametrize("changed", [[0], [SIZE - 1], [CHUNK, CHUNK - 1], [2 * CHUNK + 7, CHUNK + 600, SIZE - 5]])
def test_the_first_of_several_differences_is_told(workshop: Workshop, changed: list[int]) -> None:
    one, two = random_bytes(1), random_bytes(1)
    for position in changed:
        two[position] ^= 1
    nodes = [workshop.open(workshop.file(name, bytes(data)), "raw") for name, data in (("one", one), ("two", two))]
    result = run_now(Comparison(*nodes).run())
    assert (result.verdict, result.offset) == (Verdict.CONTENT, min(changed) // 512 * 512)


def test_equal_images_are_equal(workshop: Workshop) -> None:
    nodes = [workshop.open(workshop.file(name, bytes(random_bytes(1))), "raw") for name in ("one", "two")]
    assert run_now(Comparison(*nodes).run()).verdict is Verdict.IDENTICAL


@pytest.mark.parametrize(("unreadable", "expected"), [(0, None), (2 * CHUNK, CHUNK)])
def test_what_comes_first_decides_an_error_or_a_difference(
    workshop: Workshop, monkeypatch: pytest.MonkeyPatch, unreadable: int, expected: int | None
) -> None:
    one, two = random_bytes(1), random_bytes(1)
    two[CHUNK] ^= 1
    nodes = [workshop.open(workshop.file(name, bytes(data)), "raw") for name, data in (("one", one), ("two", two))]
    read = FileNode.read

    async def fail(self: FileNode, offset: int, buffers: list[memoryview]) -> None:
        if offset == unreadable:
            raise BlockError(ErrorKind.IO, "unreadable")
        await read(self, offset, buffers)

    monkeypatch.setattr(FileNode, "read", fail)
    monkeypatch.setattr(side_by_side.os, "cpu_count", lambda: 3)
    if expected is None:
        with pytest.raises(BlockError):
            run_now(Comparison(*nodes).run())
    else:
        assert run_now(Comparison(*nodes).run()).offset == expected


def test_only_files_that_nothing_stands_before_are_read_by_threads(workshop: Workshop) -> None:
    path = workshop.file("plain", bytes(random_bytes(1)))
    plain = workshop.open(path, "raw")
    assert plain_file(run_now(chain_extent(plain, 0, SIZE))) is not None
    graph = Graph(inline=True)
    workshop.adopt(graph)
    source = {"driver": "raw", "file.driver": "blkdebug", "file.image.driver": "file", "file.image.filename": path}
    filtered = run_now(graph.open(source, options=OpenOptions(read_only=True, force_share=True)))
    assert plain_file(run_now(chain_extent(filtered, 0, SIZE))) is None
