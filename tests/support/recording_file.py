"""A file in memory that remembers every request, so that a crash can be played at any point of its life."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from varan.block.base import BlockError, Buffers, Data, ErrorKind, Extent, Node, OpenOptions, Write


@dataclass(slots=True)
class Request:
    """One change: `data` at `offset`; a size (`length`); or, with neither, a barrier."""

    offset: int = 0
    data: bytes | None = None
    length: int | None = None
    note: object = None
    """What the test had to say when the barrier was passed."""

    @property
    def barrier(self) -> bool:
        """Everything before is on stable storage."""
        return self.data is None and self.length is None


@dataclass(slots=True)
class Disk:
    """Bytes as requests leave them."""

    content: bytearray = field(default_factory=bytearray)

    def apply(self, request: Request) -> None:
        """Do what `request` did."""
        if request.data is not None:
            end = request.offset + len(request.data)
            if end > len(self.content):
                self.content.extend(bytes(end - len(self.content)))
            self.content[request.offset : end] = request.data
        elif request.length is not None:
            del self.content[request.length :]
            self.content.extend(bytes(request.length - len(self.content)))


class RecordingFile(Node):
    """A protocol node over memory. `log` has its changes and barriers in order."""

    driver = "recording"

    def __init__(self, content: bytes = b"", *, name: str = "recording") -> None:
        super().__init__(OpenOptions())
        self.disk = Disk(bytearray(content))
        self.log: list[Request] = []
        self.fail_writes_after: int | None = None
        """Writes that still succeed; None: all."""
        self.reads = 0
        self._name = name

    @property
    def length(self) -> int:
        return len(self.disk.content)

    @property
    def filename(self) -> str:
        return self._name

    async def read(self, offset: int, buffers: Buffers) -> None:
        self.reads += 1
        for view in buffers:
            piece = self.disk.content[offset : offset + len(view)]
            view[: len(piece)] = piece
            view[len(piece) :] = bytes(len(view) - len(piece))
            offset += len(view)

    def _do(self, request: Request) -> None:
        if not request.barrier and self.fail_writes_after is not None:
            if not self.fail_writes_after:
                raise BlockError(ErrorKind.IO, "no more writes", where=self._name)
            self.fail_writes_after -= 1
        self.log.append(request)
        self.disk.apply(request)

    async def write(self, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
        self._do(Request(offset, b"".join(buffers)))
        if flags & Write.FUA:
            await self.flush()

    async def truncate(self, length: int, preallocation: str = "off", *, exact: bool = True) -> None:
        self._do(Request(length=length))

    async def discard(self, offset: int, length: int) -> None:
        end = min(offset + length, self.length)
        if end > offset:
            self._do(Request(offset, bytes(end - offset)))

    async def flush(self) -> None:
        self._do(Request())

    def note(self, note: object) -> None:
        """Say something about the point that the log has reached (an additional barrier is recorded)."""
        self.log.append(Request(note=note))

    async def block_status(self, offset: int, length: int) -> Extent:
        return Extent(length, Data.DATA | Data.ALLOCATED | Data.RAW_OFFSET, offset, self)


def prefix(start: bytes, log: Sequence[Request], count: int) -> bytearray:
    """The disk when the process is killed after `count` requests."""
    disk = Disk(bytearray(start))
    for request in log[:count]:
        disk.apply(request)
    return disk.content


def power_loss(start: bytes, log: Sequence[Request], count: int, chance: random.Random) -> bytearray:
    """The disk when power is lost after `count` requests: those since the last barrier arrive in part, in any order."""
    stable = max((index for index in range(count) if log[index].barrier and log[index].note is None), default=-1) + 1
    disk = Disk(bytearray(start))
    for request in log[:stable]:
        disk.apply(request)
    late = [request for request in log[stable:count] if chance.random() < 0.5]
    chance.shuffle(late)
    for request in late:
        disk.apply(request)
    return disk.content
