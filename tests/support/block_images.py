"""What tests of the block layer share: graphs that close themselves, images made quickly, a model to compare with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from varan.block.graph import Graph


@asynccontextmanager
async def a_graph(*, inline: bool = False) -> AsyncIterator[Graph]:
    """A graph whose nodes are closed at the end."""
    graph = Graph(inline=inline)
    try:
        yield graph
    finally:
        await graph.close_all()


def raw_image(directory: Path, content: bytes = b"", size: int | None = None, name: str = "disk.raw") -> str:
    """The name of a new file with `content`, as long as `size`."""
    path = directory / name
    path.write_bytes(content)
    if size is not None:
        with path.open("r+b") as stream:
            stream.truncate(size)
    return str(path)
