"""Raw images: the bytes as they are, or a window on them (options `offset` and `size`).

An image whose format was guessed raw could, by what a guest writes into its first sector, be taken for another format
the next time, and that format could name any file of the host as its backing file. So writes that would make the
first sector look like another format are refused unless `format=raw` was asked for.
"""

from __future__ import annotations

from varan.block import registry
from varan.block.base import (
    BlockError,
    Buffers,
    CreateOption,
    Data,
    Driver,
    Edge,
    ErrorKind,
    Extent,
    Limits,
    Node,
    OpenOptions,
    Permission,
    Write,
    no_secrets,
)
from varan.block.lazy import Lock
from varan.block.options import json_name
from varan.light import TYPE_CHECKING, asynccontextmanager, replace

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from typing import ClassVar

_GUARDED = 512
"""Bytes at the beginning that a format's magic can be in."""
_ZEROS = memoryview(bytes(_GUARDED))


class RawNode(Node):
    """The bytes of the child "file" from `start` on."""

    driver = "raw"

    def __init__(self, options: OpenOptions, file: Edge, start: int, size: int | None) -> None:
        super().__init__(options)
        self.children["file"] = file
        self._file = file.node
        self._start = start
        self._size = size
        self._windowed = bool(start) or size is not None
        self._guarded = options.probed
        self._changing = Lock()

    @property
    def length(self) -> int:
        if self._size is not None:
            return self._size
        return self._file.length - self._start

    @property
    def limits(self) -> Limits:
        return self._file.limits

    @property
    def filename(self) -> str:
        if not self._windowed:
            return self._file.filename
        window: dict[str, object] = {"driver": "raw", "offset": self._start}
        if self._size is not None:
            window["size"] = self._size
        return json_name(window | {"file.filename": self._file.filename})

    async def read(self, offset: int, buffers: Buffers) -> None:
        if self._file.listens:
            await self._file.event("read_aio")
        await self._file.read(self._start + offset, buffers)

    def read_now(self, offset: int, buffers: Buffers) -> bool:
        return not self._file.listens and self._file.read_now(self._start + offset, buffers)

    def write_now(self, offset: int, buffers: Buffers) -> bool:
        if self.read_only or self._file.listens or (self._guarded and offset < _GUARDED):
            return False
        if not self._file.write_now(self._start + offset, buffers):
            return False
        self.note_write(offset, sum(map(len, buffers)))
        return True

    async def write(self, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
        if self._file.listens:
            await self._file.event("write_aio")
        self.note_write(offset, sum(map(len, buffers)))
        if self._guarded and offset < _GUARDED:
            async with self._header_kept(offset, buffers):
                await self._file.write(self._start + offset, buffers, flags)
        else:
            await self._file.write(self._start + offset, buffers, flags)

    @asynccontextmanager
    async def _header_kept(self, offset: int, buffers: Buffers) -> AsyncIterator[None]:
        """Around a change: that of a guessed image's first sector is looked at first, one change at a time."""
        if not self._guarded or offset >= _GUARDED:
            yield
            return
        async with self._changing:
            await self._check_header(offset, buffers)
            yield

    async def _check_header(self, offset: int, buffers: Buffers) -> None:
        """Refuse a change that makes the image look like another format, together with what is there."""
        header = bytearray(min(_GUARDED, self.length))
        await self._file.read(self._start, [memoryview(header)])
        at = offset
        for buffer in buffers:
            part = buffer[: max(len(header) - at, 0)]
            header[at : at + len(part)] = part
            at += len(part)
        found = registry.probe(bytes(header), self.filename)
        if found != "raw":
            raise BlockError(
                ErrorKind.PERMISSION,
                f"the format was guessed raw, and this write would make it look like {found}; "
                "open the image with format=raw to allow that",
                where=self.filename,
                offset=offset,
            )

    async def write_zeroes(self, offset: int, length: int, flags: Write = Write.NONE) -> None:
        self.note_write(offset, length)
        async with self._header_kept(offset, [_ZEROS[:length]]):
            await self._file.write_zeroes(self._start + offset, length, flags)

    async def discard(self, offset: int, length: int) -> None:
        async with self._header_kept(offset, [_ZEROS[:length]]):
            await self._file.discard(self._start + offset, length)

    async def flush(self) -> None:
        await self._file.flush()

    async def block_status(self, offset: int, length: int) -> Extent:
        extent = await self._file.block_status(self._start + offset, length)
        return replace(extent, flags=extent.flags | Data.ALLOCATED)

    async def truncate(self, length: int, preallocation: str = "off", *, exact: bool = True) -> None:
        if self._size is not None:
            raise BlockError(ErrorKind.UNSUPPORTED, "an image of fixed size cannot be resized", where=self.filename)
        await self._file.truncate(self._start + length, preallocation, exact=exact)

    def child_permissions(self, role: str, wanted: Permission, shared: Permission) -> tuple[Permission, Permission]:
        if self._size is not None:
            wanted &= ~Permission.RESIZE
        return wanted, shared


class RawDriver(Driver):
    """The format without a format."""

    name = "raw"
    open_options: ClassVar[dict[str, str]] = {"offset": "size", "size": "size"}
    create_options = (
        CreateOption("preallocation", "string", "Preallocation mode (allowed values: off, falloc, full)", "off"),
        CreateOption("nocow", "bool", "Turn off copy-on-write (valid only on btrfs)"),
        CreateOption("extent_size_hint", "size", "Extent size hint for the image file, 0 to disable"),
    )

    @classmethod
    def probe(cls, header: bytes, filename: str) -> int:
        return 1

    @classmethod
    async def open(cls, options: OpenOptions, children: dict[str, Edge]) -> Node:
        file = children["file"]
        start = options.driver_options.get("offset", 0)
        size = options.driver_options.get("size")
        there = file.node.length
        if start > there:
            raise BlockError(
                ErrorKind.INVALID, f"offset {start} is behind the end at {there}", where=file.node.filename
            )
        if size is not None and start + size > there:
            raise BlockError(
                ErrorKind.INVALID,
                f"offset {start} and size {size} go beyond the end at {there}",
                where=file.node.filename,
            )
        return RawNode(options, file, start, size)

    @classmethod
    async def create(
        cls, filename: str, size: int, options: dict[str, str], secret: Callable[[str], bytes] = no_secrets
    ) -> None:
        await registry.driver(registry.protocol_for(filename)).create(filename, size, options)


DRIVER = RawDriver
