"""Images that lie in every field and table: BlockErrors only, in bounded time and memory, nothing else touched."""

from __future__ import annotations

import os
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from varan.block import blocking
from varan.block.base import BlockError, ErrorKind, Write
from varan.block.drive import run_now
from varan.block.graph import Graph
from varan.block.operations import snapshot
from varan.block.operations.bitmap import Action, change
from varan.block.request import write, write_bytes, zero

CHILD = Path(__file__).parent.parent / "support" / "hostile_child.py"
SIZE = 1 << 20
CLUSTER = 4096
LONGEST = 256 << 20
"""No image here may get its file longer than this by a change of its own megabyte or two."""
ROUNDS = int(os.environ.get("VARAN_HOSTILE_ROUNDS", "16"))
THOROUGH = ROUNDS > 16
ACTIONS = ("look", "change", "repair")

FIELDS = {
    "version": (4, 4), "backing offset": (8, 8), "backing length": (16, 4), "cluster bits": (20, 4), "size": (24, 8),
    "crypt": (32, 4), "L1 size": (36, 4), "L1 offset": (40, 8), "refcount table offset": (48, 8),
    "refcount table clusters": (56, 4), "snapshots": (60, 4), "snapshots offset": (64, 8), "incompatible": (72, 8),
    "compatible": (80, 8), "autoclear": (88, 8), "refcount order": (96, 4), "header length": (100, 4),
    "compression": (104, 1), "extension type": (112, 4), "extension length": (116, 4),
}  # fmt: skip


def a_rich_image(directory: Path, **options: object) -> bytes:
    """An image with data, zeros, compressed clusters, a snapshot, a bitmap and a backing file."""
    base = directory / "base.raw"
    base.write_bytes(b"base" * (SIZE // 8))
    path = directory / "good.qcow2"
    below = {"backing_file": "base.raw", "backing_fmt": "raw"}
    blocking.create(str(path), SIZE, format="qcow2", **({"cluster_size": CLUSTER} | below | options))
    graph = Graph(inline=True)
    node = run_now(graph.open(str(path), format="qcow2"))
    run_now(write_bytes(node, 0, bytes(range(256)) * 64))
    run_now(write(node, 65536, [memoryview(b"abcd" * 16384)], Write.COMPRESSED))
    run_now(zero(node, 131072 + 65536, 32768))
    run_now(snapshot.create(node, "first"))
    run_now(change(node, "dirt", [Action("add")], granularity=512))
    run_now(write_bytes(node, 250_000, b"z" * 70_000))
    run_now(graph.close_all())
    return path.read_bytes()


def values(width: int, old: int, length: int) -> list[int]:
    """What a lie may say: edges of the field, of the file, of a cluster."""
    top = (1 << 8 * width) - 1
    chosen = {0, 1, 2, old ^ 1, old + 1, old * 2, top, top >> 1, (top >> 1) + 1, length, length - CLUSTER, length + 5}
    chosen |= {CLUSTER, CLUSTER * 3, 63, 21, 9, 1 << 30, 1 << 40, (1 << 56) - CLUSTER, 1 << 62}
    return sorted({value for value in chosen if 0 <= value <= top})


def judge(directory: Path, images: dict[str, bytes]) -> None:
    """Have every image used in every way by children with little memory."""
    base = (directory / "base.raw").read_bytes()
    faults = []
    for action in ACTIONS:
        paths = []
        for name, content in images.items():
            path = directory / f"{name}.{action}".replace(" ", "-")
            path.write_bytes(content)
            paths.append(path)
        words = [sys.executable, str(CHILD), action, *map(str, paths)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=100)
        said = done.stdout.splitlines()
        assert done.returncode == 0 and len(said) == len(paths), (action, said[-1:], done.stderr[-2000:])
        faults += [line for line in said if line.split(" ", 1)[1] not in ("ok", "block-error")]
        for path in paths:
            content = images[path.name.rsplit(".", 1)[0].replace("-", " ")]
            if action == "look":
                assert path.read_bytes() == content, f"{path.name}: looking changed it"
            elif path.stat().st_size > max(LONGEST, 2 * len(content)):
                faults.append(f"{path.name} has grown to {path.stat().st_size} bytes")
            path.unlink()
        assert (directory / "base.raw").read_bytes() == base
    assert not faults, "\n".join(faults)


def patched(content: bytes, offset: int, width: int, value: int) -> bytes:
    changed = bytearray(content)
    changed[offset : offset + width] = value.to_bytes(width, "big")
    return bytes(changed)


def test_every_field_of_the_header(tmp_path: Path) -> None:
    good = a_rich_image(tmp_path)
    images = {}
    for name, (offset, width) in FIELDS.items():
        old = int.from_bytes(good[offset : offset + width], "big")
        for value in values(width, old, len(good))[:: 1 if THOROUGH else 3]:
            images[f"{name} {value:x}"] = patched(good, offset, width, value)
    judge(tmp_path, images)


def metadata_words(content: bytes) -> list[int]:
    """Where in the file the words of tables are: all that do not look like the data written above."""
    data, run = {b"abcdabcd", b"zzzzzzzz", bytes(8)}, bytes(range(256))
    pieces = ((at, content[at : at + 8]) for at in range(0, len(content) - 7, 8))
    return [at for at, piece in pieces if piece not in data and piece not in run]


def random_lies(good: bytes, chance: random.Random, count: int) -> Iterator[bytes]:
    words = metadata_words(good)
    for _ in range(count):
        content = good
        for _ in range(chance.randrange(1, 4)):
            at = chance.choice(words)
            old = int.from_bytes(content[at : at + 8], "big")
            flags = chance.choice([0, 1, 1 << 63, 1 << 62, 3 << 62])
            place = chance.randrange(len(good) // CLUSTER + 2) * CLUSTER
            flipped = old ^ 1 << chance.randrange(64)
            value = chance.choice([flipped, flags | place, chance.getrandbits(64), 0, (1 << 64) - 1])
            content = patched(content, at, 8, value)
        yield content


@pytest.mark.parametrize("shape", ["standard", "extended", "small counts"])
def test_words_of_tables(tmp_path: Path, shape: str) -> None:
    options: dict[str, dict[str, object]] = {
        "standard": {},
        "extended": {"extended_l2": True, "cluster_size": 16384},
        "small counts": {"refcount_bits": 8, "cluster_size": 512},
    }
    good = a_rich_image(tmp_path, **options[shape])
    lies = random_lies(good, random.Random(shape), ROUNDS)
    judge(tmp_path, {f"{shape} {number}": content for number, content in enumerate(lies)})


def test_truncated_files(tmp_path: Path) -> None:
    good = a_rich_image(tmp_path)
    chance = random.Random(1)
    cuts = {0, 1, 4, 71, 72, 103, 104, 111, 112, 511, 512, CLUSTER - 1, CLUSTER, len(good) - 1}
    cuts |= {chance.randrange(len(good)) for _ in range(25)}
    judge(tmp_path, {f"cut {cut}": good[:cut] for cut in sorted(cuts)})


def test_a_bomb_of_compressed_clusters(tmp_path: Path) -> None:
    """Megabytes of zeros behind every compressed entry, and entries that reach past the file."""
    good = bytearray(a_rich_image(tmp_path, cluster_size=65536))
    stream = zlib.compressobj(9, zlib.DEFLATED, -12)
    bomb = stream.compress(bytes(300 << 20)) + stream.flush()
    at = -(-len(good) // 65536) * 65536
    good = good.ljust(at, b"\0") + bomb.ljust(65536 * 8, b"\0")
    l1 = struct.unpack_from(">Q", good, 40)[0]
    l2 = struct.unpack_from(">Q", good, l1)[0] & ~(1 << 63)
    for index in range(16):
        struct.pack_into(">Q", good, l2 + index * 8, 1 << 62 | 127 << 54 | at)
    past = bytearray(good)
    for index in range(16):
        struct.pack_into(">Q", past, l2 + index * 8, 1 << 62 | 255 << 54 | (1 << 53) + 13)
    judge(tmp_path, {"bomb": bytes(good), "past the end": bytes(past)})


@pytest.mark.parametrize("length", [1, 2, 3])
def test_backing_files_in_a_circle(tmp_path: Path, length: int) -> None:
    names = [f"ring{number}.qcow2" for number in range(length)]
    for number, name in enumerate(names):
        blocking.create(str(tmp_path / name), SIZE, format="qcow2", cluster_size=CLUSTER)
        content = bytearray((tmp_path / name).read_bytes())
        target = names[(number + 1) % length].encode()
        struct.pack_into(">QI", content, 8, 1024, len(target))
        content[1024 : 1024 + len(target)] = target
        (tmp_path / name).write_bytes(content)
    with pytest.raises(BlockError) as caught:
        blocking.open(str(tmp_path / names[0]), format="qcow2", read_only=True)
    assert caught.value.kind in (ErrorKind.INVALID, ErrorKind.CORRUPT, ErrorKind.LOCKED, ErrorKind.IN_USE)


def test_a_very_deep_chain_is_refused_or_read_but_never_a_recursion_error(tmp_path: Path) -> None:
    blocking.create(str(tmp_path / "link0.qcow2"), SIZE, format="qcow2", cluster_size=CLUSTER)
    content = bytearray((tmp_path / "link0.qcow2").read_bytes())
    for number in range(1, 400):
        target = f"link{number - 1}.qcow2".encode()
        struct.pack_into(">QI", content, 8, 1024, len(target))
        content[1024 : 1024 + 32] = target.ljust(32, b"\0")
        (tmp_path / f"link{number}.qcow2").write_bytes(content)
    try:
        with blocking.open(str(tmp_path / "link399.qcow2"), format="qcow2", read_only=True) as image:
            assert image.read(0, 4096) == bytes(4096)
    except BlockError:
        pass
