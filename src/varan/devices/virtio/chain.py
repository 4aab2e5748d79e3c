"""Descriptor chains: the buffers that a driver makes available at once, as a device sees them."""

from __future__ import annotations

from collections.abc import Sequence

from varan.devices.virtio.ram import RamWindow, RingError

MOST_BUFFERS = 1024
"""Buffers of one chain. The specification allows no more than the queue has entries, and no queue here has more."""
MOST_BYTES = 1 << 32
"""Bytes of one chain (VIRTIO 1.2, 2.7.5)."""


class Chain:
    """Buffers in guest RAM: `readable` ones come from the driver, `writable` ones are for the device's answer."""

    __slots__ = ("head", "ranges", "readable", "slots", "total", "writable")

    def __init__(self, head: int, slots: int = 1) -> None:
        self.head = head
        """By what the driver knows the chain again: index of the first descriptor, or its buffer id (packed)."""
        self.slots = slots
        """Entries of the ring that it takes."""
        self.readable: list[memoryview] = []
        self.writable: list[memoryview] = []
        self.ranges: list[tuple[int, int]] = []
        """(guest address, length) of all buffers, readable ones first."""
        self.total = 0
        """Bytes of all buffers."""

    def add(self, ram: RamWindow, address: int, length: int, writable: bool) -> None:
        """Append a buffer. Raises RingError for one that is not RAM, comes in the wrong order, or is too much."""
        if length == 0:
            return
        self.total += length
        if len(self.ranges) >= MOST_BUFFERS or self.total > MOST_BYTES:
            raise RingError("a chain of too many buffers or bytes")
        if writable:
            self.writable.append(ram.view(address, length, True))
        elif self.writable:
            raise RingError("a readable buffer behind a writable one")
        else:
            self.readable.append(ram.view(address, length, False))
        self.ranges.append((address, length))

    @property
    def writable_ranges(self) -> Sequence[tuple[int, int]]:
        """(guest address, length) of the writable buffers."""
        return self.ranges[len(self.readable) :]

    def gather(self, limit: int) -> bytes:
        """The first `limit` bytes of the readable buffers, or all when there are fewer."""
        parts = []
        for view in self.readable:
            if limit <= 0:
                break
            parts.append(bytes(view[:limit]))
            limit -= len(view)
        return b"".join(parts)

    def scatter(self, data: bytes | memoryview, skip: int = 0) -> int:
        """Put `data` into the writable buffers behind their first `skip` bytes; returns how many bytes fit."""
        done = 0
        for view in self.writable:
            if skip >= len(view):
                skip -= len(view)
                continue
            room = view[skip:] if skip else view
            skip = 0
            piece = data[done : done + len(room)]
            room[: len(piece)] = piece
            done += len(piece)
            if done == len(data):
                break
        return done
