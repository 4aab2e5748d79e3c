"""Where buffers for files begin."""

from __future__ import annotations

import ctypes

import pytest

from varan.block.memory import CACHE_LINE, aligned


@pytest.mark.parametrize("size", [512, 4096, 65536, 2 << 20])
def test_buffers_begin_at_a_cache_line(size: int) -> None:
    buffer = aligned(size)
    assert len(buffer) == size
    assert ctypes.addressof(ctypes.c_char.from_buffer(buffer)) % CACHE_LINE == 0
    assert not any(buffer)
