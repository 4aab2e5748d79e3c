"""Base address registers: what a function shows in the address spaces, and where its registers say (PCI 3.0, 6.2.5)."""

from __future__ import annotations

from typing import Literal

from varan.core.ports import Read, Write
from varan.devices.pci.registers import BAR_IO, BAR_MEM64, BAR_PREFETCHABLE, ROM_ENABLE

Kind = Literal["io", "mem32", "mem64"]

LARGEST_IO = 256
SMALLEST_IO = 4
SMALLEST_MEMORY = 16
ROM_GRANULE = 2048
"""A ROM's register has its lowest address bit here."""
LAST_PORT = 0xFFFF
SIZING_32 = 0xFFFFFFFF
"""The last byte of what a 32-bit register of all ones points to: that is somebody asking for the size."""
SIZING_64 = 0xFFFFFFFFFFFFFFFF


class Bar:
    """A run of `size` bytes (a power of two) with handlers that take offsets from its start.

    Accesses have 1 to 4 bytes in I/O space, 1 to 8 in memory, at any alignment, and lie within the run.
    """

    __slots__ = ("kind", "name", "prefetchable", "read", "size", "write")

    def __init__(
        self, kind: Kind, size: int, read: Read, write: Write, prefetchable: bool = False, name: str = ""
    ) -> None:
        smallest, largest = (SMALLEST_IO, LARGEST_IO) if kind == "io" else (SMALLEST_MEMORY, 1 << 62)
        if size & (size - 1) or not smallest <= size <= largest:
            raise ValueError(f"a BAR of kind {kind} cannot have {size} bytes")
        self.kind = kind
        self.size = size
        self.read = read
        self.write = write
        self.prefetchable = prefetchable
        self.name = name

    @property
    def is_io(self) -> bool:
        """Whether it lies in I/O space."""
        return self.kind == "io"

    @property
    def width(self) -> int:
        """Bytes of its register."""
        return 8 if self.kind == "mem64" else 4

    @property
    def type_bits(self) -> int:
        """The read-only low bits of its register."""
        if self.kind == "io":
            return BAR_IO
        return (BAR_MEM64 if self.kind == "mem64" else 0) | (BAR_PREFETCHABLE if self.prefetchable else 0)

    @property
    def write_mask(self) -> int:
        """The bits of its register that hold the address."""
        return -self.size & (1 << 8 * self.width) - 1

    def address(self, register: int) -> int | None:
        """Where the register's value puts it; None for a value that is no address.

        Zero is what an unassigned register has, and all ones is what a size is asked for with.
        """
        base = register & self.write_mask
        last = base + self.size - 1
        if not base or last >= (SIZING_64 if self.kind == "mem64" else SIZING_32) or (self.is_io and last > LAST_PORT):
            return None
        return base


class Rom(Bar):
    """An expansion ROM (6.2.5.2): a 32-bit memory run whose register has an enable bit of its own."""

    __slots__ = ("data",)

    def __init__(self, data: bytes, name: str = "rom") -> None:
        """`data` is padded to a power of two."""
        size = max(ROM_GRANULE, 1 << (len(data) - 1).bit_length())
        self.data = data.ljust(size, b"\xff")
        super().__init__("mem32", size, self._read, self._write, name=name)

    @property
    def write_mask(self) -> int:
        return super().write_mask | ROM_ENABLE

    def address(self, register: int) -> int | None:
        return super().address(register & ~ROM_ENABLE) if register & ROM_ENABLE else None

    def _read(self, offset: int, size: int) -> int:
        return int.from_bytes(self.data[offset : offset + size], "little")

    def _write(self, offset: int, size: int, value: int) -> None:
        return
