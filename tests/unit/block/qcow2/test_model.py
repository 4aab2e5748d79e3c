"""Random operations on images of many shapes agree with a bytearray, and leave images that check clean."""

from __future__ import annotations

import asyncio
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.need import need_tool
from tests.support.qcow2_images import check_bytes, image_bytes, open_image
from tests.support.recording_file import RecordingFile

from varan.block import request
from varan.block.base import Write

SIZE = 300 * 1024 + 512
SHAPES: dict[str, dict[str, str]] = {
    "default": {},
    "smallest clusters": {"cluster_size": "512"},
    "1-bit counts": {"cluster_size": "1024", "refcount_bits": "1"},
    "2-bit counts": {"cluster_size": "2048", "refcount_bits": "2"},
    "4-bit counts": {"cluster_size": "4096", "refcount_bits": "4"},
    "8-bit counts": {"cluster_size": "8192", "refcount_bits": "8"},
    "32-bit counts": {"cluster_size": "512", "refcount_bits": "32"},
    "64-bit counts": {"cluster_size": "4096", "refcount_bits": "64"},
    "version 2": {"cluster_size": "4096", "compat": "0.10"},
    "subclusters": {"cluster_size": "16384", "extended_l2": "on"},
    "lazy": {"cluster_size": "4096", "lazy_refcounts": "on"},
    "zstd": {"cluster_size": "4096", "compression_type": "zstd"},
    "large clusters": {"cluster_size": "128K"},
}
ALONE: dict[str, dict[str, str]] = {
    "preallocated": {"cluster_size": "4096", "preallocation": "metadata"},
    "preallocated subclusters": {"cluster_size": "16384", "extended_l2": "on", "preallocation": "metadata"},
}


@dataclass(frozen=True)
class Step:
    """One operation; `offset` and `length` in bytes, `seed` makes its data."""

    what: str
    offset: int
    length: int
    seed: int


steps = st.builds(
    Step,
    st.sampled_from(
        ["write", "write", "write", "zero", "unmap", "discard", "compressed", "read", "flush", "resize", "reopen"]
    ),
    st.one_of(st.integers(0, SIZE - 1), st.integers(0, SIZE // 4096).map(lambda cluster: cluster * 4096)),
    st.one_of(st.integers(1, 5000), st.sampled_from([512, 4096, 16384, 65536, 100_000, SIZE])),
    st.integers(0, 255),
)


class Pair:
    """An image and what it should read as."""

    def __init__(self, start: bytes, backing: bytes | None) -> None:
        self.file = RecordingFile(start)
        self.backing = RecordingFile(backing) if backing is not None else None
        self.model = bytearray((backing or b"").ljust(SIZE, b"\0")[:SIZE])

    async def open(self) -> None:
        self.node = await open_image(self.file, backing=self.backing, **{"l2-cache-size": 1})

    async def do(self, step: Step) -> None:
        node, model = self.node, self.model
        offset = min(step.offset, len(model) - 1)
        length = min(step.length, len(model) - offset)
        if step.what == "write":
            data = bytes((step.seed + at) & 0xFF or 1 for at in range(length))
            half = length // 2
            await request.write(node, offset, [memoryview(data)[:half], memoryview(data)[half:]])
            model[offset : offset + length] = data
        elif step.what in ("zero", "unmap"):
            flags = Write.MAY_UNMAP if step.what == "unmap" else Write.NONE
            await request.zero(node, offset, length, flags)
            model[offset : offset + length] = bytes(length)
        elif step.what == "discard":
            await request.discard(node, offset, length)
            now = await request.read_bytes(node, 0, len(model))
            changed = [at for at in range(len(model)) if now[at] != model[at]]
            assert all(offset <= at < offset + length for at in changed)
            assert all(now[at] == 0 for at in changed) or self.backing is not None
            model[:] = now
        elif step.what == "compressed":
            await self.compressed(offset, length, step.seed)
        elif step.what == "read":
            assert await request.read_bytes(node, offset, length) == model[offset : offset + length]
        elif step.what == "flush":
            await node.flush()
        elif step.what == "resize":
            await self.resize((offset + 511) // 512 * 512 or 512)
        elif step.what == "reopen":
            await node.close()
            await self.open()

    async def compressed(self, offset: int, length: int, seed: int) -> None:
        size = self.node.metadata.geometry.cluster_size
        offset -= offset % size
        end = min(offset + -(-length // size) * size, len(self.model))
        data = (bytes([seed, 1, 2, 3]) * (end - offset))[: end - offset]
        await request.write(self.node, offset, [memoryview(data)], Write.COMPRESSED)
        self.model[offset:end] = data

    async def resize(self, length: int) -> None:
        await request.truncate(self.node, length)
        old = len(self.model)
        del self.model[length:]
        self.model.extend(bytes(max(0, length - old)))

    async def finish(self) -> bytes:
        now = await request.read_bytes(self.node, 0, len(self.model))
        assert now == self.model
        await self.node.close()
        content = bytes(self.file.disk.content)
        report = await check_bytes(content)
        assert (report.corruptions, report.leaks, report.check_errors) == (0, 0, 0), report.messages
        again = await open_image(RecordingFile(content), backing=self.backing, read_only=True)
        assert await request.read_bytes(again, 0, len(self.model)) == self.model
        return content


async def run(start: bytes, backing: bytes | None, todo: list[Step]) -> bytes:
    pair = Pair(start, backing)
    await pair.open()
    for step in todo:
        await pair.do(step)
    return await pair.finish()


def model_test(tmp_path: Path, shape: dict[str, str], backing: bytes | None) -> None:
    start = asyncio.run(image_bytes(tmp_path, SIZE, **shape))
    judge = shutil.which("qemu-img")

    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
    @given(st.lists(steps, min_size=1, max_size=25))
    def run_once(todo: list[Step]) -> None:
        content = asyncio.run(run(start, backing, todo))
        (tmp_path / "last.qcow2").write_bytes(content)

    run_once()
    if judge is not None:
        done = subprocess.run([judge, "check", tmp_path / "last.qcow2"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("shape", [*SHAPES, *ALONE])
def test_random_operations_agree_with_the_model(tmp_path: Path, shape: str) -> None:
    model_test(tmp_path, (SHAPES | ALONE)[shape], None)


@pytest.mark.parametrize("shape", SHAPES)
def test_random_operations_over_a_shorter_backing_file_agree_with_the_model(tmp_path: Path, shape: str) -> None:
    model_test(tmp_path, SHAPES[shape], bytes(range(1, 256)) * 700)


@pytest.mark.parametrize("shape", ["default", "version 2", "subclusters"])
def test_random_operations_over_a_longer_backing_file_agree_with_the_model(tmp_path: Path, shape: str) -> None:
    model_test(tmp_path, SHAPES[shape], bytes(range(1, 256)) * 2000)


@pytest.mark.interop
@pytest.mark.parametrize("shape", [*SHAPES, *ALONE])
def test_images_read_the_same_in_qemu(tmp_path: Path, shape: str) -> None:
    convert = need_tool("qemu-img", "qemu-utils")
    start = asyncio.run(image_bytes(tmp_path, SIZE, **(SHAPES | ALONE)[shape]))
    todo = [Step("write", 1000, 70_000, 1), Step("zero", 8192, 20_000, 0), Step("compressed", 131072, 60_000, 5)]
    todo += [Step("write", SIZE - 700, 700, 9), Step("discard", 40_000, 30_000, 0), Step("write", 200_000, 17, 3)]
    pair = Pair(start, None)

    async def both() -> bytes:
        await pair.open()
        for step in todo:
            await pair.do(step)
        return await pair.finish()

    path = tmp_path / "ours.qcow2"
    path.write_bytes(asyncio.run(both()))
    subprocess.run([convert, "check", "-q", path], check=True)
    subprocess.run([convert, "convert", "-O", "raw", path, tmp_path / "out.raw"], check=True)
    assert (tmp_path / "out.raw").read_bytes() == pair.model
