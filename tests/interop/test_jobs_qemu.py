"""The same commands to Varan and to QEMU: what they answer, and which events follow."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.image_tools import qemu
from tests.support.job_bench import SIZE, make_chain
from tests.support.two_monitors import QEMU, VARAN, answers

pytestmark = [pytest.mark.interop, pytest.mark.timeout(200)]

SLOW = {"device": "d0", "speed": 100_000}
T2 = {"driver": "qcow2", "node-name": "t2", "file": {"driver": "file", "filename": "t2.qcow2"}}
ALONG = {"device": "j"}
COMMANDS: list[tuple[str, dict[str, Any]]] = [
    ("block-stream", SLOW | {"job-id": "j"}),
    ("block-stream", {"device": "d0", "job-id": "k"}),
    ("block-stream", {"device": "d0", "job-id": "j"}),
    ("blockdev-add", T2),
    ("block-job-pause", ALONG),
    ("block-job-pause", ALONG),
    ("block-job-complete", ALONG),
    ("block-job-dismiss", {"id": "j"}),
    ("block-job-finalize", {"id": "j"}),
    ("block-job-cancel", ALONG),
    ("block-job-resume", ALONG),
    ("block-job-resume", ALONG),
    ("block-job-set-speed", {"device": "j", "speed": -1}),
    ("job-complete", {"id": "j"}),
    ("block-job-cancel", ALONG),
    ("block-job-cancel", ALONG),
    ("job-cancel", {"id": "j"}),
    ("block-stream", {"device": "d0", "job-id": "9j", "base": "mid.qcow2"}),
    ("block-stream", {"device": "d0", "base": "top.qcow2"}),
    ("block-stream", {"device": "d0", "base": "base.raw", "base-node": "nope"}),
    ("block-stream", {"device": "d0", "base-node": "t2"}),
    ("block-stream", {"device": "d0", "bottom": "t2"}),
    ("block-stream", {"device": "d0", "backing-file": "x"}),
    ("block-stream", {"device": "nope"}),
    ("block-commit", SLOW | {"top": "mid.qcow2", "base": "base.raw"}),
    ("block-job-cancel", {"device": "d0"}),
    ("block-commit", {"device": "d0", "top": "nope"}),
    ("block-commit", {"device": "d0", "base": "nope"}),
    ("block-commit", {"device": "d0", "top": "mid.qcow2", "base": "top.qcow2"}),
    ("block-commit", {"device": "d0", "backing-file": "x"}),
    ("block-commit", {"device": "d0", "top-node": "t2"}),
    ("blockdev-mirror", {"device": "d0", "target": "t2", "sync": "full", "granularity": 1000}),
    ("blockdev-mirror", {"device": "d0", "target": "t2", "sync": "incremental"}),
    ("blockdev-mirror", {"device": "d0", "target": "zz", "sync": "full"}),
    ("blockdev-mirror", {"device": "d0", "target": "t2", "sync": "full", "replaces": "gg"}),
    ("blockdev-mirror", {"device": "d0", "target": "t2", "sync": "full", "job-id": "m"}),
    ("block-job-cancel", {"device": "m"}),
    ("blockdev-mirror", {"device": "d0", "target": "t2", "sync": "full", "job-id": "m"}),
    ("block-job-cancel", {"device": "m", "force": True}),
    ("blockdev-backup", {"device": "d0", "target": "t2", "sync": "incremental"}),
    ("blockdev-backup", {"device": "d0", "target": "t2", "sync": "full", "bitmap": "x"}),
    ("blockdev-backup", {"device": "d0", "target": "d0", "sync": "full"}),
    (
        "blockdev-backup",
        {"device": "d0", "target": "t2", "sync": "full", "job-id": "b", "auto-finalize": False, "auto-dismiss": False},
    ),
    ("block-job-finalize", {"id": "b"}),
    ("block-job-dismiss", {"id": "b"}),
    ("drive-mirror", {"device": "d0", "target": "/nonexistent/m.qcow2", "sync": "full"}),
    ("drive-mirror", {"device": "d0", "target": "m3.qcow2", "sync": "full", "mode": "existing"}),
    ("drive-mirror", {"device": "d0", "target": "m.qcow2", "sync": "top"}),
    ("block-job-complete", {"device": "d0"}),
    ("block-stream", {"device": "d0"}),
    ("blockdev-del", {"node-name": "zz"}),
    ("blockdev-del", {"node-name": "t2"}),
    ("blockdev-add", {"driver": "null-co"}),
    ("blockdev-reopen", {"options": [{"driver": "null-co"}]}),
]


async def replies(program: str, directory: Path) -> list[Any]:
    """What a monitor over a chain of images answers to all of it."""
    directory.mkdir()
    await make_chain(directory, ["base.raw", "mid.qcow2", "top.qcow2"])
    qemu().img("create", "-q", "-f", "qcow2", str(directory / "t2.qcow2"), str(SIZE))
    return await answers(program, directory, ["if=none,id=d0,file=top.qcow2,format=qcow2"], COMMANDS)


async def test_commands_are_answered_as_by_qemu(tmp_path: Path) -> None:
    theirs = await replies(QEMU, tmp_path / "qemu")
    ours = await replies(VARAN, tmp_path / "varan")
    for expected, found in zip(theirs, ours, strict=True):
        assert found == expected
