"""Guest memory for one transfer by bus master."""

from __future__ import annotations

from collections.abc import Iterator

from varan.core.memory import MemorySpace

PART = 1 << 20
"""Bytes of a part, about."""


class Regions:
    """Pieces of physical memory, (address, bytes). Those that are no RAM read as zeros and take what is written."""

    __slots__ = ("_memory", "exhausted", "pieces")

    def __init__(self, memory: MemorySpace, pieces: list[tuple[int, int]], exhausted: bool = True) -> None:
        self._memory = memory
        self.pieces = pieces
        self.exhausted = exhausted
        """Whether that is all that the bus master's table has."""

    def views(self) -> list[memoryview] | None:
        """The host's bytes; None when they are not all RAM."""
        views = [self._memory.ram_slice(address, length) for address, length in self.pieces]
        return None if any(view is None for view in views) else views  # type: ignore[return-value]

    def filled(self) -> None:
        """The bytes of `views` were changed: tell of it."""
        for address, length in self.pieces:
            self._memory.ram_written(address, length)

    def gather(self) -> bytes:
        """A copy of all."""
        return b"".join(self._memory.read_bytes(address, length) for address, length in self.pieces)

    def scatter(self, data: bytes | bytearray | memoryview) -> None:
        """Put `data` there."""
        view, at = memoryview(data), 0
        for address, length in self.pieces:
            self._memory.write_ram(address, view[at : at + length])
            at += length

    def parts(self) -> Iterator[tuple[Regions, int]]:
        """Neighbouring pieces together, with the bytes of each part."""
        pieces: list[tuple[int, int]] = []
        size = 0
        for piece in self.pieces:
            pieces.append(piece)
            size += piece[1]
            if size >= PART:
                yield Regions(self._memory, pieces), size
                pieces, size = [], 0
        if pieces:
            yield Regions(self._memory, pieces), size
