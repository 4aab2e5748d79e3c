"""A disk image as Python programs use it: opened by name, read and written at byte offsets.

async with varan.block.open("disk.qcow2", read_only=True) as image:
    sector = await image.read(0, 512)
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator, Mapping
from types import TracebackType
from typing import Any

from varan.block import registry, request
from varan.block.base import Data, Node, OpenOptions, Write, no_secrets
from varan.block.graph import Graph, Source

Bytes = bytes | bytearray | memoryview
"""What can be written."""


class Status:
    """`length` bytes from `offset` on are of one kind, as the whole chain of images has it."""

    __slots__ = ("allocated", "length", "offset", "zero")

    def __init__(self, offset: int, length: int, *, zero: bool, allocated: bool) -> None:
        self.offset = offset
        self.length = length
        self.zero = zero
        """Known to read as zeros."""
        self.allocated = allocated
        """Some image of the chain has them (False: no image says anything, and they read as zeros)."""

    def __repr__(self) -> str:
        return f"Status({self.offset}, {self.length}, zero={self.zero}, allocated={self.allocated})"


class Image:
    """An open image. Made by `open_image`; close it, or use `async with`.

    Every method raises BlockError when the image cannot do what is asked; `BlockError.kind` says why.
    """

    def __init__(self, graph: Graph, node: Node, *, owns_graph: bool) -> None:
        self._graph = graph
        self._owns_graph = owns_graph
        self.node = node
        """The node at the top, for what this class does not have."""

    @property
    def length(self) -> int:
        """Bytes that can be read."""
        return self.node.length

    @property
    def format(self) -> str:
        """The driver's name ("qcow2")."""
        return self.node.driver

    @property
    def filename(self) -> str:
        """A name that opens the image again."""
        return self.node.filename

    @property
    def read_only(self) -> bool:
        """Whether writes are refused."""
        return self.node.read_only

    async def read(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset` on, all within the image."""
        return await request.read_bytes(self.node, offset, length)

    async def read_into(self, offset: int, *buffers: bytearray | memoryview) -> None:
        """Fill the buffers, one after another, from `offset` on. Nothing is copied in between."""
        await request.read(self.node, offset, [memoryview(buffer).cast("B") for buffer in buffers])

    async def write(self, offset: int, *data: Bytes, stable: bool = False) -> None:
        """Write the data, one piece after another, at `offset`. `stable`: on the disk when this returns."""
        buffers = [memoryview(piece).cast("B") for piece in data]
        await request.write(self.node, offset, buffers, Write.FUA if stable else Write.NONE)

    async def write_zeroes(self, offset: int, length: int, *, unmap: bool = False) -> None:
        """Make the range read as zeros. `unmap`: giving its space back is fine (with discard on)."""
        await request.zero(self.node, offset, length, Write.MAY_UNMAP if unmap else Write.NONE)

    async def discard(self, offset: int, length: int) -> None:
        """Forget the range's content, where the image was opened with `discard=True`."""
        await request.discard(self.node, offset, length)

    async def flush(self) -> None:
        """Put everything that was written on stable storage."""
        await self.node.flush()

    async def resize(self, length: int, *, preallocation: str = "off") -> None:
        """Change the size. New bytes read as zeros; what is cut off is lost."""
        await request.truncate(self.node, length, preallocation)

    async def status(self, offset: int = 0, length: int | None = None) -> AsyncIterator[Status]:
        """What is known about the bytes from `offset` on without reading them."""
        rest = self.length - offset if length is None else length
        request.check_range(self.node, offset, rest)
        async for start, extent in request.walk_status(self.node, offset, rest):
            yield Status(
                start,
                extent.length,
                zero=bool(extent.flags & Data.ZERO),
                allocated=bool(extent.flags & Data.ALLOCATED),
            )

    async def close(self) -> None:
        """Flush and close. A second time does nothing."""
        if self._graph.holds(self.node):
            await self._graph.close(self.node)
        if self._owns_graph:
            await self._graph.close_all()

    async def __aenter__(self) -> Image:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class Opening:
    """An image about to be opened: `await` it, or `async with` it."""

    def __init__(self, graph: Graph | None, source: Source, format: str | None, options: OpenOptions) -> None:
        self._owns_graph = graph is None
        self._graph = graph or Graph()
        self._source = source
        self._format = format
        self._options = options
        self._image: Image | None = None

    async def _open(self) -> Image:
        node = await self._graph.open(self._source, format=self._format, options=self._options)
        return Image(self._graph, node, owns_graph=self._owns_graph)

    def __await__(self) -> Generator[Any, Any, Image]:
        return self._open().__await__()

    async def __aenter__(self) -> Image:
        self._image = await self._open()
        return self._image

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._image is not None:
            await self._image.close()


def open_image(
    source: Source,
    *,
    format: str | None = None,
    read_only: bool = False,
    graph: Graph | None = None,
    secrets: Mapping[str, bytes] | Callable[[str], bytes] | None = None,
    **options: Any,
) -> Opening:
    """Open a disk image.

    `source` is a file name, `json:{...}`, `protocol:...`, or a mapping of block device options; `format` its format
    (without it the format is guessed, and an image guessed raw is guarded against turning into something else).
    `secrets` are keys and passwords by id. `options` are fields of `varan.block.base.OpenOptions` (`discard=True`,
    `cache_direct=True`, `force_share=True`...). `graph` is for images that are to share nodes.
    """
    return Opening(graph, source, format, open_options(read_only, secrets, options))


def open_options(
    read_only: bool, secrets: Mapping[str, bytes] | Callable[[str], bytes] | None, options: Mapping[str, Any]
) -> OpenOptions:
    """The options of `open_image` as the graph takes them."""
    secret: Callable[[str], bytes] = no_secrets
    if isinstance(secrets, Mapping):
        known = secrets
        secret = lambda name: known[name] if name in known else no_secrets(name)  # noqa: E731
    elif secrets is not None:
        secret = secrets
    return OpenOptions(read_only=read_only, secret=secret, **options)


async def create_image(
    filename: str,
    size: int,
    *,
    format: str = "raw",
    secrets: Mapping[str, bytes] | Callable[[str], bytes] | None = None,
    **options: object,
) -> None:
    """Make a new image of `size` bytes. `options` are the format's (`varan img create -f FORMAT -o help`), with
    underscores as in their names; values become text. Raises BlockError, and then leaves nothing behind."""
    texts = {
        name: ("on" if value else "off") if isinstance(value, bool) else str(value) for name, value in options.items()
    }
    await registry.driver(format).create(filename, size, texts, open_options(False, secrets, {}).secret)
