"""Monitors killed in the middle of snapshots, transactions and changes to bitmaps.

Images are sound to QEMU's check, what was flushed is there, and a bitmap that can be relied on misses nothing.

VARAN_POWER_CUTS says how often in all (a few dozen times where it is not set).
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from tests.support.expected_disk import Expected
from tests.support.image_tools import Tools, qemu
from tests.support.job_bench import make_chain

from varan.block import bitmaps
from varan.block.graph import Graph

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]

WRITER = Path(__file__).parent.parent / "support" / "snapshots_writer.py"
KINDS = ["snapshots", "transactions", "internal snapshots", "bitmaps", "backups"]
CUTS = -(-int(os.environ.get("VARAN_POWER_CUTS", "20")) // len(KINDS))


class Disk:
    """What a disk may hold, and what is kept of it."""

    def __init__(self, content: bytes, image: Path) -> None:
        self.expected = Expected(bytearray(content), image=str(image))
        self.now = bytearray(content)
        self.kept: dict[str, bytes] = {}
        self.recorded: dict[str, list[int]] = {}
        """Where was written to each image while its bitmap recorded."""
        self._recording: list[int] | None = None

    def hear(self, line: str) -> None:
        """Take note of what the writer says."""
        words = line.split()
        if words[0] == "kept":
            self.kept[words[1]] = bytes(self.now)
        elif words[0] == "dropping":
            del self.kept[words[1]]
        elif words[0] == "recording":
            self._recording = self.recorded[words[1]] = []
        elif words[0] == "closing":
            self._recording = None
        else:
            if words[0] == "write":
                offset, length, value = map(int, words[1:])
                self.now[offset : offset + length] = bytes([value]) * length
                if self._recording is not None:
                    self._recording += [offset, offset + length - 1]
            self.expected.hear(line)


def cut(directory: Path, kind: str, chance: random.Random, disks: list[Disk]) -> None:
    """Kill the writer after a random number of lines."""
    words = [sys.executable, str(WRITER), str(directory), str(chance.random()), kind]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    assert process.stdout is not None and process.stderr is not None
    lines: list[str] = []
    for _ in range(chance.randrange(1, 400)):
        line = process.stdout.readline()
        assert line, process.stderr.read().decode()
        lines.append(line.decode())
    time.sleep(chance.random() * 0.01)
    process.kill()
    rest, complaints = process.communicate()
    assert not complaints, complaints.decode()
    lines += rest.decode().splitlines()
    for line in lines:
        number, _, said = line.partition(" ")
        disks[int(number)].hear(said)


def repair(tools: Tools, chain: list[dict[str, Any]]) -> None:
    """What says that it needs a repair gets the one of opening, the image above others first."""
    for image in chain:
        if image["format"] == "qcow2":
            found = tools.json("info", "-f", "qcow2", image["filename"])
            assert not found["format-specific"]["data"].get("corrupt"), found
            if found["dirty-flag"]:
                tools.io(["-f", "qcow2", image["filename"]], ["length"])


async def assert_recorded(path: str, written: list[int]) -> bool:
    """Where an image says that its bitmap can be relied on, all that was written is marked; whether it says so."""
    graph = Graph()
    node = await graph.open({"driver": "qcow2", "file.filename": path, "backing": None, "read-only": True}, user=None)
    reliable = False
    if bitmaps.is_taken(node, "b"):
        bitmap = await bitmaps.find(node, "b")
        reliable = not bitmap.inconsistent
        assert not reliable or all(map(bitmap.get, written)), path
    await graph.close_all()
    return reliable


@pytest.mark.parametrize("kind", KINDS)
async def test_a_monitor_killed_leaves_sound_images_with_what_was_flushed(tmp_path: Path, kind: str) -> None:
    tools, chance, reliable = qemu(), random.Random(kind), 0
    for number in range(CUTS):
        directory = tmp_path / str(number)
        directory.mkdir()
        disks = []
        for index in range(2):
            names = [f"base{index}.raw", f"top{index}.qcow2"]
            content = await make_chain(directory, names, seed=number * 2 + index)
            disks.append(Disk(content, directory / names[1]))
        cut(directory, kind, chance, disks)
        for disk in disks:
            image = disk.expected.image
            chain = tools.json("info", "--backing-chain", "-f", "qcow2", image)
            repair(tools, chain)
            for link in chain:
                if link["format"] == "qcow2":
                    done = tools.run_img(["check", "-f", "qcow2", link["filename"]])
                    assert done.status in (0, 3), (link, done)
            copy = directory / "copy"
            tools.img("convert", "-f", "qcow2", "-O", "raw", image, str(copy))
            disk.expected.assert_allows(copy.read_bytes())
            for name, content in disk.kept.items():
                tools.img("convert", "-f", "qcow2", "-l", f"snapshot.name={name}", "-O", "raw", image, str(copy))
                assert copy.read_bytes() == content, name
            for path, written in disk.recorded.items():
                reliable += await assert_recorded(path, written)
    assert kind != "bitmaps" or reliable > 0
