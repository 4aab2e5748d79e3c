"""Writers killed at random points: the image is sound to QEMU, and what was flushed is there.

`VARAN_KILLS` says how many are killed (a few in a normal run).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support import image_writer
from tests.support.image_writer import SECTOR, sector_bytes
from tests.support.need import need_tool

SIZE = 24 << 20
KILLS = int(os.environ.get("VARAN_KILLS", "3"))
SHAPES = {
    "default": "cluster_size=65536",
    "tiny": "cluster_size=512,refcount_bits=64",
    "subclusters": "extended_l2=on",
    "version-2": "compat=0.10,cluster_size=4096",
}


def run_and_kill(image: Path, seed: int, log: Path) -> list[str]:
    """The lines that a writer said before it was killed."""
    with log.open("w") as stream:
        writer = subprocess.Popen([sys.executable, image_writer.__file__, str(image), str(seed)], stdout=stream)
    while log.stat().st_size < 200 and writer.poll() is None:
        time.sleep(0.01)
    time.sleep(random.Random(seed).random() * 0.3)
    writer.send_signal(signal.SIGKILL)
    assert writer.wait() == -signal.SIGKILL
    return log.read_text().split("\n")[:-1]


def acceptable(lines: list[str]) -> dict[int, set[int]]:
    """By sector, the serials of the writes that may be the last: 0 for zeros."""
    allowed: dict[int, set[int]] = {}
    newest: dict[int, int] = {}
    for line in lines:
        what, *numbers = line.split()
        if what == "f":
            allowed = {sector: {serial} for sector, serial in newest.items()}
            continue
        first, count, serial = map(int, numbers)
        for sector in range(first, first + count):
            newest[sector] = 0 if what == "z" else serial
            allowed.setdefault(sector, {0}).add(newest[sector])
    return allowed


@pytest.mark.interop
@pytest.mark.parametrize("shape", SHAPES)
def test_killed_writers_leave_sound_images_with_what_was_flushed(tmp_path: Path, shape: str) -> None:
    tool = need_tool("qemu-img", "qemu-utils")
    for seed in range(KILLS):
        image = tmp_path / "disk.qcow2"
        subprocess.run([tool, "create", "-q", "-f", "qcow2", "-o", SHAPES[shape], image, str(SIZE)], check=True)
        lines = run_and_kill(image, seed, tmp_path / "log")
        checked = subprocess.run([tool, "check", image], capture_output=True, text=True)
        assert checked.returncode in (0, 3), checked.stdout + checked.stderr  # 3: leaks
        subprocess.run([tool, "convert", "-O", "raw", image, tmp_path / "raw"], check=True)
        with (tmp_path / "raw").open("rb") as raw:
            for sector, serials in acceptable(lines).items():
                raw.seek(sector * SECTOR)
                data = raw.read(SECTOR)
                assert any(data == sector_bytes(sector, serial) for serial in serials), (seed, sector)
        image.unlink()
