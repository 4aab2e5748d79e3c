"""Snapshots, transactions and dirty bitmaps by the same commands to Varan and to QEMU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.image_tools import qemu
from tests.support.two_monitors import QEMU, VARAN, Commands, answers

from varan.block import bitmaps, create
from varan.block import open as open_image

pytestmark = [pytest.mark.interop, pytest.mark.timeout(200)]

SIZE = "4M"
DRIVES = [
    "if=none,id=d0,file=top.qcow2,format=qcow2",
    "if=none,id=d1,file=r.raw,format=raw",
    "if=none,id=d2,file=other.qcow2,format=qcow2,read-only=on",
]
ADD_T: tuple[str, dict[str, Any]] = (
    "blockdev-add",
    {"driver": "qcow2", "node-name": "t", "file": {"driver": "file", "filename": "t.qcow2"}},
)
ADD_RAW: tuple[str, dict[str, Any]] = (
    "blockdev-add",
    {"driver": "raw", "node-name": "raw0", "file": {"driver": "null-co", "size": 4 << 20}},
)


def snapshot(file: str, device: str | None = "d0", **more: str) -> tuple[str, dict[str, Any]]:
    arguments = {"snapshot-file": file} | {name.replace("_", "-"): value for name, value in more.items()}
    return "blockdev-snapshot-sync", arguments if device is None else arguments | {"device": device}


def inside(device: str, name: str) -> tuple[str, dict[str, Any]]:
    return "blockdev-snapshot-internal-sync", {"device": device, "name": name}


def delete(device: str, **which: str) -> tuple[str, dict[str, Any]]:
    return "blockdev-snapshot-delete-internal-sync", {"device": device} | which


def human(line: str) -> tuple[str, dict[str, Any]]:
    return "human-monitor-command", {"command-line": line}


def together(*actions: tuple[str, dict[str, Any]], **properties: str) -> tuple[str, dict[str, Any]]:
    arguments: dict[str, Any] = {"actions": [{"type": kind, "data": data} for kind, data in actions]}
    if properties:
        arguments["properties"] = {name.replace("_", "-"): value for name, value in properties.items()}
    return "transaction", arguments


def bitmap(verb: str, node: str, name: str, **more: Any) -> tuple[str, dict[str, Any]]:
    key = "target" if verb == "merge" else "name"
    return f"block-dirty-bitmap-{verb}", {"node": node, key: name} | more


def backup(**more: Any) -> tuple[str, dict[str, Any]]:
    return "blockdev-backup", {"device": "d0", "target": "t", "job-id": "k"} | more


SNAPSHOTS: Commands = [
    snapshot("s.qcow2", None),
    snapshot("s.qcow2", "nope"),
    snapshot("s.qcow2", None, node_name="nope"),
    snapshot("s.qcow2", node_name="nope"),
    snapshot("s.qcow2", format="nope"),
    snapshot("s.qcow2", format="raw"),
    snapshot("/nonexistent/s.qcow2"),
    snapshot("none.qcow2", mode="existing"),
    snapshot("nothing", mode="existing"),
    snapshot("top.qcow2"),
    snapshot("s1.qcow2", snapshot_node_name="s 1"),
    snapshot("s1.qcow2", snapshot_node_name="s1"),
    snapshot("s2.qcow2", snapshot_node_name="s1"),
    snapshot("s2.qcow2", None, node_name="s1"),
    snapshot("s2.qcow2", None, node_name="s1", snapshot_node_name="d1"),
    snapshot("s2.qcow2", None, node_name="s1", snapshot_node_name="s2"),
    snapshot("s3.qcow2", None, node_name="s1", snapshot_node_name="s3"),
    snapshot("over.qcow2", mode="existing", snapshot_node_name="o"),
    snapshot("ro.qcow2", "d2"),
    snapshot("rr.qcow2", "d1", snapshot_node_name="rr"),
    ADD_T,
    ADD_RAW,
    ("blockdev-snapshot", {"node": "nope", "overlay": "t"}),
    ("blockdev-snapshot", {"node": "s2", "overlay": "nope"}),
    ("blockdev-snapshot", {"node": "o", "overlay": "nope"}),
    ("blockdev-snapshot", {"node": "o", "overlay": "s1"}),
    ("blockdev-snapshot", {"node": "d0", "overlay": "raw0"}),
    ("blockdev-snapshot", {"node": "d1", "overlay": "d0"}),
    ("blockdev-snapshot", {"node": "rr", "overlay": "t"}),
    ("blockdev-snapshot", {"node": "rr", "overlay": "t"}),
    inside("nope", "a"),
    inside("d0", ""),
    inside("d2", "a"),
    inside("raw0", "a"),
    inside("d1", "a"),
    inside("d0", "a"),
    inside("d0", "a"),
    inside("d0", "1"),
    inside("t", "b"),
    delete("nope", name="a"),
    delete("raw0", name="a"),
    delete("d0"),
    delete("d0", name="zz"),
    delete("d0", id="9"),
    delete("d0", id="2", name="a"),
    delete("d0", id="1", name="a"),
    delete("d0", name="1"),
    delete("d2", name="1"),
    ("block-stream", {"device": "d0", "speed": 1, "job-id": "j", "base-node": "s1"}),
    human("snapshot_blkdev d1"),
    human("snapshot_blkdev nope x.qcow2"),
    human("snapshot_blkdev d1 h1.qcow2"),
    human("snapshot_blkdev d1 h2.qcow2 raw"),
    human("snapshot_blkdev -n d1 h2.qcow2 qcow2"),
    human("snapshot_blkdev_internal d1 i1"),
    human("snapshot_blkdev_internal d1 i1"),
    human("snapshot_delete_blkdev_internal d1 i1"),
    human("snapshot_delete_blkdev_internal d1 i1"),
]
TRANSACTIONS: Commands = [
    ADD_T,
    together(),
    together(("nope", {})),
    together(snapshot("x.qcow2", mode="nope")),
    together(("blockdev-snapshot-sync", {"device": "d0"})),
    together(("blockdev-snapshot-sync", {"device": 5, "snapshot-file": "x.qcow2"})),
    together(snapshot("x.qcow2", more="nope")),
    together(completion_mode="nope"),
    ("transaction", {}),
    together(("abort", {})),
    together(bitmap("add", "d0", "t1"), ("abort", {})),
    bitmap("clear", "d0", "t1"),
    together(snapshot("y.qcow2", "d1"), snapshot("z.qcow2", "nope")),
    together(snapshot("x.qcow2"), completion_mode="grouped"),
    together(inside("t", "z"), completion_mode="grouped"),
    together(bitmap("add", "d0", "z"), completion_mode="grouped"),
    together(
        snapshot("z1.qcow2", "d1", snapshot_node_name="z1"),
        snapshot("z2.qcow2", "d1", snapshot_node_name="z2"),
        snapshot("z3.qcow2", None, node_name="z2", snapshot_node_name="z3"),
    ),
    together(inside("t", "i"), inside("t", "i")),
    together(inside("t", "i"), inside("t", "i2")),
    delete("t", name="i2"),
    together(snapshot("g.qcow2"), ("drive-backup", {"device": "nope", "target": "g1.qcow2", "sync": "full"})),
    bitmap("add", "d0", "b"),
    together(bitmap("disable", "d0", "b"), bitmap("add", "d0", "b2"), bitmap("merge", "d0", "b2", bitmaps=["b"])),
    together(bitmap("remove", "d0", "b"), bitmap("add", "d0", "b")),
    together(bitmap("remove", "d0", "b"), bitmap("clear", "d0", "b")),
    together(bitmap("remove", "d0", "b"), ("abort", {})),
    bitmap("clear", "d0", "b"),
]
BITMAPS: Commands = [
    ADD_T,
    bitmap("add", "nope", "b"),
    bitmap("add", "d0", ""),
    bitmap("add", "d0", "b", granularity=1000),
    bitmap("add", "d0", "b", granularity=256),
    bitmap("add", "d0", "b", granularity=0),
    bitmap("add", "d0", "b", granularity=1 << 33),
    bitmap("add", "d0", "b", granularity=-1),
    bitmap("add", "d0", "b", granularity="1k"),
    bitmap("add", "d0", "b"),
    bitmap("add", "d0", "b"),
    bitmap("add", "d0", "p", persistent=True, granularity=4096, disabled=True),
    bitmap("add", "d1", "p", persistent=True),
    bitmap("add", "d1", "x" * 1024),
    bitmap("add", "d0", "y" * 1024, persistent=True),
    bitmap("add", "d1", "r", granularity=1 << 31),
    bitmap("remove", "nope", "b"),
    bitmap("remove", "d0", "zz"),
    bitmap("clear", "d0", "zz"),
    bitmap("clear", "d0", "b"),
    bitmap("disable", "d0", "b"),
    bitmap("disable", "d0", "b"),
    bitmap("enable", "d0", "b"),
    bitmap("enable", "d0", "zz"),
    ("x-debug-block-dirty-bitmap-sha256", {"node": "d0", "name": "b"}),
    ("x-debug-block-dirty-bitmap-sha256", {"node": "d0", "name": "p"}),
    ("x-debug-block-dirty-bitmap-sha256", {"node": "d0", "name": "zz"}),
    ("x-debug-block-dirty-bitmap-sha256", {"node": "nope", "name": "p"}),
    bitmap("merge", "d0", "zz", bitmaps=["b"]),
    bitmap("merge", "d0", "p", bitmaps=["zz"]),
    bitmap("merge", "d0", "p", bitmaps=["b", {"node": "d1", "name": "r"}]),
    bitmap("merge", "d0", "p", bitmaps=[{"node": "nope", "name": "n"}]),
    bitmap("merge", "d0", "p", bitmaps=["p"]),
    ("query-block", {}),
    backup(sync="bitmap", bitmap="b"),
    backup(sync="bitmap", bitmap="b", **{"bitmap-mode": "always"}),
    backup(sync="incremental", bitmap="p"),
    backup(sync="full", bitmap="p", **{"bitmap-mode": "never"}),
    backup(sync="full", bitmap="p"),
    backup(sync="none", bitmap="p", **{"bitmap-mode": "always"}),
    backup(sync="top", bitmap="nope", **{"bitmap-mode": "never"}),
    backup(sync="bitmap", **{"bitmap-mode": "never"}),
    backup(sync="incremental", bitmap="p", **{"bitmap-mode": "never"}),
    backup(sync="full", bitmap="p", **{"bitmap-mode": "on-success"}),
    ("query-block", {}),
    bitmap("remove", "d0", "b"),
    bitmap("clear", "d0", "b"),
    snapshot("bs.qcow2"),
    ("query-block", {}),
    bitmap("clear", "d0", "p"),
]


def _comparable(found: list[Any]) -> list[Any]:
    """Without what no two machines have in common: times; of drives only their bitmaps."""
    for _, _, answer, _ in found:
        if isinstance(answer, list):
            for drive in answer:
                drive["inserted"] = drive["inserted"].get("dirty-bitmaps")
                for key in drive.keys() - {"device", "inserted"}:
                    del drive[key]
        if isinstance(answer, dict):
            for key in ("date-sec", "date-nsec", "vm-clock-sec", "vm-clock-nsec"):
                answer.pop(key, None)
    return found


@pytest.mark.parametrize("commands", [SNAPSHOTS, TRANSACTIONS, BITMAPS], ids=["snapshots", "transactions", "bitmaps"])
async def test_answers_are_those_of_qemu(tmp_path: Path, commands: Commands) -> None:
    found: list[list[Any]] = []
    for program in (QEMU, VARAN):
        directory = tmp_path / Path(program).name
        directory.mkdir()
        tools = qemu()
        for name in ("top", "other", "over", "t"):
            tools.img("create", "-q", "-f", "qcow2", str(directory / f"{name}.qcow2"), SIZE)
        tools.img("create", "-q", "-f", "raw", str(directory / "r.raw"), SIZE)
        (directory / "nothing").write_bytes(b"x" * 1000)
        found.append(_comparable(await answers(program, directory, DRIVES, commands)))
    for theirs, ours in zip(*found, strict=True):
        assert ours == theirs


def _by_job(events: list[Any]) -> dict[str, list[Any]]:
    """What each job has told; what happens to several is told in any order."""
    told: dict[str, list[Any]] = {}
    for name, data in events:
        told.setdefault(data.get("id") or data["device"], []).append((name, data))
    return told


@pytest.mark.parametrize("mode", ["individual", "grouped"])
async def test_jobs_of_a_transaction_tell_what_those_of_qemu_tell(tmp_path: Path, mode: str) -> None:
    actions: list[tuple[str, dict[str, Any]]] = [
        ("drive-backup", {"device": f"d{number}", "target": f"b{number}.qcow2", "sync": "full"}) for number in range(2)
    ]
    slow: list[tuple[str, dict[str, Any]]] = [(kind, data | {"speed": 1000}) for kind, data in actions]
    commands: Commands = [
        together(*actions, completion_mode=mode),
        together(*slow, completion_mode=mode),
        ("block-job-cancel", {"device": "d1"}),
    ]
    found: list[Any] = []
    for program in (QEMU, VARAN):
        directory = tmp_path / Path(program).name
        directory.mkdir()
        drives = []
        for number in range(2):
            # Two units of data: of a slow backup the second one waits for long.
            (directory / f"{number}.raw").write_bytes(b"x" * (4 << 20))
            drives.append(f"if=none,id=d{number},file={number}.raw,format=raw")
        answered = await answers(program, directory, drives, commands)
        found.append([(answer, _by_job(events)) for _, _, answer, events in answered])
    assert found[1] == found[0]


async def test_bitmaps_of_either_are_the_other_ones(tmp_path: Path) -> None:
    path = tmp_path / "top.qcow2"
    await create(str(path), 4 << 20, format="qcow2")
    async with open_image(str(path)) as image:
        bitmaps.add(image.node, "ours", granularity=65536, persistent=True)
        await image.write(100_000, b"x" * 200_000)
    drive = "if=none,id=d0,file=top.qcow2,format=qcow2"
    commands: Commands = [
        ("x-debug-block-dirty-bitmap-sha256", {"node": "d0", "name": "ours"}),
        bitmap("add", "d0", "theirs", persistent=True, granularity=4096),
        human('qemu-io d0 "write 1M 1"'),
    ]
    told = await answers(QEMU, tmp_path, [drive], commands)
    async with open_image(str(path), read_only=True) as image:
        ours, theirs = [await bitmaps.find(image.node, name) for name in ("ours", "theirs")]
        assert list(ours.areas()) == [(65536, 4 * 65536), (1 << 20, 65536)]
        assert list(theirs.areas()) == [(1 << 20, 4096)]
        ours.clear(1 << 20, 65536)
        assert bitmaps.sha256(ours) == told[0][2]["sha256"]
