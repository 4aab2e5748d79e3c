"""Sources of random bytes."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest
from tests.support.bus import Bus

from varan.devices.backends.rng import MOST, RngBuiltin, RngRandom


async def test_kernel_gives_what_is_asked_for_within_bounds() -> None:
    source = RngBuiltin({})
    assert len(await source.read(64)) == 64
    assert len(await source.read(1 << 30)) == MOST


async def test_pipe_is_waited_for_and_its_end_is_an_error(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    source = RngRandom({"filename": str(tmp_path / "pipe")})
    await source.complete(Bus().environment())
    writer = os.open(tmp_path / "pipe", os.O_WRONLY)
    reading = asyncio.ensure_future(source.read(8))
    await asyncio.sleep(0)
    os.write(writer, b"1234")
    assert await reading == b"1234"
    os.close(writer)
    with pytest.raises(OSError, match="has ended"):
        await source.read(8)
    await source.dispose()
    with pytest.raises(OSError, match="has been closed"):
        await source.read(8)
