"""Disks on the human monitor, word by word as QEMU shows them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.job_bench import make_chain

import varan
from varan.machine.spec import BootSpec, DriveSpec, MachineSpec


@pytest.fixture
async def vm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[varan.Machine]:
    monkeypatch.chdir(tmp_path)
    await make_chain(tmp_path, ["base.raw", "top.qcow2"])
    (tmp_path / "other.raw").write_bytes(bytes(4096))
    other = {"filename": "other.raw", "read-only": True, "detect-zeroes": "on", "node-name": "nother"}
    drives = (
        DriveSpec("d0", {"filename": "top.qcow2", "node-name": "ntop"}),
        DriveSpec("d1", other, "raw", writeback=False, limits={"iops-total": 5}),
        DriveSpec("d2", None),
    )
    spec = MachineSpec(memory=16 << 20, boot=BootSpec(demo=True), drives=drives)
    async with varan.Machine(spec=spec) as machine:
        yield machine


async def hmp(vm: varan.Machine, line: str) -> str:
    return (await vm.qmp.human_monitor_command(line)).replace("\r\n", "\n")


D0 = """\
d0 (ntop): top.qcow2 (qcow2)
    Removable device: not locked, tray closed
    Cache mode:       writeback
    Backing file:     base.raw (chain depth: 1)
"""
D1 = """\
d1 (nother): other.raw (raw, read-only)
    Removable device: not locked, tray closed
    Cache mode:       writethrough
    Detect zeroes:    on
    I/O throttling:   bps=0 bps_rd=0 bps_wr=0 bps_max=0 bps_rd_max=0 bps_wr_max=0 iops=5 iops_rd=0 iops_wr=0 \
iops_max=0 iops_rd_max=0 iops_wr_max=0 iops_size=0 group=d1
"""
D2 = """\
d2: [not inserted]
    Removable device: not locked, tray closed
"""


async def test_drives_are_shown_with_their_media(vm: varan.Machine) -> None:
    assert await hmp(vm, "info block") == "\n".join((D0, D1, D2))
    assert await hmp(vm, "info block d0") == D0
    assert await hmp(vm, "info block d1") == "\n" + D1
    assert await hmp(vm, "info block nix") == ""


async def test_a_nodes_name_is_looked_for_where_no_drive_has_it(vm: varan.Machine) -> None:
    shown = await hmp(vm, "info block ntop")
    assert shown.lstrip("\n").splitlines() == [
        "ntop: top.qcow2 (qcow2)",
        "    Cache mode:       writeback",
        "    Backing file:     base.raw (chain depth: 1)",
    ]
    nodes = await hmp(vm, "info block -n")
    first_lines = [part.splitlines()[0] for part in nodes.split("\n\n")]
    assert [line.partition(": ")[2] for line in first_lines] == [
        "other.raw (raw, read-only)",
        "other.raw (file, read-only)",
        "base.raw (raw, read-only)",
        "base.raw (file, read-only)",
        "top.qcow2 (qcow2)",
        "top.qcow2 (file)",
    ]


async def test_details_are_those_of_all_images(vm: varan.Machine) -> None:
    shown = await hmp(vm, "info block -v d0")
    assert shown.startswith(D0 + "\nImages:\nimage: top.qcow2\nfile format: qcow2\n")
    assert "\nbacking file: base.raw\n" in shown
    assert "\nFormat specific information:\n    compat: 1.1\n" in shown
    assert "\nimage: base.raw\nfile format: raw\n" in shown


async def test_counters_take_a_line_for_each_drive(vm: varan.Machine) -> None:
    names = (
        "rd_bytes wr_bytes rd_operations wr_operations flush_operations wr_total_time_ns rd_total_time_ns "
        "flush_total_time_ns rd_merged wr_merged idle_time_ns"
    )
    zeros = " ".join(f"{name}=0" for name in names.split())
    assert await hmp(vm, "info blockstats") == "".join(f"{drive}: {zeros}\n" for drive in ("d0", "d1", "d2"))
