"""A Linux guest on a failing disk, under Varan and under QEMU: the same events, states and answers."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

import pytest
from qemu.qmp import EventListener, QMPClient
from tests.support.initrd import make_initrd
from tests.support.kernel import need_busybox, need_kernel
from tests.support.linux_guest import APPEND
from tests.support.need import need_tool

pytestmark = [pytest.mark.interop, pytest.mark.linux, pytest.mark.timeout(200)]

VARAN = str(Path(sys.executable).with_name("varan-system-x86_64"))
MIB = 1 << 20
FILE = {"driver": "file", "filename": "disk.raw"}
SCRIPT = """
say() { [ $2 = 0 ] && echo "SAID $1 well" || echo "SAID $1 badly"; }
dd if=/dev/zero of=/dev/vda bs=4k seek=256 count=1 oflag=direct 2>/dev/null; say write $?
dd if=/dev/vda of=/dev/null bs=4k skip=512 count=1 iflag=direct 2>/dev/null; say read $?
dd if=/dev/zero of=/dev/vda bs=4k seek=700 count=1 conv=fsync 2>/dev/null; say flush $?
"""
WRITE = {"event": "none", "iotype": "write", "sector": 2048}
READ = {"event": "none", "iotype": "read", "sector": 4096}
FLUSH = {"event": "none", "iotype": "flush"}
CASES = {
    "full": ([WRITE | {"errno": 28}], {}),
    "twice full": ([WRITE | {"errno": 28}] * 2, {}),
    "broken": ([WRITE | {"errno": 5}, READ | {"errno": 5}], {}),
    "broken, stop": (
        [WRITE | {"errno": 5}, READ | {"errno": 5}, FLUSH | {"errno": 5}],
        {"rerror": "stop", "werror": "stop"},
    ),
    "broken flush, stop": ([FLUSH | {"errno": 5}], {"werror": "stop"}),
    "full, report": ([WRITE | {"errno": 28}], {"werror": "report"}),
    "broken, ignore": ([WRITE | {"errno": 5}, READ | {"errno": 5}], {"rerror": "ignore", "werror": "ignore"}),
}


async def seen(program: str, folder: Path, rules: list[dict[str, Any]], settings: dict[str, str]) -> list[Any]:
    """Events, states at each stop, and what the guest says."""
    folder.mkdir()
    (folder / "disk.raw").write_bytes(bytes(8 * MIB))
    (folder / "initrd").write_bytes(make_initrd(SCRIPT, need_busybox(), modules=("virtio_pci", "virtio_blk")))
    node = {"driver": "blkdebug", "image": FILE, "inject-error": [rule | {"once": True} for rule in rules]}
    name = json.dumps({"driver": "raw", "node-name": "n", "file": node}).replace(",", ",,")
    device = ",".join(["virtio-blk-pci,id=disk,drive=d0", *(f"{name}={value}" for name, value in settings.items())])
    socket = folder / "qmp"
    words = [
        program,
        "-M",
        "pc",
        "-m",
        "256",
        "-nodefaults",
        "-no-shutdown",
        "-display",
        "none",
        "-serial",
        "file:serial",
    ]
    words += [
        "-kernel",
        str(need_kernel()),
        "-initrd",
        "initrd",
        "-append",
        APPEND,
    ]
    # Disks over nodes keep their I/O status in QEMU when the guest goes on: a drive has a name.
    words += ["-drive", f"if=none,id=d0,file=json:{name}", "-device", device]
    words += ["-accel", "unicorn" if program == VARAN else "tcg", "-qmp", f"unix:{socket},server=on,wait=off"]
    client = QMPClient("test")
    process = await asyncio.create_subprocess_exec(*words, cwd=folder, stdout=asyncio.subprocess.DEVNULL)
    try:
        async with asyncio.timeout(30):
            while not socket.exists():
                await asyncio.sleep(0.02)
        await client.connect(str(socket))
        found = await _follow(client)
    finally:
        await client.disconnect()
        if process.returncode is None:
            process.kill()
        await process.wait()
    return found + [line.strip() for line in (folder / "serial").read_text().splitlines() if "SAID" in line]


async def _follow(client: QMPClient) -> list[Any]:
    listener = EventListener()
    client.register_listener(listener)
    found: list[Any] = []
    async with asyncio.timeout(90):
        while True:
            event = await listener.get()
            found.append((event["event"], event.get("data")))
            if event["event"] == "STOP":
                state = await client.execute("query-status")
                assert isinstance(state, dict)
                found.append(state["status"])
                found += [disk.get("io-status") for disk in await client.execute("query-block")]
                await client.execute("cont")
                found += [disk.get("io-status") for disk in await client.execute("query-block")]
            if event["event"] == "SHUTDOWN":
                return found


@pytest.mark.parametrize("case", CASES)
async def test_a_failing_disk_is_treated_as_qemu_does(tmp_path: Path, case: str) -> None:
    qemu = need_tool("qemu-system-x86_64", package="qemu-system-x86")
    rules, settings = CASES[case]
    theirs = await seen(qemu, tmp_path / "qemu", rules, settings)
    ours = await seen(VARAN, tmp_path / "varan", rules, settings)
    assert ours == theirs
