"""Writers killed at random points: the image is sound to QEMU's check, and what was flushed is there.

VARAN_POWER_CUTS says how often in all (a few dozen times where it is not set).
"""

from __future__ import annotations

import os
import random
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support.expected_disk import SECTOR, Expected
from tests.support.image_tools import Tools, qemu, varan

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]

SIZE = 4 << 20
WRITER = Path(__file__).parent.parent / "support" / "endless_writer.py"


@dataclass(frozen=True)
class Kind:
    """An image and who writes it: the library with some `extras`, or the I/O tool fed with a script."""

    options: str
    extras: str = ""
    backing: bool = False
    script: bool = False


KINDS = {
    "clusters of 4k": Kind("cluster_size=4k"),
    "clusters of 512": Kind("cluster_size=512,refcount_bits=64"),
    "defaults, over a backing file": Kind("cluster_size=64k", backing=True),
    "subclusters": Kind("cluster_size=16k,extended_l2=on", backing=True),
    "version 2": Kind("cluster_size=1k,compat=0.10"),
    "lazy counts": Kind("cluster_size=4k,lazy_refcounts=on"),
    "snapshots": Kind("cluster_size=4k", extras="snapshots"),
    "bitmaps": Kind("cluster_size=4k", extras="bitmaps"),
    "the tool": Kind("cluster_size=4k", script=True),
}
CUTS = -(-int(os.environ.get("VARAN_POWER_CUTS", "27")) // len(KINDS))


def script_lines(chance: random.Random) -> Iterator[tuple[str, str]]:
    """(command for the I/O tool, what it means) without end."""
    while True:
        length = chance.choice([1, 8, 64, 200]) * SECTOR
        offset, value = chance.randrange(0, SIZE - length + 1, SECTOR), chance.randrange(1, 256)
        if chance.random() < 0.2:
            yield f"write -q -z -u {offset} {length}\n", f"write {offset} {length} 0"
        else:
            yield f"write -q -P {value} {offset} {length}\n", f"write {offset} {length} {value}"
        if chance.random() < 0.2:
            # The answer to `length` says that the flush before it is done.
            yield "flush\nlength\n", "asked"


def cut_library(path: Path, kind: Kind, chance: random.Random, expected: Expected) -> None:
    """Kill the library's writer after a random number of lines."""
    words = [sys.executable, str(WRITER), str(path), str(chance.random()), kind.extras]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    assert process.stdout is not None and process.stderr is not None
    lines = 0
    limit = chance.randrange(0, 80)
    while lines < limit:
        line = process.stdout.readline()
        assert line, process.stderr.read().decode()
        expected.hear(line.decode())
        lines += 1
    time.sleep(chance.random() * 0.004)
    process.kill()
    for line in process.communicate()[0].splitlines():
        expected.hear(line.decode())


def cut_tool(path: Path, kind: Kind, chance: random.Random, expected: Expected) -> None:
    """Kill the I/O tool in the middle of a script."""
    words = [sys.executable, "-m", "varan.cli.io.main", "-f", "qcow2", "-d", "unmap", str(path)]
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdin is not None and process.stdout is not None
    asked: list[str] = []
    lines = script_lines(chance)
    for _ in range(chance.randrange(1, 60)):
        command, meaning = next(lines)
        asked.append(meaning)
        process.stdin.write(command.encode())
        process.stdin.flush()
    select.select([process.stdout], [], [], 10)
    time.sleep(chance.random() * 0.02)
    process.kill()
    answered = process.communicate()[0].count(b"MiB\n")
    for meaning in asked:
        if meaning == "asked":
            answered -= 1
            if answered >= 0:
                expected.hear("flushed")
        else:
            expected.hear(meaning)


def assert_sound(tools: Tools, path: Path, kind: Kind) -> None:
    """QEMU finds nothing worse than leaks, after the repair on opening where the image says that it needs one."""
    found = tools.json("info", "-f", "qcow2", str(path))
    assert not found["format-specific"]["data"].get("corrupt")
    if found["dirty-flag"]:
        assert kind.extras == "snapshots" or "lazy" in kind.options
        tools.io(["-f", "qcow2", str(path)], ["length"])
    done = tools.run_img(["check", "-f", "qcow2", str(path)])
    assert done.status in (0, 3), done


@pytest.mark.parametrize("name", KINDS)
def test_killed_writers_leave_sound_images_with_what_was_flushed(tmp_path: Path, name: str) -> None:
    tools, ours, kind = qemu(), varan(), KINDS[name]
    chance = random.Random(name)
    path, base, copy = tmp_path / "disk.qcow2", tmp_path / "base.raw", tmp_path / "copy.raw"
    content = bytearray(SIZE)
    words = ["create", "-q", "-f", "qcow2", "-o", kind.options]
    if kind.backing:
        content[: SIZE // 2] = chance.randbytes(SIZE // 2)
        base.write_bytes(content[: SIZE // 2])
        words += ["-b", str(base), "-F", "raw"]
    tools.img(*words, str(path), str(SIZE))
    for _ in range(CUTS):
        expected = Expected(content)
        (cut_tool if kind.script else cut_library)(path, kind, chance, expected)
        assert_sound(tools, path, kind)
        tools.img("convert", "-f", "qcow2", "-O", "raw", str(path), str(copy))
        found = copy.read_bytes()
        expected.assert_allows(found)
        ours.img("compare", "-f", "qcow2", "-F", "raw", str(path), str(copy))
        content = bytearray(found)
    if kind.backing:
        assert base.stat().st_size == SIZE // 2
