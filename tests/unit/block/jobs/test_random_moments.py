"""Jobs that are paused, cancelled, slowed down, completed, and that fail, at moments that nobody chose."""

from __future__ import annotations

import asyncio
import contextlib
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.job_bench import SIZE, Bench, a_bench, content_of

from varan.api.values import BlockdevOnError, JobStatus, MirrorSyncMode
from varan.block import create
from varan.block.base import Node
from varan.block.image import open_image
from varan.block.jobs.starting import JobOptions
from varan.errors import GenericError

CHAIN = ["base.raw", "mid.qcow2", "top.qcow2"]
KINDS = [
    "stream",
    "stream over a base",
    "commit",
    "commit of the top",
    "mirror",
    "blocking mirror",
    "backup",
    "top backup",
]
VERBS = ["pause", "resume", "cancel", "force", "slow", "fast", "complete", "flush"]
POLICIES = st.sampled_from(
    [BlockdevOnError.REPORT, BlockdevOnError.STOP, BlockdevOnError.IGNORE, BlockdevOnError.ENOSPC]
)
SECTORS = st.lists(st.integers(0, SIZE // 512 - 1), max_size=4)


def faulty(path: str, sectors: list[int], *iotypes: str) -> dict[str, Any]:
    """A file where the first request to each of these sectors fails."""
    rules = [
        {
            "event": "none",
            "iotype": iotypes[sector // 2 % len(iotypes)],
            "errno": ("EIO", "ENOSPC")[sector % 2],
            "sector": sector,
            "once": True,
        }
        for sector in sectors
    ]
    return {"driver": "blkdebug", "image.filename": path, "inject-error": rules}


async def begin(bench: Bench, kind: str, options: JobOptions, sectors: list[int]) -> bytes | None:
    """Start a job; what the disk held, where that is what a backup must have."""
    if kind.startswith("stream"):
        await bench.starter.stream("disk0", options, base="base.raw" if kind.endswith("base") else None)
        return None
    if kind.startswith("commit"):
        await bench.starter.commit("disk0", options, top=None if kind.endswith("top") else "mid.qcow2")
        return None
    below = {"backing_file": "mid.qcow2", "backing_fmt": "qcow2"} if kind == "top backup" else {}
    await create(bench.path("target.qcow2"), SIZE, format="qcow2", **below)
    source = {"driver": "qcow2", "file": faulty(bench.path("target.qcow2"), sectors, "write")}
    target: Node = await bench.graph.open(source, user=None)
    bench.graph.disown(target)
    if kind.endswith("mirror"):
        blocking = kind.startswith("blocking")
        await bench.starter.mirror("disk0", target, MirrorSyncMode.FULL, options, write_blocking=blocking)
        return None
    await bench.starter.backup("disk0", target, MirrorSyncMode.TOP if below else MirrorSyncMode.FULL, options)
    return bytes(bench.writer.content)


def ask(bench: Bench, verb: str) -> None:
    """Ask something of the job, if there is one and it takes that."""
    job: Any = bench.manager.jobs.get("disk0")
    if job is None:
        return
    with contextlib.suppress(GenericError):
        if verb in ("cancel", "force"):
            bench.manager.cancel(job, force=verb == "force")
        elif verb in ("slow", "fast"):
            job.set_speed(1 << 16 if verb == "slow" else 0)
        elif verb != "flush":
            getattr(bench.manager, verb)(job)


async def play(
    directory: Path, kind: str, moves: list[tuple[int, str]], options: JobOptions, sectors: list[int]
) -> None:
    """One job's life, and what must be true after it."""
    top = str(directory / "top.qcow2")
    source = {
        "driver": "qcow2",
        "file.filename": top,
        "backing": {
            "driver": "qcow2",
            "file.filename": str(directory / "mid.qcow2"),
            "backing": {"driver": "raw", "file": faulty(str(directory / "base.raw"), sectors, "read", "write")},
        },
    }
    async with a_bench(directory, CHAIN, source=source if sectors else None) as bench:
        held = await begin(bench, kind, options, sectors)
        bench.writer.begin()
        for turns, verb in moves:
            rounds = bench.writer.rounds
            while bench.writer.rounds < rounds + turns:
                await asyncio.sleep(0)
            ask(bench, verb)
            if verb == "flush":
                await bench.backend.flush()
        async with asyncio.timeout(30):
            while (job := bench.manager.jobs.get("disk0")) is not None:
                ask(bench, "fast")
                ask(bench, "resume")
                if job.state.status is JobStatus.READY:
                    ask(bench, "complete")
                await asyncio.sleep(0.001)
        await bench.writer.end()
        await bench.writer.check_all()
        name = bench.root.filename
        done = bench.seen("BLOCK_JOB_COMPLETED") and bench.failure() is None
    format = name.rpartition(".")[2]
    assert await content_of(name, format=format) == bench.writer.content
    if done and held is not None:
        assert await content_of(str(directory / "target.qcow2")) == held
    for image in directory.glob("*.qcow2"):
        await assert_sound(image)


async def assert_sound(image: Path) -> None:
    """Its counts and tables agree."""
    from varan.block.formats.qcow2.check import check

    async with open_image({"driver": "qcow2", "file.filename": str(image), "backing": None}, read_only=True) as opened:
        report = await check(opened.node)  # type: ignore[arg-type]
        assert not report.corruptions, (image, report)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(KINDS),
    moves=st.lists(st.tuples(st.integers(0, 4), st.sampled_from(VERBS)), max_size=6),
    speed=st.sampled_from([0, 1 << 20, 8 << 20]),
    policies=st.tuples(POLICIES, POLICIES),
    sectors=SECTORS,
)
def test_whatever_happens_to_a_job_the_disk_is_the_same(
    kind: str,
    moves: list[tuple[int, str]],
    speed: int,
    policies: tuple[BlockdevOnError, BlockdevOnError],
    sectors: list[int],
) -> None:
    options = replace(JobOptions(speed=speed), on_source_error=policies[0], on_target_error=policies[1])
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(play(Path(directory), kind, moves, options, sectors))
