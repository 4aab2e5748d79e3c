"""Nodes without storage: `null-co` and `null-aio` swallow writes, and read zeros or (faster) nothing at all."""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

from varan.block.base import (
    BlockError,
    Buffers,
    ChildRole,
    Data,
    Driver,
    Edge,
    ErrorKind,
    Extent,
    Node,
    OpenOptions,
    Write,
)
from varan.block.options import json_name
from varan.block.request import size_of
from varan.block.transports.posix import fill_zeros

DEFAULT_SIZE = 1 << 30


class NullNode(Node):
    """Nothing, of a size."""

    driver = "null-co"

    def __init__(self, options: OpenOptions) -> None:
        super().__init__(options)
        given = options.driver_options
        self._length: int = given.get("size", DEFAULT_SIZE)
        self._latency = given.get("latency-ns", 0) / 1e9
        self._read_zeroes: bool = given.get("read-zeroes", False)

    @property
    def length(self) -> int:
        return self._length

    @property
    def filename(self) -> str:
        given = self.options.driver_options
        return json_name({"driver": self.driver, **given}) if given else f"{self.driver}://"

    async def _wait(self) -> None:
        if self._latency:
            await asyncio.sleep(self._latency)

    async def read(self, offset: int, buffers: Buffers) -> None:
        await self._wait()
        if self._read_zeroes:
            fill_zeros(buffers)

    async def write(self, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
        self.note_write(offset, size_of(buffers))
        await self._wait()

    async def write_zeroes(self, offset: int, length: int, flags: Write = Write.NONE) -> None:
        self.note_write(offset, length)
        await self._wait()

    async def flush(self) -> None:
        await self._wait()

    def stored(self) -> int:
        return 0

    async def block_status(self, offset: int, length: int) -> Extent:
        zero = Data.ZERO if self._read_zeroes else Data.NONE
        return Extent(length, Data.RAW_OFFSET | Data.ALLOCATED | zero, offset, self)


class NullAioNode(NullNode):
    """Nothing, under the other name."""

    driver = "null-aio"


class NullCoDriver(Driver):
    """Nothing."""

    name = "null-co"
    is_protocol = True
    child_roles: ClassVar[tuple[ChildRole, ...]] = ()
    open_options: ClassVar[dict[str, str]] = {"size": "size", "latency-ns": "int", "read-zeroes": "bool"}
    node_class: ClassVar[type[NullNode]] = NullNode

    @classmethod
    def parse_filename(cls, filename: str) -> dict[str, Any]:
        if filename.removeprefix(f"{cls.name}:").strip("/"):
            raise BlockError(ErrorKind.INVALID, f"the name must be '{cls.name}://'", where=filename)
        return {}

    @classmethod
    async def open(cls, options: OpenOptions, children: dict[str, Edge]) -> Node:
        if options.driver_options.get("latency-ns", 0) < 0:
            raise BlockError(ErrorKind.INVALID, "option 'latency-ns' cannot be negative")
        return cls.node_class(options)


class NullAioDriver(NullCoDriver):
    """Nothing, under the other name."""

    name = "null-aio"
    node_class = NullAioNode


DRIVERS: dict[str, type[Driver]] = {"null-co": NullCoDriver, "null-aio": NullAioDriver}
