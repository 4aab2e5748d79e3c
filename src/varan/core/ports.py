"""The 64 KiB I/O port space of a PC.

A device maps a run of ports with handlers that take offsets from its first port. Accesses wider than the device
takes are split into neighbouring ones, low address first, as an ISA bus does. Unassigned ports read as all ones.

Callers (accelerators) hold the machine lock around `read` and `write`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from varan.core.dataport import NO_PORT, WINDOWS, DataPort, Window

PORTS = 0x10000

Read = Callable[[int, int], int]
"""(offset from the first mapped port, size in bytes) -> value"""
Write = Callable[[int, int, int], None]
"""(offset from the first mapped port, size in bytes, value)"""


class PortRange(NamedTuple):
    """A mapped run of ports: first port, number of ports, widest access in bytes, and a name to show."""

    base: int
    length: int
    width: int
    name: str


def all_ones(size: int) -> int:
    """What a bus with nobody on it reads as, for `size` bytes."""
    return (1 << (8 * size)) - 1


_Windows = Window * WINDOWS


class PortSpace:
    """Dispatch of port accesses to the devices mapped there."""

    def __init__(self) -> None:
        self._ports: dict[int, tuple[Read, Write, int, int]] = {}
        """By port: its handlers, its offset from the first one mapped with it, and how wide an access it takes."""
        self._ranges: list[PortRange] = []
        self.data_ports: dict[int, DataPort] = {}
        """Ports that lend their buffers."""
        self.windows = _Windows(*(Window(NO_PORT) for _ in range(WINDOWS)))
        """The data ports, for machine code that runs the guest."""

    def map(
        self,
        base: int,
        count: int,
        read: Read,
        write: Write,
        *,
        width: int = 1,
        name: str,
        data: DataPort | None = None,
    ) -> None:
        """Give ports `base` to `base + count - 1` to a device that takes accesses of up to `width` bytes.

        `data`: what the first of them is, where it is a data port; such a range is not unmapped again.

        Raises ValueError when a port is taken already or outside the space.
        """
        if not 0 <= base <= base + count <= PORTS:
            raise ValueError(f"{name}: ports {base:#x}+{count:#x} are outside the port space")
        wanted = range(base, base + count)
        if not self._ports.keys().isdisjoint(wanted):
            taken = next(port for port in wanted if port in self._ports)
            raise ValueError(f"{name}: port {taken:#x} is taken already")
        for offset, port in enumerate(wanted):
            # An access that would cross the end of the range is split as a wide one is.
            fits = 1 if width == 1 else min(width, 1 << (count - offset).bit_length() - 1)
            self._ports[port] = (read, write, offset, fits)
        self._ranges.append(PortRange(base, count, width, name))
        if data is not None:
            self._show(base, data)

    def _show(self, port: int, data: DataPort) -> None:
        number = len(self.data_ports)
        self.data_ports[port] = data
        if number < WINDOWS:
            data.show(self.windows[number], port)

    def unmap(self, base: int) -> None:
        """Take back the range that was mapped at `base`. Raises KeyError when there is none."""
        mapped = next((mapped for mapped in self._ranges if mapped.base == base), None)
        if mapped is None:
            raise KeyError(base)
        assert base not in self.data_ports, f"{mapped.name} has a data port"
        self._ranges.remove(mapped)
        for port in range(base, base + mapped.length):
            del self._ports[port]

    def __iter__(self) -> Iterator[PortRange]:
        """The mapped ranges, lowest port first."""
        return iter(sorted(self._ranges))

    def read(self, port: int, size: int) -> int:
        """A guest's IN of `size` (1, 2 or 4) bytes."""
        entry = self._ports.get(port)
        if entry is not None and size <= entry[3]:
            return entry[0](entry[2], size)
        if entry is None and size == 1:
            return 0xFF
        return self._read_split(port, size, entry[3] if entry else size // 2 or 1)

    def read_string(self, port: int, size: int, count: int) -> bytes:
        """What a guest's REP INS of `count` times `size` (1, 2 or 4) bytes gives."""
        data = self.data_ports.get(port)
        found = bytearray()
        while len(found) < count * size:
            found += self.read(port, size).to_bytes(size, "little")
            if data is not None:
                found += data.take(size, count - len(found) // size)
        return bytes(found)

    def write(self, port: int, size: int, value: int) -> None:
        """A guest's OUT of `size` (1, 2 or 4) bytes."""
        entry = self._ports.get(port)
        if entry is not None and size <= entry[3]:
            entry[1](entry[2], size, value)
            return
        if entry is None and size == 1:
            return
        self._write_split(port, size, value, entry[3] if entry else size // 2 or 1)

    def _read_split(self, port: int, size: int, width: int) -> int:
        value = 0
        for at in range(0, size, width):
            value |= self.read((port + at) % PORTS, width) << (8 * at)
        return value

    def _write_split(self, port: int, size: int, value: int, width: int) -> None:
        for at in range(0, size, width):
            self.write((port + at) % PORTS, width, value >> (8 * at) & all_ones(width))
