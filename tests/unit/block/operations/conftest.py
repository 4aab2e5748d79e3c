"""Images in files, and what they show."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.support.workshop import Workshop

from varan.block.base import Node
from varan.block.drive import run_now


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    made = Workshop(tmp_path)
    yield made
    made.close()


@pytest.fixture
def content() -> Callable[[Node], bytes]:
    """What an image shows."""

    def read(node: Node) -> bytes:
        data = bytearray(node.length)
        if data:
            run_now(node.read(0, [memoryview(data)]))
        return bytes(data)

    return read
