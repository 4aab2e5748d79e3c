"""Output kept in memory: the newest bytes win. `ringbuf-read` and `ringbuf-write` are the way in and out."""

from __future__ import annotations

from collections.abc import Mapping

from varan.chardev.backend import Backend
from varan.chardev.log import NO_LOG, LogOptions
from varan.chardev.null import SinkLine
from varan.chardev.params import Params

DEFAULT_SIZE = 64 << 10
LARGEST_SIZE = 1 << 30
"""Bytes; more than anybody needs, and less than what would hurt the host."""


class Ring:
    """The newest `size` bytes of what was written and not read yet."""

    def __init__(self, size: int) -> None:
        """`size` is in bytes; memory is used as it fills."""
        self._size = size
        self._bytes = bytearray()

    def __len__(self) -> int:
        return len(self._bytes)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add `data`, pushing the oldest bytes out where there is no room."""
        newest = memoryview(data)[-self._size :]
        excess = len(self._bytes) + len(newest) - self._size
        if excess > 0:
            del self._bytes[:excess]
        self._bytes += newest

    def read(self, size: int) -> bytes:
        """Remove and return the oldest bytes, at most `size`."""
        data = bytes(self._bytes[:size])
        del self._bytes[:size]
        return data


class _RingLine(SinkLine):
    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def write(self, data: bytes | bytearray | memoryview) -> int:
        self._ring.write(data)
        return len(data)


class Ringbuf(Backend):
    """`ringbuf`, also known as `memory`."""

    def __init__(self, id: str, size: int = DEFAULT_SIZE, log: LogOptions = NO_LOG) -> None:
        super().__init__(id, log)
        self._ring = Ring(size)

    @property
    def filename(self) -> str:
        return "ringbuf"

    async def acquire(self) -> None:
        if not self.is_connected:
            self.connected(_RingLine(self._ring))

    async def release(self) -> None:
        return

    def read(self, size: int) -> bytes:
        """Remove and return the oldest bytes kept, at most `size`: what ringbuf-read gives."""
        return self._ring.read(size)

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Add to the bytes kept, as output does: what ringbuf-write does."""
        self._ring.write(data)


def create(id: str, options: Mapping[str, str]) -> Ringbuf:
    """A ring buffer. Raises ChardevError for a bad option."""
    params = Params(id, options)
    log = LogOptions.take(params)
    size = params.take_size("size")
    params.finish()
    size = DEFAULT_SIZE if size is None else size
    if size & (size - 1) or not 0 < size <= LARGEST_SIZE:
        raise params.error(f"option 'size' expects a power of two up to 1G, not {size}")
    return Ringbuf(id, size, log)
