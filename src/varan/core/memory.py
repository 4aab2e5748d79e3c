"""Guest RAM and the physical address space.

`GuestRam` is host memory that a guest uses as RAM. `MemorySpace` says which physical addresses are RAM, ROM or a
device. Accelerators map the RAM regions straight into their guest and send everything else through `read` and `write`;
whoever writes guest RAM on a device's behalf goes through `MemorySpace.write_ram` (or tells `ram_written`), so that an
accelerator can drop translated code and mark pages dirty.
"""

from __future__ import annotations

import bisect
import ctypes
import mmap
from collections.abc import Callable, Iterator
from typing import NamedTuple

from varan.core import hostmemory
from varan.core.ports import Read, Write, all_ones

PAGE_SIZE = 4096
CLEARED_AT_ONCE = 1 << 20


class GuestRam:
    """`size` bytes (a multiple of PAGE_SIZE) of zeroed, lazily allocated host memory, or what `mapping` has.

    `advice` (one of madvise's numbers) turns pages into zeros that cost nothing; None where nothing does that.
    """

    def __init__(
        self, size: int, name: str = "ram", mapping: mmap.mmap | None = None, advice: int | None = mmap.MADV_DONTNEED
    ) -> None:
        if size <= 0 or size % PAGE_SIZE:
            raise ValueError(f"{name}: {size} bytes is not a positive multiple of {PAGE_SIZE}")
        self.size = size
        self.name = name
        self._mapping = mapping if mapping is not None else hostmemory.anonymous(size)
        self._advice = advice
        self._pin = ctypes.c_char.from_buffer(self._mapping)
        self.address = ctypes.addressof(self._pin)
        """Host address of the first byte."""
        self.view = memoryview(self._mapping)
        """The bytes, writable. Writes through it that a running guest may execute want `MemorySpace.ram_written`."""

    def discard(self, offset: int, length: int) -> None:
        """Give the pages of `length` bytes at `offset` back to the host; they read as zero from now on.

        Both are multiples of PAGE_SIZE. On hosts with larger pages, those that lie in the run only in part are zeroed.
        """
        first, end = -(-offset // mmap.PAGESIZE) * mmap.PAGESIZE, (offset + length) // mmap.PAGESIZE * mmap.PAGESIZE
        if first >= end or self._advice is None:
            self._clear(offset, offset + length)
            return
        self._clear(offset, first)
        self._clear(end, offset + length)
        try:
            self._mapping.madvise(self._advice, first, end - first)
        except OSError:  # huge pages that lie in the run only in part
            self._clear(first, end)

    def _clear(self, start: int, end: int) -> None:
        for at in range(start, end, CLEARED_AT_ONCE):
            stop = min(at + CLEARED_AT_ONCE, end)
            self.view[at:stop] = bytes(stop - at)

    def close(self) -> None:
        """Give the memory back. Nothing may use it afterwards."""
        self.view.release()
        del self._pin
        self._mapping.close()


class Region(NamedTuple):
    """A run of physical addresses: RAM or ROM when `ram` is set, else a device's registers."""

    start: int
    end: int
    name: str
    ram: GuestRam | None
    offset: int
    """Where in `ram` the region starts (bytes)."""
    readonly: bool
    read: Read | None
    write: Write | None


RamListener = Callable[[int, int], None]
"""(first physical address, length): guest RAM was changed by somebody else than a vCPU."""


class MemorySpace:
    """The guest-physical address space: non-overlapping regions, all else unassigned (reads all ones)."""

    def __init__(self) -> None:
        self._regions: list[Region] = []
        self._starts: list[int] = []
        self._ram_listeners: list[RamListener] = []
        self.changes = 0
        """Grows whenever a region comes or goes: who remembers one looks whether it may have changed."""

    def map_ram(
        self, base: int, ram: GuestRam, offset: int = 0, size: int | None = None, *, readonly: bool = False
    ) -> None:
        """Show `size` bytes of `ram` from `offset` at physical `base`; `readonly` makes it ROM (writes are dropped)."""
        length = ram.size - offset if size is None else size
        if base % PAGE_SIZE or offset % PAGE_SIZE or length % PAGE_SIZE or not 0 < length <= ram.size - offset:
            raise ValueError(f"{ram.name}: {base:#x}+{length:#x} from {offset:#x} does not fit or is not page-aligned")
        self._insert(Region(base, base + length, ram.name, ram, offset, readonly, None, None))

    def map_mmio(self, base: int, size: int, read: Read, write: Write, *, name: str) -> None:
        """Send accesses to `size` bytes at `base` to a device's handlers, which take offsets from `base`."""
        self._insert(Region(base, base + size, name, None, 0, False, read, write))

    def unmap(self, base: int) -> None:
        """Take back the region that starts at `base`. Raises KeyError when there is none."""
        index = bisect.bisect_left(self._starts, base)
        if index == len(self._starts) or self._starts[index] != base:
            raise KeyError(base)
        del self._regions[index], self._starts[index]
        self.changes += 1

    def _insert(self, region: Region) -> None:
        index = bisect.bisect_left(self._starts, region.start)
        if index and self._regions[index - 1].end > region.start:
            raise ValueError(f"{region.name} at {region.start:#x} overlaps {self._regions[index - 1].name}")
        if index < len(self._regions) and self._regions[index].start < region.end:
            raise ValueError(f"{region.name} at {region.start:#x} overlaps {self._regions[index].name}")
        self._regions.insert(index, region)
        self._starts.insert(index, region.start)
        self.changes += 1

    def __iter__(self) -> Iterator[Region]:
        """The regions, lowest address first."""
        return iter(self._regions)

    def find(self, address: int) -> Region | None:
        """The region that holds `address`."""
        index = bisect.bisect_right(self._starts, address) - 1
        if index >= 0 and address < self._regions[index].end:
            return self._regions[index]
        return None

    @property
    def ram_size(self) -> int:
        """Bytes of RAM, ROM left out."""
        return sum(region.end - region.start for region in self if region.ram is not None and not region.readonly)

    def on_ram_written(self, listener: RamListener) -> None:
        """Call `listener` for every write to guest RAM that no vCPU made."""
        self._ram_listeners.append(listener)

    def ram_written(self, address: int, length: int) -> None:
        """Tell that guest RAM at `address` was changed directly (a device's DMA, a debugger)."""
        for listener in self._ram_listeners:
            listener(address, length)

    def ram_slice(self, address: int, length: int) -> memoryview | None:
        """The writable host bytes behind `length` bytes at `address`, or None unless all lie in one RAM region."""
        region = self.find(address)
        if region is None or region.ram is None or address + length > region.end:
            return None
        at = address - region.start + region.offset
        return region.ram.view[at : at + length]

    def read(self, address: int, size: int) -> int:
        """One access of `size` (1, 2, 4 or 8) bytes, little-endian. The caller holds the machine lock."""
        region = self.find(address)
        if region is None or address + size > region.end:
            return all_ones(size)
        if region.read is not None:
            return region.read(address - region.start, size)
        assert region.ram is not None
        at = address - region.start + region.offset
        return int.from_bytes(region.ram.view[at : at + size], "little")

    def write(self, address: int, size: int, value: int) -> None:
        """One access of `size` (1, 2, 4 or 8) bytes, little-endian. The caller holds the machine lock."""
        region = self.find(address)
        if region is None or address + size > region.end:
            return
        if region.write is not None:
            region.write(address - region.start, size, value)
        elif not region.readonly:
            assert region.ram is not None
            at = address - region.start + region.offset
            region.ram.view[at : at + size] = value.to_bytes(size, "little")
            self.ram_written(address, size)

    def discard_ram(self, address: int, length: int) -> int:
        """Give whole pages of RAM back to the host, as GuestRam.discard does; returns how many bytes were RAM."""
        given = 0
        for region, at, start, count in self._ram_pieces(address, length):
            if not region.readonly:
                assert region.ram is not None
                region.ram.discard(start, count)
                self.ram_written(address + at, count)
                given += count
        return given

    def read_bytes(self, address: int, length: int) -> bytes:
        """`length` bytes of RAM and ROM from `address`; bytes that nobody holds, or a device does, read as zero."""
        out = bytearray(length)
        for region, at, start, count in self._ram_pieces(address, length):
            assert region.ram is not None
            out[at : at + count] = region.ram.view[start : start + count]
        return bytes(out)

    def write_ram(self, address: int, data: bytes | bytearray | memoryview) -> int:
        """Put `data` into RAM from `address`, as DMA does: ROM, devices and holes are passed over.

        Returns how many bytes found RAM.
        """
        written = 0
        for region, at, start, count in self._ram_pieces(address, len(data)):
            if region.readonly:
                continue
            assert region.ram is not None
            region.ram.view[start : start + count] = data[at : at + count]
            self.ram_written(address + at, count)
            written += count
        return written

    def _ram_pieces(self, address: int, length: int) -> Iterator[tuple[Region, int, int, int]]:
        """(region, offset into the request, offset into the region's RAM, bytes) for each RAM piece of a run."""
        end = address + length
        index = max(bisect.bisect_right(self._starts, address) - 1, 0)
        for region in self._regions[index:]:
            if region.start >= end:
                return
            first, last = max(region.start, address), min(region.end, end)
            if region.ram is not None and first < last:
                yield region, first - address, first - region.start + region.offset, last - first
