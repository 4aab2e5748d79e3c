"""The same disks to Varan and to QEMU, and what both say of them, field by field and on the human monitor.

What differs for a reason is made alike by `alike` before it is compared, and said there.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.support.image_tools import qemu
from tests.support.two_monitors import QEMU, VARAN

pytestmark = [pytest.mark.interop, pytest.mark.timeout(200)]

SECTOR = 512
SECRET = ("-object", "secret,id=s,data=abc")


def node(driver: str, name: str, **options: Any) -> tuple[str, str]:
    """-blockdev for a node."""
    return "-blockdev", json.dumps({"driver": driver, "node-name": name} | options)


def file(name: str) -> dict[str, str]:
    return {"driver": "file", "filename": name}


DISK = "virtio-blk-pci,drive"
GEOMETRY = "cyls=2,heads=16,secs=63"
"""Without it QEMU looks for a partition table, so that a disk that copies on read is written to."""
CONFIGURATIONS: dict[str, tuple[str, ...]] = {
    "a chain": ("-drive", "if=virtio,file=top.qcow2,id=d0"),
    "bitmaps": node("qcow2", "n0", file=file("bitmaps.qcow2")),
    "cache modes": (
        *("-drive", "if=none,file=plain.raw,format=raw,id=d0,readonly=on,cache=writethrough"),
        *("-drive", "if=none,file=base.raw,format=raw,id=d1,cache=unsafe,detect-zeroes=unmap,discard=unmap"),
    ),
    "nothing in it": ("-drive", "if=none,id=d0"),
    "nodes": (
        *node("file", "f0", filename="top.qcow2"),
        *node("qcow2", "n0", file="f0"),
        *("-device", f"{DISK}=n0,id=vda,write-cache=off"),
    ),
    "another backing file": (
        *node("qcow2", "n0", backing=None, file=file("top.qcow2")),
        *node("qcow2", "n1", backing={"driver": "raw", "file": file("plain.raw")}, file=file("mid.qcow2")),
    ),
    "a drive with a key": (
        *SECRET,
        *("-drive", "if=none,id=d0,file=secret.qcow2,encrypt.key-secret=s", "-device", f"{DISK}=d0"),
    ),
    "a node with a key": (*SECRET, *node("luks", "n0", **{"key-secret": "s"}, file=file("secret.luks"))),
    "limits": (
        *("-drive", "if=virtio,file=plain.raw,format=raw,id=d0,bps=1000,bps_max=2000,iops=20,iops_size=4096,group=g"),
        *("-drive", "if=none,file=base.raw,format=raw,id=d1,group=g,bps_rd=7"),
    ),
    "a throttled node": (
        *("-object", "throttle-group,id=tg,x-bps-total=1000"),
        *node("throttle", "n0", **{"throttle-group": "tg"}, file={"driver": "raw", "file": file("plain.raw")}),
        *("-device", f"{DISK}=n0"),
    ),
    "copy on read": (
        *("-drive", "if=none,file=top.qcow2,id=d0,copy-on-read=on,detect-zeroes=on"),
        *("-device", f"{DISK}=d0,{GEOMETRY}"),
    ),
    "a node that copies on read": (
        *node("copy-on-read", "n0", file={"driver": "qcow2", "file": file("top.qcow2")}),
        *("-device", f"{DISK}=n0,id=vda,{GEOMETRY}"),
    ),
    "a part of a file": node("raw", "n0", offset=65536, size=131072, file=file("plain.raw")),
    "nothing at all": node("null-co", "n0", size=65536, **{"read-zeroes": True}),
    "nothing at all as a disk": ("-drive", "if=virtio,file=null-co://,format=raw,id=d0"),
    "a format in another": node("raw", "n0", file={"driver": "qcow2", "file": file("mid.qcow2")}),
    "faults": (
        *node("blkdebug", "n0", image=file("plain.raw")),
        *node("raw", "n1", file={"driver": "blkdebug", "align": 512, "image": file("base.raw")}),
    ),
    "data outside": ("-drive", "if=virtio,file=outside.qcow2,id=d0"),
    "another place": ("-drive", "if=virtio,file=sub/over.qcow2,id=d0"),
    "drives with trays": (
        *("-drive", "if=none,id=d0,media=cdrom", "-device", "ide-cd,drive=d0,id=cd0,bus=ide.0"),
        *(
            "-drive",
            "if=none,id=d1,media=cdrom,file=plain.raw,format=raw",
            "-device",
            "ide-cd,drive=d1,id=cd1,bus=ide.1,unit=0",
        ),
        *("-device", "ide-cd,id=cd2,bus=ide.1,unit=1"),
    ),
    "a disk and a floppy disk": (
        *("-drive", "if=none,id=d0,file=top.qcow2", "-device", "ide-hd,drive=d0,id=hd0,account-failed=off"),
        *("-drive", "if=none,id=d1,file=floppy.raw,format=raw", "-device", "floppy,drive=d1,id=fd0"),
    ),
    "policies": (
        *("-drive", "if=none,file=plain.raw,format=raw,id=d0,rerror=stop,werror=report"),
        *("-drive", "if=none,file=base.raw,format=raw,id=d1,werror=report"),
        *("-device", f"{DISK}=d0,id=vda", "-device", f"{DISK}=d1,id=vdb"),
    ),
    "statistics": (
        "-drive",
        "if=virtio,file=plain.raw,format=raw,id=d0,stats-account-failed=off,stats-intervals.0=60,stats-intervals.1=5",
    ),
}
LINES: list[tuple[str, dict[str, Any]]] = [
    ("query-block", {}),
    ("query-blockstats", {}),
    ("query-blockstats", {"query-nodes": True}),
    ("query-named-block-nodes", {}),
    ("query-named-block-nodes", {"flat": True}),
    *(
        ("human-monitor-command", {"command-line": line})
        for line in ("info block", "info block -v", "info block -n", "info block d0", "info block n0", "info block nix")
    ),
]


@pytest.fixture
def images(tmp_path: Path) -> Callable[[str], Path]:
    """A folder with the images, made once and copied, so that they are the same for both."""
    origin = tmp_path / "origin"
    (origin / "sub").mkdir(parents=True)
    img = qemu().img
    for name in ("plain.raw", "base.raw"):
        (origin / name).write_bytes(bytes(1 << 20))
    (origin / "floppy.raw").write_bytes(bytes(1440 << 10))
    for name, backing, format in (
        ("mid.qcow2", "base.raw", "raw"),
        ("top.qcow2", "mid.qcow2", "qcow2"),
        ("sub/over.qcow2", "../mid.qcow2", "qcow2"),
    ):
        img("create", "-q", "-f", "qcow2", "-b", backing, "-F", format, f"{origin}/{name}")
    img("snapshot", "-c", "before", f"{origin}/top.qcow2")
    img("create", "-q", "-f", "qcow2", f"{origin}/bitmaps.qcow2", "1M")
    img("bitmap", "--add", "-g", "32768", f"{origin}/bitmaps.qcow2", "b0")
    img("bitmap", "--add", "--disable", f"{origin}/bitmaps.qcow2", "b1")
    key = ("--object", "secret,id=s,data=abc")
    encrypted = "encrypt.format=luks,encrypt.key-secret=s,encrypt.iter-time=10"
    img("create", "-q", "-f", "qcow2", *key, "-o", encrypted, f"{origin}/secret.qcow2", "1M")
    img("create", "-q", "-f", "luks", *key, "-o", "key-secret=s,iter-time=10", f"{origin}/secret.luks", "1M")

    def copy(name: str) -> Path:
        folder = tmp_path / name
        subprocess.run(["cp", "-r", "--sparse=always", str(origin), str(folder)], check=True)
        # Its header names the folder that it is made in.
        command = ["qemu-img", "create", "-q", "-f", "qcow2", "-o", "data_file=outside.raw", "outside.qcow2", "1M"]
        subprocess.run(command, cwd=folder, check=True)
        return folder

    return copy


def answers(program: str, folder: Path, configuration: tuple[str, ...]) -> list[Any]:
    """What a program says of the disks, while its guest does not run."""
    words = [program, "-M", "pc", "-nodefaults", "-display", "none", "-S", "-qmp", "stdio", *configuration]
    asked = [("qmp_capabilities", {}), *LINES, ("quit", {})]
    script = "".join(json.dumps({"execute": name, "arguments": given}) + "\n" for name, given in asked)
    done = subprocess.run(words, cwd=folder, input=script, capture_output=True, text=True, timeout=100)
    said = [json.loads(line) for line in done.stdout.splitlines()]
    found = [line["return"] for line in said if "return" in line]
    assert len(found) == len(asked), (done.stderr, [line for line in said if "error" in line])
    return found[1:-1]


class Alike:
    """Makes what differs for a reason the same."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def value(self, value: Any, key: str = "") -> Any:
        if isinstance(value, dict):
            return {name: self.value(value[name], name) for name in sorted(value) if name not in OURS}
        if isinstance(value, list):
            return [self.value(item, key) for item in value]
        if key == "virtual-size":
            # QEMU knows whole sectors only.
            return -(-value // SECTOR) * SECTOR
        if isinstance(value, str):
            return self.text(value)
        return value

    def text(self, text: str) -> str:
        if text.startswith("json:"):
            return "json:" + json.dumps(json.loads(text.removeprefix("json:")), sort_keys=True)
        # Names that were not given are drawn at random there, counted here.
        text = re.sub(r"#block\d+", lambda match: self._names.setdefault(match[0], f"#{len(self._names)}"), text)
        text = re.sub(r"json:\{.*\}(?= \(|$)", lambda match: self.text(match[0]), text, flags=re.MULTILINE)
        return re.sub(r"virtual size: .*", "virtual size", text)


OURS = {
    "encryption_key_missing",  # Removed from the protocol in 6.0; Varan still tells.
    "actual-size",  # The file systems' affair; its own test is in test_img_outputs.
}


def alike(command: str, given: Any, answer: Any) -> Any:
    """An answer without what may differ."""
    if isinstance(answer, str):
        if given["command-line"].startswith("info block -n"):
            return sorted(Alike().value(part).strip() for part in answer.split("\r\n\r\n"))
        return Alike().value(answer).strip()
    if command != "query-named-block-nodes" and "query-nodes" not in given:
        return Alike().value(answer)
    # QEMU has those first that had their name first, Varan those that were open first.
    return sorted((Alike().value(node) for node in answer), key=json.dumps)


def same_nodes(name: str, command: str, given: dict[str, Any]) -> bool:
    """Whether both have the same nodes: what is a node of its own here is a setting of the drive there."""
    about_nodes = command == "query-named-block-nodes" or "query-nodes" in given
    return name != "copy on read" or not (about_nodes or given.get("command-line") == "info block -n")


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_disks_are_described_as_by_qemu(name: str, tmp_path: Path, images: Callable[[str], Path]) -> None:
    theirs = answers(QEMU, images("theirs"), CONFIGURATIONS[name])
    ours = answers(VARAN, images("ours"), CONFIGURATIONS[name])
    for (command, given), expected, found in zip(LINES, theirs, ours, strict=True):
        if same_nodes(name, command, given):
            assert alike(command, given, found) == alike(command, given, expected), (command, given)
