"""Convert, commit, rebase and compare over random images, held against plain bytes."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest
from tests.support.workshop import Workshop

from varan.block.base import BlockError, ErrorKind, Node, OpenOptions
from varan.block.drive import run_now
from varan.block.graph import Graph
from varan.block.operations.backing_file import change_backing_file, make_empty
from varan.block.operations.commit import commit
from varan.block.operations.compare import Comparison, Verdict
from varan.block.operations.convert import ConvertOptions, convert
from varan.block.operations.rebase import Rebase
from varan.block.request import write, zero

Content = Callable[[Node], bytes]
SIZE = 3 << 20


def scribble(node: Node, model: bytearray, seed: int, operations: int = 12) -> None:
    """Random writes and zeros into an image and its model."""
    chooser = random.Random(seed)
    for _ in range(operations):
        offset = chooser.randrange(len(model))
        length = min(chooser.choice([1, 512, 4096, 65536, 200_000]), len(model) - offset)
        if chooser.random() < 0.3:
            run_now(zero(node, offset, length))
            model[offset : offset + length] = bytes(length)
        else:
            data = chooser.randbytes(1) * length
            run_now(write(node, offset, [memoryview(data)]))
            model[offset : offset + length] = data


def chain(workshop: Workshop, seed: int) -> tuple[list[str], list[bytes]]:
    """Three layers of different sizes, and what each shows."""
    names, models = [], []
    model = bytearray()
    for index, size in enumerate((2 << 20, SIZE, SIZE)):
        options = {"backing_file": names[-1], "backing_fmt": "qcow2"} if names else {}
        names.append(workshop.create(f"layer{index}.qcow2", size, **options))
        model = bytearray(bytes(model).ljust(size, b"\0"))
        node = workshop.open(names[-1], write=True)
        scribble(node, model, seed * 10 + index)
        workshop.close()
        models.append(bytes(model))
    return names, models


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    "options",
    [
        ConvertOptions(),
        ConvertOptions(target_is_zero=True),
        ConvertOptions(sparse=0),
        ConvertOptions(compressed=True, target_is_zero=True),
        ConvertOptions(depth=1, sparse=65536),
    ],
)
def test_a_converted_chain_shows_the_same(
    workshop: Workshop, content: Content, seed: int, options: ConvertOptions
) -> None:
    names, models = chain(workshop, seed)
    target = workshop.open(workshop.create("target.qcow2", SIZE), write=True)
    convert([workshop.open(names[-1])], target, options)
    assert content(target) == models[-1]


def test_sources_follow_one_another_and_the_rest_of_the_target_is_zeros(workshop: Workshop, content: Content) -> None:
    one, two = workshop.file("one", b"1" * 70_144), workshop.file("two", b"2" * 512)
    target = workshop.open(workshop.file("target", b"x" * 100_352), "raw", write=True)
    convert([workshop.open(one, "raw"), workshop.open(two, "raw")], target, ConvertOptions())
    assert content(target) == (b"1" * 70_144 + b"2" * 512).ljust(100_352, b"\0")


def test_a_target_that_is_too_small_is_refused(workshop: Workshop) -> None:
    source = workshop.open(workshop.file("source", bytes(2048)), "raw")
    target = workshop.open(workshop.file("target", bytes(1024)), "raw", write=True)
    with pytest.raises(BlockError, match="smaller than input"):
        convert([source], target, ConvertOptions())


def faulty(workshop: Workshop) -> Node:
    """A raw image of 4096 bytes of x whose sector 2 cannot be read."""
    graph = Graph(inline=True)
    workshop.adopt(graph)
    source = {
        "driver": "raw",
        "file.driver": "blkdebug",
        "file.image.driver": "file",
        "file.image.filename": workshop.file("faulty", b"x" * 4096),
        "file.inject-error.0.iotype": "read",
        "file.inject-error.0.sector": "2",
    }
    return run_now(graph.open(source, options=OpenOptions(read_only=True)))


def test_what_the_source_cannot_read_ends_the_copy(workshop: Workshop) -> None:
    target = workshop.open(workshop.file("target", bytes(4096)), "raw", write=True)
    with pytest.raises(BlockError) as caught:
        convert([faulty(workshop)], target, ConvertOptions())
    assert caught.value.kind is ErrorKind.IO


def test_salvaging_makes_zeros_of_what_cannot_be_read(workshop: Workshop, content: Content) -> None:
    target = workshop.open(workshop.file("target", bytes(4096)), "raw", write=True)
    warnings: list[str] = []
    convert([faulty(workshop)], target, ConvertOptions(salvage=True, warn=warnings.append))
    assert content(target) == b"x" * 1024 + bytes(512) + b"x" * 2560
    assert len(warnings) == 1


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("depth", [1, 2])
def test_a_commit_moves_what_the_layers_decide(workshop: Workshop, content: Content, seed: int, depth: int) -> None:
    names, models = chain(workshop, seed)
    above = [workshop.open(name, write=name == names[-1], no_backing=True) for name in reversed(names[-depth:])]
    base = workshop.open(names[-1 - depth], write=True)
    commit(above, base)
    if depth == 1:
        run_now(make_empty(above[0]))
    workshop.close()
    assert content(workshop.open(names[-1 - depth])) == models[-1]
    assert content(workshop.open(names[-1])) == models[-1]


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("new", ["layer0.qcow2", "other.qcow2", None])
def test_a_rebased_image_shows_the_same(workshop: Workshop, content: Content, seed: int, new: str | None) -> None:
    names, models = chain(workshop, seed)
    other = workshop.open(workshop.create("other.qcow2", SIZE - 65536), write=True)
    scribble(other, bytearray(other.length), seed + 99)
    workshop.close()
    top = workshop.open(names[-1], write=True)
    path = None if new is None else str(workshop.directory / new)
    run_now(Rebase(top, None if path is None else workshop.open(path)).run())
    run_now(change_backing_file(top, path, "qcow2"))
    workshop.close()
    assert content(workshop.open(names[-1])) == models[-1]


def test_formats_without_backing_files_say_so(workshop: Workshop) -> None:
    node = workshop.open(workshop.file("raw", bytes(512)), "raw", write=True)
    with pytest.raises(BlockError) as caught:
        run_now(change_backing_file(node, "x", "raw"))
    assert caught.value.kind is ErrorKind.UNSUPPORTED


@pytest.mark.parametrize("seed", range(4))
def test_a_copy_compares_equal_and_a_changed_byte_is_found(workshop: Workshop, seed: int) -> None:
    names, models = chain(workshop, seed)
    same = workshop.open(workshop.file("same", models[-1]), "raw")
    assert run_now(Comparison(workshop.open(names[-1]), same).run()).verdict is Verdict.IDENTICAL
    position = random.Random(seed).randrange(SIZE)
    changed = bytearray(models[-1])
    changed[position] ^= 0x55
    other = workshop.open(workshop.file("changed", bytes(changed)), "raw")
    result = run_now(Comparison(workshop.open(names[-1]), other).run())
    assert (result.verdict, result.offset) == (Verdict.CONTENT, position // 512 * 512)


def test_a_longer_image_is_the_same_when_zeros_follow(workshop: Workshop) -> None:
    short = workshop.open(workshop.file("short", b"a" * 1024), "raw")
    padded = workshop.open(workshop.file("padded", b"a" * 1024 + bytes(4096)), "raw")
    longer = workshop.open(workshop.file("longer", b"a" * 1024 + bytes(1000) + b"x" * 24), "raw")
    assert run_now(Comparison(short, padded).run()).verdict is Verdict.IDENTICAL
    assert run_now(Comparison(short, padded).run()).sizes_differ
    assert run_now(Comparison(short, padded, strict=True).run()).verdict is Verdict.SIZE
    assert run_now(Comparison(longer, short).run()).offset == 1536
