"""A disk that fails at moments that nobody chose, with policies, jobs, resets and other devices.

Nothing is lost, and nothing is done twice.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.disk_soak import SIZE, DiskSoak

from varan.block.formats.qcow2.check import check
from varan.block.image import open_image

SEEDS = range(int(os.environ.get("VARAN_SOAK_SEEDS", "12")))
TURNS = 700


@pytest.mark.parametrize("seed", SEEDS)
async def test_a_failing_disk_holds_what_the_guest_wrote(tmp_path: Path, seed: int) -> None:
    soak = DiskSoak(tmp_path, seed)
    await soak.open()
    await soak.run(TURNS)
    name = await soak.close()
    format = name.rpartition(".")[2]
    async with open_image(name, format=format, read_only=True) as image:
        soak.compare(await image.read(0, SIZE))
    for path in tmp_path.glob("*.qcow2"):
        source = {"driver": "qcow2", "file.filename": str(path), "backing": None}
        async with open_image(source, read_only=True) as opened:
            report = await check(opened.node)  # type: ignore[arg-type]
            assert not report.corruptions, (path, report)
    assert soak.counts["answered"] > TURNS // 20
