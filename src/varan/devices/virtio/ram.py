"""Guest RAM as virtio devices reach it: host bytes behind guest addresses, with the last region at hand."""

from __future__ import annotations

from varan.core.memory import MemorySpace


class RingError(Exception):
    """The driver has broken the rules of its queue. Never leaves `VirtQueue`."""


class RamWindow:
    """Memoryviews straight into guest RAM. It holds one of a whole region: `forget` before the RAM is given back."""

    def __init__(self, memory: MemorySpace) -> None:
        self.memory = memory
        self.forget()

    def forget(self) -> None:
        """Let go of the region used last."""
        self._changes = -1
        self._start = self._end = 0
        self._readonly = False
        self._view = memoryview(b"")

    def view(self, address: int, length: int, writable: bool) -> memoryview:
        """The `length` bytes at `address`. Raises RingError unless all lie in one region of RAM (of writable RAM)."""
        end = address + length
        if address < self._start or end > self._end or self._changes != self.memory.changes:
            self._look_up(address, end)
        if writable and self._readonly:
            raise RingError(f"{length} bytes at {address:#x} cannot be written")
        start = self._start
        return self._view[address - start : end - start]

    def _look_up(self, address: int, end: int) -> None:
        region = self.memory.find(address)
        if region is None or region.ram is None or end > region.end:
            raise RingError(f"{end - address} bytes at {address:#x} are not RAM")
        self._changes = self.memory.changes
        self._start, self._end, self._readonly = region.start, region.end, region.readonly
        self._view = region.ram.view[region.offset : region.offset + region.end - region.start]
