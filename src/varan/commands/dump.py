"""Guest memory on its way into a file.

Memory is copied on the machine's loop, a chunk at a time, and written on a worker thread, so that nothing but the loop
ever holds a view of guest RAM that the machine's end would find in use.
"""

from __future__ import annotations

from collections.abc import Iterator

from varan.commands.whole_file import WholeFile
from varan.core.memory import MemorySpace
from varan.errors import GenericError, InvalidParameterValue
from varan.machine.vcpus import VcpuHandle

CHUNK = 1 << 20
"""Bytes copied at a time."""
TRANSLATED = 4 << 20
"""Bytes whose page translations are asked for in one visit to the vCPU's thread."""
ADDRESS_MASK = (1 << 64) - 1


def check_size(size: int) -> None:
    """Raise InvalidParameterValue for a negative number of bytes."""
    if size < 0:
        raise InvalidParameterValue("size", "a number of bytes, not negative")


async def save_physical(memory: MemorySpace, address: int, size: int, file: WholeFile) -> None:
    """Write `size` bytes from physical `address`; what no memory holds reads as zero."""
    for start, count, holds_memory in physical_runs(memory, address & ADDRESS_MASK, size):
        if not holds_memory:
            await file.skip(count)
            continue
        for at in range(start, start + count, CHUNK):
            await file.write(memory.read_bytes(at, min(CHUNK, start + count - at)))


def physical_runs(memory: MemorySpace, address: int, size: int) -> Iterator[tuple[int, int, bool]]:
    """`size` bytes from `address` as runs (first address, bytes, whether RAM or ROM holds them)."""
    at, end = address, address + size
    for region in list(memory):
        if region.ram is None or region.end <= at:
            continue
        if region.start >= end:
            break
        if region.start > at:
            yield at, region.start - at, False
            at = region.start
        last = min(region.end, end)
        yield at, last - at, True
        at = last
    if at < end:
        yield at, end - at, False


async def save_virtual(vcpu: VcpuHandle, memory: MemorySpace, address: int, size: int, file: WholeFile) -> None:
    """Write `size` bytes from virtual `address` as `vcpu` maps it. Raises GenericError for one it does not map."""
    at, end = address & ADDRESS_MASK, (address & ADDRESS_MASK) + size
    if end > ADDRESS_MASK + 1:
        raise InvalidParameterValue("size", "a number of bytes that ends within the address space")
    while at < end:
        for physical, count in await vcpu.translate_range(at, min(TRANSLATED, end - at)):
            if physical is None:
                raise GenericError(f"Invalid addr {at:#018x}: CPU {vcpu.index} maps no memory there")
            await save_physical(memory, physical, count, file)
            at += count
