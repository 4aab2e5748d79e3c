"""A device whose data port gives, or takes, blocks of bytes, as a disk's does."""

from __future__ import annotations

from collections.abc import Callable

from varan.core.dataport import DataPort, Loan
from varan.core.ports import PortSpace

PORT = 0x200


class BlockPort:
    """Gives `source` in blocks of `size` bytes at PORT, and puts what it is given into `taken`, a block at a time."""

    def __init__(self, ports: PortSpace, size: int, source: bytes = b"") -> None:
        self.size = size
        self.source = source
        self.taken = b""
        self.accesses = 0
        """Those that the device was asked about."""
        self.on_block: Callable[[], None] = lambda: None
        """Called at the end of each block."""
        self.data = DataPort(self._lend)
        self._writes = not source
        self._lent = False
        self._buffer = bytearray(size)
        self._position = 0
        if source:
            self._next()
        ports.map(PORT, 4, self._read, self._write, width=4, name="blocks", data=self.data)

    def _next(self) -> None:
        self._position = 0
        if not self._writes:
            self._buffer, self.source = bytearray(self.source[: self.size]), self.source[self.size :]
        else:
            self._buffer = bytearray(self.size)

    def _lend(self) -> Loan | None:
        if not self._buffer:
            return None
        self._lent = True
        return Loan(self._buffer, self._position, len(self._buffer), self._writes)

    def _begin(self) -> None:
        self.accesses += 1
        if self._lent:
            self._lent = False
            self._position = self.data.recall()

    def _moved(self, size: int) -> None:
        self._position += size
        if self._position >= len(self._buffer):
            if self._writes:
                self.taken += bytes(self._buffer)
            self._next()
            self.on_block()

    def _read(self, offset: int, size: int) -> int:
        self._begin()
        assert not offset
        value = int.from_bytes(self._buffer[self._position : self._position + size], "little")
        self._moved(size)
        return value

    def _write(self, offset: int, size: int, value: int) -> None:
        self._begin()
        assert not offset
        self._buffer[self._position : self._position + size] = value.to_bytes(size, "little")
        self._moved(size)
