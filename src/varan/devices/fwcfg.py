"""The firmware configuration device: what the machine tells firmware and guests about itself (docs/specs/fw_cfg of the
QEMU sources).

A driver selects an item by its key and reads its bytes one after the other, or has them written to its memory. Items
with names, files, are listed in one of the items. The content of an item is made when it is selected, so it is what is
true then.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from typing import Annotated

from msgspec import Meta

from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace
from varan.core.state import Device, State
from varan.devices.fields import Dword, Word

BASE, SIZE = 0x510, 12
SELECTOR, DATA, DMA = 0, 1, 4
SIGNATURE_KEY, ID_KEY, DIRECTORY_KEY, FIRST_FILE_KEY = 0x00, 0x01, 0x19, 0x20
SIGNATURE = b"QEMU"
ID_TRADITIONAL, ID_DMA = 1 << 0, 1 << 1
DMA_SIGNATURE = b"QEMU CFG"
"""What the DMA address register reads as."""
ERROR, READ, SKIP, SELECT, WRITE = 1 << 0, 1 << 1, 1 << 2, 1 << 3, 1 << 4
"""Bits of a DMA command, whose upper half is a key."""
COMMAND = struct.Struct(">IIQ")
"""Command, length, address, big-endian."""
ENTRY = struct.Struct(">IHxx56s")
"""A file in the directory: its length, its key, its name."""
LONGEST_NAME = 55
CHUNK = 1 << 20
FARTHEST = (1 << 48) - 1
"""As far as an item is read: behind its end for certain."""

Content = Callable[[], bytes]


class FwCfgState(State, kw_only=True):
    """Which item, how far it has been read, and where the driver's command will be."""

    key: Word = 0
    offset: Annotated[int, Meta(ge=0, lt=1 << 48)] = 0
    address_high: Dword = 0
    """The upper half of the address where the driver's command is, while it has not written the lower one."""


class FwCfg(Device[FwCfgState]):
    """`items` by key and `files` by name, which give their content."""

    state_type = FwCfgState

    def __init__(self, memory: MemorySpace, items: Mapping[int, Content], files: Mapping[str, Content]) -> None:
        super().__init__()
        self._memory = memory
        self._items = {
            **items,
            SIGNATURE_KEY: lambda: SIGNATURE,
            ID_KEY: lambda: (ID_TRADITIONAL | ID_DMA).to_bytes(4, "little"),
            DIRECTORY_KEY: self._directory,
        }
        self._files = files
        self._content: bytes | None = None
        """The selected item's, once it has been made."""

    def map(self, ports: PortSpace) -> None:
        """Answer at the standard ports."""
        ports.map(BASE, SIZE, self.read, self.write, width=4, name="fw_cfg")

    # Items

    def _named(self) -> list[tuple[str, Content]]:
        return sorted(self._files.items())

    def _directory(self) -> bytes:
        named = self._named()
        entries = (
            ENTRY.pack(len(content()), FIRST_FILE_KEY + number, name.encode())
            for number, (name, content) in enumerate(named)
        )
        return struct.pack(">I", len(named)) + b"".join(entries)

    def _select(self, key: int) -> None:
        self.state.key, self.state.offset = key & 0xFFFF, 0
        self._content = None

    def _take(self, count: int) -> bytes:
        """The next bytes of the selected item; behind its end there are zeros."""
        if self._content is None:
            self._content = self._make(self.state.key)
        at = self.state.offset
        self._skip(count)
        return self._content[at : at + count].ljust(count, b"\0")

    def _make(self, key: int) -> bytes:
        if key in self._items:
            return self._items[key]()
        named, number = self._named(), key - FIRST_FILE_KEY
        return named[number][1]() if 0 <= number < len(named) else b""

    def _skip(self, count: int) -> None:
        self.state.offset = min(self.state.offset + count, FARTHEST)

    # Registers

    def read(self, offset: int, size: int) -> int:
        """A guest's read. The DMA registers are big-endian."""
        if offset == DATA:
            return int.from_bytes(self._take(size), "little")
        if offset >= DMA:
            return int.from_bytes(DMA_SIGNATURE[offset - DMA : offset - DMA + size], "little")
        return 0

    def write(self, offset: int, size: int, value: int) -> None:
        """A guest's write."""
        swapped = int.from_bytes(value.to_bytes(size, "little"), "big")
        if offset == SELECTOR and size == 2:
            self._select(value)
        elif offset == DMA and size == 4:
            self.state.address_high = swapped
        elif offset == DMA + 4 and size == 4:
            address, self.state.address_high = self.state.address_high << 32 | swapped, 0
            self._obey(address)

    def _obey(self, address: int) -> None:
        """Do what the command at `address` says, and say there how it went."""
        command, length, target = COMMAND.unpack(self._memory.read_bytes(address, COMMAND.size))
        if command & SELECT:
            self._select(command >> 16)
        result = 0
        if command & READ:
            result = self._copy(target, length)
        elif command & WRITE:
            result = ERROR
        elif command & SKIP:
            self._skip(length)
        self._memory.write_ram(address, struct.pack(">I", result))

    def _copy(self, target: int, length: int) -> int:
        """Put the next `length` bytes into guest memory at `target`; the command's result."""
        while length:
            count = min(length, CHUNK)
            if self._memory.write_ram(target, self._take(count)) != count:
                return ERROR
            target, length = target + count, length - count
        return 0

    def restored(self) -> None:
        self._content = None
