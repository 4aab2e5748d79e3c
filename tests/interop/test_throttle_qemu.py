"""Limits of drives on Varan and on QEMU: what is refused, and why."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.support.qmp_answers import QEMU, VARAN, answers, human

pytestmark = [pytest.mark.interop, pytest.mark.timeout(100)]

NONE = {"bps": 0, "bps_rd": 0, "bps_wr": 0, "iops": 0, "iops_rd": 0, "iops_wr": 0}
WORDS = ["-M", "none", "-drive", "if=none,id=d0,file=a.raw,format=raw,node-name=n", "-drive", "if=none,id=empty"]


def limits(**arguments: Any) -> tuple[str, dict[str, Any]]:
    """The command with `arguments`, for drive d0 unless they say another."""
    device = {} if "id" in arguments else {"device": "d0"}
    return "block_set_io_throttle", {**device, **NONE, **arguments}


COMMANDS = [
    limits(device="nope"),
    limits(id="nope"),
    limits(device="d0", id="d0"),
    limits(device="empty", bps=5),
    limits(bps=10, bps_rd=5),
    limits(iops=10, iops_wr=5),
    limits(bps=10, bps_max=20, bps_rd_max=20),
    limits(bps=-1),
    limits(bps=10**15 + 1),
    limits(bps=10**15),
    limits(bps=1000, bps_max=500),
    limits(bps=1000, bps_rd_max=500),
    limits(bps=1000, iops_rd_max=500),
    limits(bps=1000, iops_size=500),
    limits(bps=1000, bps_max_length=5),
    limits(bps=1000, bps_max=5000, bps_max_length=0),
    limits(bps=1000, bps_max=5000, bps_max_length=2 * 10**12),
    limits(bps_rd=1000, bps_rd_max=2000, bps_rd_max_length=3, iops=4, iops_size=512),
    *human("info block d0"),
    limits(bps=1000, group="g1"),
    *human("info block d0"),
    ("object-add", {"qom-type": "throttle-group", "id": "g1"}),
    limits(),
    ("object-add", {"qom-type": "throttle-group", "id": "g1"}),
    limits(bps=77, group="g1"),
    ("qom-get", {"path": "/objects/g1", "property": "limits"}),
    ("object-del", {"id": "g1"}),
    limits(),
    ("object-del", {"id": "g1"}),
    *human(
        "block_set_io_throttle d0 1 2 3 4 5 6",
        "block_set_io_throttle d0 1000 0 0 4 0 0",
        "block_set_io_throttle xx 0 0 0 0 0 0",
    ),
]


async def test_commands_are_answered_as_by_qemu(tmp_path: Path) -> None:
    found = {}
    for name, program in (("qemu", QEMU), ("varan", VARAN)):
        directory = tmp_path / name
        directory.mkdir()
        (directory / "a.raw").write_bytes(bytes(1 << 20))
        found[name] = await answers(program, directory, WORDS, COMMANDS)
    for theirs, ours in zip(found["qemu"], found["varan"], strict=True):
        assert ours == theirs
