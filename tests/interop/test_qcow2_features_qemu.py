"""qemu-img and qemu-io against snapshots, bitmaps, encryption, checks and amendments, both ways."""

from __future__ import annotations

import json
import random
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from tests.support.need import need_tool
from tests.support.patience import run_patiently

from varan.block import registry, request
from varan.block.base import BlockError, ErrorKind, Node, OpenOptions
from varan.block.crypto.secret import Secrets
from varan.block.dirty import DirtyBitmap
from varan.block.drive import run_now
from varan.block.formats.luks import LuksNode
from varan.block.formats.qcow2 import check, snapshots
from varan.block.formats.qcow2.amend import amend
from varan.block.formats.qcow2.bitmaps import bitmaps_of
from varan.block.formats.qcow2.node import Qcow2Node
from varan.block.graph import Graph

pytestmark = pytest.mark.interop

SIZE = 8 << 20
SECRETS = ["--object", "secret,id=one,data=pw", "--object", "secret,id=two,data=second"]
FAST = {"iter-time": "50"}


def secrets() -> Secrets:
    """The same secrets as on qemu's command lines."""
    found = Secrets()
    found.add({"id": "one", "data": "pw"})
    found.add({"id": "two", "data": "second"})
    return found


def tool(name: str, *arguments: str, expect: tuple[int, ...] = (0,)) -> str:
    """What a tool of QEMU's prints."""
    done = run_patiently([need_tool(name, package="qemu-utils"), *arguments])
    assert done.returncode in expect, f"{name} {arguments}: {done.returncode} {done.stdout} {done.stderr}"
    return done.stdout


def qemu_img(*arguments: str, expect: tuple[int, ...] = (0,)) -> str:
    return tool("qemu-img", *arguments, expect=expect)


def qemu_io(target: list[str], *commands: str) -> str:
    output = tool("qemu-io", *(word for command in commands for word in ("-c", command)), *target)
    assert "rror" not in output and "verification failed" not in output, output
    return output


def make_encrypted(form: str, options: str, path: Path) -> None:
    """qemu-img create. It gives up when the processor time it takes for its key does not suit it: asked again then."""
    command = [need_tool("qemu-img", package="qemu-utils"), "create", "-q", "-f", form, *SECRETS]
    for _ in range(60):
        path.unlink(missing_ok=True)
        done = subprocess.run([*command, "-o", options, str(path), str(SIZE)], capture_output=True, text=True)
        if "accurate CPU usage" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr


class Opened:
    """An image open through a graph."""

    def __init__(self, path: Path, *, read_only: bool = False, driver: str = "qcow2", **options: Any) -> None:
        self.graph = Graph(inline=True, secret=secrets().get)
        source: dict[str, Any] = {"driver": driver, "file": {"driver": "file", "filename": str(path)}, **options}
        self.node: Node = run_now(self.graph.open(source, options=OpenOptions(read_only=read_only)))

    def __enter__(self) -> Any:
        return self.node

    def __exit__(self, *_: object) -> None:
        run_now(self.graph.close_all())


def content(node: Node) -> bytes:
    return run_now(request.read_bytes(node, 0, node.length))


def raw(path: Path, *options: str) -> bytes:
    out = path.with_suffix(".raw")
    qemu_img("convert", *options, "-f", "qcow2", "-O", "raw", str(path), str(out))
    return out.read_bytes()


def assert_check_agrees(path: Path) -> dict[str, Any]:
    """qemu-img check and ours say the same of an image."""
    expected = json.loads(qemu_img("check", "--output=json", "-f", "qcow2", str(path), expect=(0, 2, 3)))
    with Opened(path, read_only=True) as node:
        found = run_now(check.check(node)).as_dict()
    assert found == {key: value for key, value in expected.items() if key not in ("filename", "format")}
    return found


SHAPES = {
    "plain": "cluster_size=64k",
    "small clusters": "cluster_size=4k,refcount_bits=64",
    "one bit": "cluster_size=32k,refcount_bits=1",
    "version 2": "compat=0.10",
    "subclusters": "extended_l2=on",
    "preallocated": "preallocation=metadata",
    "zstd": "compression_type=zstd",
}


def fill(path: Path, shape: str) -> None:
    qemu_img("create", "-q", "-f", "qcow2", "-o", SHAPES[shape], str(path), str(SIZE))
    qemu_io([str(path)], "write -P 1 0 3M", "write -P 2 5M 100k", "write -P 3 4M 64k", "write -z 1M 256k")
    if shape not in ("one bit", "preallocated"):
        qemu_io([str(path)], "write -c -P 4 7M 64k", "write -c -P 5 7232k 64k")


@pytest.mark.parametrize("shape", SHAPES)
def test_checks_of_sound_images_agree(tmp_path: Path, shape: str) -> None:
    path = tmp_path / "a.qcow2"
    fill(path, shape)
    assert assert_check_agrees(path)["allocated-clusters"]
    if shape != "one bit":
        qemu_img("snapshot", "-c", "a", str(path))
        qemu_io([str(path)], "write -P 9 100k 900k")
        assert_check_agrees(path)


@pytest.mark.parametrize("seed", range(12))
def test_checks_of_leaks_and_low_refcounts_agree(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    path = tmp_path / "a.qcow2"
    fill(path, "plain")
    data = bytearray(path.read_bytes())
    (table,) = struct.unpack_from(">Q", data, 48)
    (block,) = struct.unpack_from(">Q", data, table)
    for _ in range(4):
        cluster = chance.randrange(3, len(data) // 65536)
        (count,) = struct.unpack_from(">H", data, block + 2 * cluster)
        struct.pack_into(">H", data, block + 2 * cluster, count + chance.choice([1, 2]))
    path.write_bytes(data)
    before = raw(path)
    assert assert_check_agrees(path)["leaks"]
    with Opened(path) as node:
        assert run_now(check.check(node, fix="all")).leaks_fixed
    assert "No errors" in qemu_img("check", str(path))
    assert raw(path) == before


def test_rebuilt_refcounts_please_qemu(tmp_path: Path) -> None:
    path = tmp_path / "a.qcow2"
    fill(path, "plain")
    before = raw(path)
    data = bytearray(path.read_bytes())
    (table,) = struct.unpack_from(">Q", data, 48)
    data[table : table + 65536] = bytes(65536)
    path.write_bytes(data)
    with Opened(path, repairing=True) as node:
        assert run_now(check.check(node, fix="all")).corruptions_fixed
    assert "No errors" in qemu_img("check", str(path))
    assert raw(path) == before


@pytest.mark.parametrize("shape", [shape for shape in SHAPES if shape != "one bit"])
def test_snapshots_of_either_are_read_by_the_other(tmp_path: Path, shape: str) -> None:
    path = tmp_path / "a.qcow2"
    fill(path, shape)
    qemu_img("snapshot", "-c", "theirs", str(path))
    first = raw(path)
    with Opened(path) as node:
        run_now(request.write_bytes(node, 50_000, b"ours" * 100_000))
        run_now(snapshots.create(node, "ours", date=1_600_000_000_123_456_789, vm_clock=61_000_000_000))
        second = content(node)
        run_now(request.write_bytes(node, 0, b"last" * 100_000))
    assert "No errors" in qemu_img("check", str(path))
    assert raw(path, "-l", "theirs") == first
    assert raw(path, "-l", "ours") == second
    listed = json.loads(qemu_img("info", "--output=json", str(path)))["snapshots"]
    with Opened(path, read_only=True) as node:
        assert [snapshots.describe(each) for each in run_now(snapshots.list_snapshots(node))] == [
            {"icount": 0, **each} if index == 0 else each for index, each in enumerate(listed)
        ]
    qemu_img("snapshot", "-a", "ours", str(path))
    with Opened(path) as node:
        assert content(node) == second
        run_now(snapshots.apply(node, "theirs"))
        assert content(node) == first
        run_now(snapshots.delete(node, "ours"))
    assert "No errors" in qemu_img("check", str(path))
    qemu_img("snapshot", "-d", "theirs", str(path))
    assert_check_agrees(path)
    assert raw(path) == first


def dirty_by_qemu(path: Path, bitmap: str) -> list[tuple[int, int]]:
    """The dirty ranges of a bitmap that qemu-img or qemu-io changed last."""
    with Opened(path, read_only=True) as node:
        return list(run_now(bitmaps_of(node).get(bitmap)).areas())


@pytest.mark.parametrize("options", ["cluster_size=512", "cluster_size=64k", "extended_l2=on"])
def test_bitmaps_of_either_are_kept_up_by_the_other(tmp_path: Path, options: str) -> None:
    path = tmp_path / "a.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", "-o", options, str(path), str(SIZE))
    qemu_img("bitmap", "--add", "-g", "4096", str(path), "theirs")
    expected = DirtyBitmap("x", SIZE, 4096)

    def both(offset: int, length: int) -> None:
        expected.set(offset, length)

    qemu_io([str(path)], "write 100k 10k")
    both(100 << 10, 10 << 10)
    with Opened(path) as node:
        bitmaps_of(node).add("ours", 65536)
        run_now(request.write_bytes(node, 3 << 20, b"x" * 70_000))
        both(3 << 20, 70_000)
    qemu_io([str(path)], "write 5M 1", "write -z 6M 64k")
    both(5 << 20, 1)
    both(6 << 20, 64 << 10)
    assert dirty_by_qemu(path, "theirs") == list(expected.areas())
    qemu_img("bitmap", "--add", "-g", "4096", "--disable", str(path), "sum")
    qemu_img("bitmap", "--merge", "theirs", "--merge", "ours", str(path), "sum")
    assert dirty_by_qemu(path, "sum")[-1] == (6 << 20, 64 << 10)
    info = json.loads(qemu_img("info", "--output=json", str(path)))["format-specific"]["data"]["bitmaps"]
    assert info == [
        {"flags": ["auto"], "name": "theirs", "granularity": 4096},
        {"flags": ["auto"], "name": "ours", "granularity": 65536},
        {"flags": [], "name": "sum", "granularity": 4096},
    ]
    assert_check_agrees(path)
    qemu_img("bitmap", "--remove", str(path), "ours")
    with Opened(path) as node:
        run_now(bitmaps_of(node).remove("theirs"))
        bitmaps_of(node).clear("sum")
    assert_check_agrees(path)


def test_bitmaps_left_in_use_are_inconsistent_for_both(tmp_path: Path) -> None:
    path = tmp_path / "a.qcow2"
    qemu_img("create", "-q", "-f", "qcow2", str(path), str(SIZE))
    with Opened(path) as node:
        bitmaps_of(node).add("b")
    opened = Opened(path)
    copy = tmp_path / "crashed.qcow2"
    copy.write_bytes(path.read_bytes())
    opened.__exit__()
    info = json.loads(qemu_img("info", "--output=json", str(copy)))["format-specific"]["data"]["bitmaps"]
    assert info[0]["flags"] == ["in-use", "auto"]
    qemu_img("bitmap", "--remove", str(copy), "b")
    with Opened(copy, read_only=True) as node:
        assert bitmaps_of(node).names == []


CIPHERS: dict[str, dict[str, str]] = {
    "default": {},
    "aes-128 cbc essiv": {
        "cipher-alg": "aes-128",
        "cipher-mode": "cbc",
        "ivgen-alg": "essiv",
        "ivgen-hash-alg": "sha256",
    },
    "aes-256 cbc plain64": {"cipher-mode": "cbc", "ivgen-alg": "plain64", "hash-alg": "sha512"},
    "aes-128 xts plain": {"cipher-alg": "aes-128", "ivgen-alg": "plain"},
}


def qcow2_target(path: Path, secret: str = "one") -> list[str]:
    return [*SECRETS, "--image-opts", f"driver=qcow2,encrypt.key-secret={secret},file.filename={path}"]


def luks_target(path: Path, secret: str = "one") -> list[str]:
    return [*SECRETS, "--image-opts", f"driver=luks,key-secret={secret},file.filename={path}"]


MAKERS = [("varan", cipher) for cipher in (*CIPHERS, "old aes")]
MAKERS += [("qemu", cipher) for cipher in ("default", "aes-128 cbc essiv", "old aes")]
"""qemu-img takes seconds for each key."""


@pytest.mark.parametrize(("maker", "cipher"), MAKERS)
def test_encrypted_images_of_either_are_used_by_the_other(tmp_path: Path, maker: str, cipher: str) -> None:
    path = tmp_path / "a.qcow2"
    options = {"encrypt.key-secret": "one", "encrypt.format": "luks" if cipher in CIPHERS else "aes"}
    options |= {
        f"encrypt.{name}": value for name, value in (CIPHERS.get(cipher, {}) | FAST).items() if cipher in CIPHERS
    }
    if maker == "qemu":
        options |= {"encrypt.iter-time": "400"} if cipher in CIPHERS else {}
        given = ",".join(f"{name}={value}" for name, value in options.items())
        qemu_img("create", "-q", "-f", "qcow2", *SECRETS, "-o", given, str(path), str(SIZE))
    else:
        run_now(registry.driver("qcow2").create(str(path), SIZE, options, secrets().get))
    qemu_io(qcow2_target(path), "write -P 7 0 1M", "write -P 8 1000k 700")
    key = {"encrypt.key-secret": "one"}
    with Opened(path, **key) as node:
        assert content(node)[: (1 << 20)] == b"\7" * 1_024_000 + b"\x08" * 700 + b"\7" * (24_576 - 700)
        run_now(request.write_bytes(node, 3000, b"\x09" * 5000))
        run_now(request.write_bytes(node, 5 << 20, b"\x0a" * 500_000))
    qemu_io(qcow2_target(path), "read -P 9 3000 5000", f"read -P 10 {5 << 20} 500000", "read -P 7 0 3000")
    assert "No errors" in qemu_img("check", *qcow2_target(path))


def test_wrong_and_missing_keys(tmp_path: Path) -> None:
    path = tmp_path / "a.qcow2"
    options = {"encrypt.key-secret": "one", "encrypt.format": "luks", "encrypt.iter-time": "20"}
    run_now(registry.driver("qcow2").create(str(path), SIZE, options, secrets().get))
    for name in ("two", "nobody"):
        with pytest.raises(BlockError) as caught:
            Opened(path, **{"encrypt.key-secret": name})
        assert caught.value.kind is ErrorKind.ENCRYPTED
    with Opened(path) as node:
        with pytest.raises(BlockError) as caught:
            run_now(request.write_bytes(node, 0, b"x"))
        assert "No errors" in qemu_img("check", "-U", *qcow2_target(path))
    assert caught.value.kind is ErrorKind.ENCRYPTED


@pytest.mark.parametrize("maker", ["qemu", "varan"])
def test_luks_images_of_either_are_used_by_the_other(tmp_path: Path, maker: str) -> None:
    path = tmp_path / "a.luks"
    if maker == "qemu":
        make_encrypted("luks", "key-secret=one,iter-time=100", path)
    else:
        run_now(registry.driver("luks").create(str(path), SIZE, {"key-secret": "one"} | FAST, secrets().get))
    qemu_io(luks_target(path), "write -P 7 0 1M")
    with Opened(path, driver="luks", **{"key-secret": "one"}) as node:
        assert isinstance(node, LuksNode)
        assert node.length == SIZE
        assert run_now(request.read_bytes(node, 0, 1 << 20)) == b"\7" * (1 << 20)
        run_now(request.write_bytes(node, 100, b"\3" * 5000))
        run_now(node.amend({"state": "active", "new-secret": "two"} | FAST))
    qemu_io(luks_target(path, "two"), "read -P 3 100 5000", "read -P 7 5100 5000")
    qemu_img("amend", *luks_target(path, "two"), "-o", "state=inactive,old-secret=one")
    with Opened(path, driver="luks", **{"key-secret": "two"}) as node:
        assert run_now(request.read_bytes(node, 100, 5000)) == b"\3" * 5000
    with pytest.raises(BlockError) as caught:
        Opened(path, driver="luks", **{"key-secret": "one"})
    assert caught.value.kind is ErrorKind.ENCRYPTED


def test_keys_in_qcow2_are_added_and_erased_by_either(tmp_path: Path) -> None:
    path = tmp_path / "a.qcow2"
    options = {"encrypt.key-secret": "one", "encrypt.format": "luks", "encrypt.iter-time": "20"}
    run_now(registry.driver("qcow2").create(str(path), SIZE, options, secrets().get))
    qemu_io(qcow2_target(path), "write -P 7 0 1M")
    with Opened(path, **{"encrypt.key-secret": "one"}) as node:
        change = {"encrypt.state": "active", "encrypt.new-secret": "two", "encrypt.iter-time": "20"}
        run_now(amend(node, change, secret=secrets().get))
    qemu_io(qcow2_target(path, "two"), "read -P 7 0 1M")
    qemu_img("amend", *qcow2_target(path, "two"), "-o", "encrypt.state=inactive,encrypt.keyslot=0")
    with Opened(path, **{"encrypt.key-secret": "two"}) as node:
        assert content(node)[: 1 << 20] == b"\7" * (1 << 20)
    with pytest.raises(BlockError):
        Opened(path, **{"encrypt.key-secret": "one"})


@pytest.mark.parametrize(
    ("shape", "options"),
    [
        ("plain", {"compat": "0.10"}),
        ("version 2", {"compat": "1.1", "refcount_bits": "64", "lazy_refcounts": "on"}),
        ("small clusters", {"refcount_bits": "8"}),
        ("one bit", {"refcount_bits": "16", "size": "16M"}),
        ("subclusters", {"refcount_bits": "32"}),
    ],
)
def test_amended_images_please_qemu(tmp_path: Path, shape: str, options: dict[str, str]) -> None:
    path = tmp_path / "a.qcow2"
    fill(path, shape)
    before = raw(path)
    with Opened(path) as node:
        assert isinstance(node, Qcow2Node)
        run_now(amend(node, options))
    assert "No errors" in qemu_img("check", str(path))
    assert raw(path)[: len(before)] == before
    qemu_io([str(path)], "write -P 11 0 3M", "read -P 11 0 3M")
    assert_check_agrees(path)
