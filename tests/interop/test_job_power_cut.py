"""Monitors killed at random points of a job: images are sound to QEMU's check, and what was flushed is there.

VARAN_POWER_CUTS says how often in all (a few dozen times where it is not set).
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.support.expected_disk import Expected
from tests.support.image_tools import qemu
from tests.support.job_bench import make_chain

pytestmark = [pytest.mark.interop, pytest.mark.timeout(900)]

WRITER = Path(__file__).parent.parent / "support" / "jobs_writer.py"
CHAIN = ["base.raw", "mid.qcow2", "top.qcow2"]
JOBS = [
    *("stream", "stream over a base", "commit", "commit of the top"),
    *("mirror", "blocking mirror", "backup"),
]
CUTS = -(-int(os.environ.get("VARAN_POWER_CUTS", "28")) // len(JOBS))


def cut(directory: Path, job: str, chance: random.Random, expected: Expected) -> None:
    """Kill the writer after a random number of lines."""
    words = [sys.executable, str(WRITER), str(directory), str(chance.random()), job]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
    assert process.stdout is not None and process.stderr is not None
    for _ in range(chance.randrange(1, 250)):
        line = process.stdout.readline()
        assert line, process.stderr.read().decode()
        expected.hear(line.decode())
    time.sleep(chance.random() * 0.004)
    process.kill()
    rest, complaints = process.communicate()
    assert not complaints, complaints.decode()
    for line in rest.splitlines():
        expected.hear(line.decode())


@pytest.mark.parametrize("job", JOBS)
async def test_a_monitor_killed_in_a_job_leaves_sound_images_with_what_was_flushed(tmp_path: Path, job: str) -> None:
    tools, chance = qemu(), random.Random(job)
    for number in range(CUTS):
        directory = tmp_path / str(number)
        directory.mkdir()
        content = await make_chain(directory, CHAIN, seed=number)
        expected = Expected(bytearray(content), image=str(directory / "top.qcow2"))
        cut(directory, job, chance, expected)
        for image in sorted(directory.glob("*.qcow2")):
            done = tools.run_img(["check", "-f", "qcow2", str(image)])
            assert done.status in (0, 3), (image, done)
        format = expected.image.rpartition(".")[2]
        copy = directory / "copy"
        tools.img("convert", "-f", format, "-O", "raw", expected.image, str(copy))
        expected.assert_allows(copy.read_bytes())
