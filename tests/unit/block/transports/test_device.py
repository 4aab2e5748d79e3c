"""Devices of the host, with a loop device where the host lets the test have one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

import varan.block
from varan.block import BlockError, ErrorKind

SIZE = 16 << 20


@pytest.fixture
def device(tmp_path: Path) -> Iterator[str]:
    """A block device of SIZE bytes."""
    backing = tmp_path / "device"
    backing.write_bytes(b"")
    with backing.open("r+b") as stream:
        stream.truncate(SIZE)
    try:
        setup = subprocess.run(["losetup", "-f", "--show", str(backing)], capture_output=True, text=True)
    except FileNotFoundError:
        pytest.skip("losetup is not installed (Debian package mount)")
    if setup.returncode:
        pytest.skip(f"the host gives no loop device: {setup.stderr.strip()}")
    path = setup.stdout.strip()
    yield path
    subprocess.run(["losetup", "-d", path], check=True)


@pytest.mark.parametrize("direct", [False, True])
async def test_a_block_device_is_read_written_zeroed_and_discarded(device: str, direct: bool):
    async with varan.block.open(device, format="raw", discard=True, cache_direct=direct) as image:
        assert image.length == SIZE
        assert image.node.children["file"].node.driver == "host_device"
        await image.write(1000, b"hello" * 1000)
        await image.write_zeroes(1002, 4096)
        assert await image.read(998, 8) == b"\0\0he" + bytes(4)
        assert await image.read(5096, 6) == b"\0\0lohe"
        await image.discard(0, SIZE)
        assert not any(await image.read(0, SIZE))
        for length in (SIZE // 2, SIZE * 2):
            with pytest.raises(BlockError) as caught:
                await image.resize(length)
            assert caught.value.kind is ErrorKind.UNSUPPORTED


async def test_a_format_is_made_on_a_device(device: str):
    await varan.block.create(device, 1 << 30, format="qcow2")
    async with varan.block.open(device) as image:
        assert (image.format, image.length) == ("qcow2", 1 << 30)
        await image.write(5 << 20, b"data")
    async with varan.block.open(device, read_only=True) as image:
        assert await image.read(5 << 20, 4) == b"data"


async def test_a_device_that_is_too_small_is_told(device: str):
    with pytest.raises(BlockError) as caught:
        await varan.block.create(device, SIZE + 1)
    assert caught.value.kind is ErrorKind.NO_SPACE


async def test_files_and_devices_have_their_own_drivers(tmp_path: Path):
    (tmp_path / "file").write_bytes(b"x")
    for source in (
        {"driver": "file", "filename": "/dev/zero"},
        {"driver": "host_device", "filename": f"{tmp_path}/file"},
    ):
        with pytest.raises(BlockError) as caught:
            await varan.block.open(source, read_only=True)
        assert caught.value.kind is ErrorKind.INVALID
