"""Disk images in files, made and opened the way tools do."""

from __future__ import annotations

from pathlib import Path

from varan.block.base import Node, OpenOptions
from varan.block.drive import run_now
from varan.block.graph import Graph
from varan.block.registry import driver


class Workshop:
    """Makes and opens images in one directory, each in a graph of its own."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._graphs: list[Graph] = []

    def create(self, name: str, size: int, **options: str) -> str:
        """A new qcow2 image; its path."""
        path = str(self.directory / name)
        run_now(driver("qcow2").create(path, size, options))
        return path

    def file(self, name: str, content: bytes) -> str:
        """A raw image; its path."""
        path = self.directory / name
        path.write_bytes(content)
        return str(path)

    def open(self, path: str, format: str | None = None, *, write: bool = False, no_backing: bool = False) -> Node:
        """Open an image."""
        graph = Graph(inline=True)
        self._graphs.append(graph)
        options = OpenOptions(read_only=not write, no_backing=no_backing, discard=write)
        return run_now(graph.open(path, format=format, options=options))

    def adopt(self, graph: Graph) -> None:
        """Close this graph with the others."""
        self._graphs.append(graph)

    def close(self) -> None:
        """Close all images."""
        while self._graphs:
            run_now(self._graphs.pop().close_all())
