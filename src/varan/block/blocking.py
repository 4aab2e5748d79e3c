"""Disk images for programs without an event loop: `varan.block`'s functions and methods, that return when done.

    with varan.block.blocking.open("disk.qcow2", read_only=True) as image:
        sector = image.read(0, 512)

An image belongs to the thread that uses it; it cannot be used where an event loop runs already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from types import TracebackType
from typing import Any, TypeVar

from varan.block.graph import Graph, Source
from varan.block.image import Bytes, Image, Status, create_image, open_options

T = TypeVar("T")


class BlockingImage:
    """An open image. The methods are those of `varan.block.image.Image`."""

    def __init__(self, runner: asyncio.Runner, image: Image) -> None:
        self._runner = runner
        self._run_loop = runner.get_loop()
        self._image = image

    def _run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        # Runner.run installs signal handlers and copies contexts each time, which is three times the cost.
        return self._run_loop.run_until_complete(coroutine)

    @property
    def length(self) -> int:
        """Bytes that can be read."""
        return self._image.length

    @property
    def format(self) -> str:
        """The driver's name ("qcow2")."""
        return self._image.format

    @property
    def filename(self) -> str:
        """A name that opens the image again."""
        return self._image.filename

    @property
    def read_only(self) -> bool:
        """Whether writes are refused."""
        return self._image.read_only

    def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset` on, all within the image."""
        return self._run(self._image.read(offset, length))

    def read_into(self, offset: int, *buffers: bytearray | memoryview) -> None:
        """Fill the buffers, one after another, from `offset` on."""
        self._run(self._image.read_into(offset, *buffers))

    def write(self, offset: int, *data: Bytes, stable: bool = False) -> None:
        """Write the data, one piece after another, at `offset`. `stable`: on the disk when this returns."""
        self._run(self._image.write(offset, *data, stable=stable))

    def write_zeroes(self, offset: int, length: int, *, unmap: bool = False) -> None:
        """Make the range read as zeros. `unmap`: giving its space back is fine (with discard on)."""
        self._run(self._image.write_zeroes(offset, length, unmap=unmap))

    def discard(self, offset: int, length: int) -> None:
        """Forget the range's content, where the image was opened with `discard=True`."""
        self._run(self._image.discard(offset, length))

    def flush(self) -> None:
        """Put everything that was written on stable storage."""
        self._run(self._image.flush())

    def resize(self, length: int, *, preallocation: str = "off") -> None:
        """Change the size. New bytes read as zeros; what is cut off is lost."""
        self._run(self._image.resize(length, preallocation=preallocation))

    def status(self, offset: int = 0, length: int | None = None) -> Iterator[Status]:
        """What is known about the bytes from `offset` on without reading them."""
        walk = self._image.status(offset, length)

        async def step() -> Status | None:
            return await anext(walk, None)

        while (found := self._run(step())) is not None:
            yield found

    def close(self) -> None:
        """Flush and close. A second time does nothing."""
        if self._run_loop.is_closed():
            return
        try:
            self._run(self._image.close())
        finally:
            self._runner.close()

    def __enter__(self) -> BlockingImage:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open(
    source: Source,
    *,
    format: str | None = None,
    read_only: bool = False,
    secrets: Mapping[str, bytes] | Callable[[str], bytes] | None = None,
    **options: Any,
) -> BlockingImage:
    """Open a disk image; the arguments are those of `varan.block.open`. Raises BlockError."""
    runner = asyncio.Runner()
    try:
        graph = Graph(inline=True)
        wanted = open_options(read_only, secrets, options)
        node = runner.run(graph.open(source, format=format, options=wanted))
    except BaseException:
        runner.close()
        raise
    return BlockingImage(runner, Image(graph, node, owns_graph=True))


def create(
    filename: str,
    size: int,
    *,
    format: str = "raw",
    secrets: Mapping[str, bytes] | Callable[[str], bytes] | None = None,
    **options: object,
) -> None:
    """Make a new image; the arguments are those of `varan.block.create`. Raises BlockError."""
    asyncio.run(create_image(filename, size, format=format, secrets=secrets, **options))
