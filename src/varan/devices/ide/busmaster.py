"""The bus master of an IDE channel (Programming Interface for Bus Master IDE Controller, revision 1.0).

The driver writes a table of physical regions (2.1 of the PRD description), gives the drive its command and sets the
start bit; data then move between drive and regions.
"""

from __future__ import annotations

from collections.abc import Callable

from varan.core.memory import MemorySpace
from varan.core.state import Device, State
from varan.devices.fields import Byte, Dword
from varan.devices.ide.regions import Regions

COMMAND = 0
STATUS = 2
TABLE = 4
"""Offsets of a channel's registers; there are eight bytes of them."""
BLOCK = 8

START = 0x01
TO_MEMORY = 0x08
"""Direction: data go from the drive to memory."""

ACTIVE = 0x01
ERROR = 0x02
INTERRUPT = 0x04
CAPABLE = 0x60
"""Drivers note here that the drives can do DMA."""

LAST = 0x80
"""In an entry's last byte: no further entries."""
ENTRY = 8
MOST_ENTRIES = 65536 // ENTRY
"""A table does not cross a 64 KiB boundary."""


class BusMasterState(State, kw_only=True):
    """The registers."""

    command: Byte = 0
    status: Byte = 0
    table: Dword = 0
    line: bool = False
    """The drive's interrupt, whose rise sets the status bit."""


class BusMaster(Device[BusMasterState]):
    """See the module's text. The caller of every method holds the machine lock."""

    state_type = BusMasterState

    def __init__(self, memory: MemorySpace, allowed: Callable[[], bool]) -> None:
        """`allowed`: whether the PCI function may use memory now."""
        self.memory = memory
        self.start_transfer: Callable[[], None] = lambda: None
        self.stop_transfer: Callable[[], None] = lambda: None
        self._allowed = allowed
        super().__init__()

    def read(self, offset: int, size: int) -> int:
        """The registers; several at once as far as they lie side by side."""
        image = bytes((self.state.command, 0, self.state.status, 0)) + self.state.table.to_bytes(4, "little")
        return int.from_bytes(image[offset : offset + size], "little")

    def write(self, offset: int, size: int, value: int) -> None:
        """Likewise."""
        if offset >= TABLE:
            shift = 8 * (offset - TABLE)
            mask = (1 << 8 * size) - 1 << shift
            self.state.table = (self.state.table & ~mask | value << shift & mask) & 0xFFFF_FFFC
            return
        for at in range(offset, min(offset + size, TABLE)):
            byte = value >> 8 * (at - offset) & 0xFF
            if at == COMMAND:
                self._write_command(byte)
            elif at == STATUS:
                self._write_status(byte)
        if offset + size > TABLE:
            self.write(TABLE, offset + size - TABLE, value >> 8 * (TABLE - offset))

    def _write_command(self, value: int) -> None:
        state = self.state
        before, state.command = state.command, value & (START | TO_MEMORY)
        if state.command & START and not before & START:
            state.status |= ACTIVE
            self.start_transfer()
        elif before & START and not state.command & START:
            state.status &= ~ACTIVE
            self.stop_transfer()

    def _write_status(self, value: int) -> None:
        status = self.state.status
        self.state.status = status & ACTIVE | value & CAPABLE | status & (ERROR | INTERRUPT) & ~value

    def interrupt_line(self, level: bool) -> None:
        """The drive's interrupt is `level`."""
        if level and not self.state.line:
            self.state.status |= INTERRUPT
        self.state.line = level

    @property
    def started(self) -> bool:
        """Whether the driver wants data to move."""
        return bool(self.state.command & START)

    @property
    def to_memory(self) -> bool:
        """Whether it wants them to go from the drive to memory."""
        return bool(self.state.command & TO_MEMORY)

    def regions(self, length: int) -> Regions | None:
        """The table's regions, cut to `length` bytes; None when they have not so many.

        Also None while the function may not use memory.
        """
        if not self._allowed():
            return None
        pieces: list[tuple[int, int]] = []
        at, rest = self.state.table, length
        for _ in range(MOST_ENTRIES):
            entry = self.memory.read_bytes(at, ENTRY)
            address = int.from_bytes(entry[:4], "little") & ~1
            size = int.from_bytes(entry[4:6], "little") & ~1 or 65536
            last = bool(entry[7] & LAST)
            pieces.append((address, min(size, rest)))
            if size >= rest:
                return Regions(self.memory, pieces, last and size == rest)
            if last:
                return None
            rest -= size
            at = at + ENTRY & 0xFFFF_FFFF
        return None

    def ended(self, exhausted: bool) -> None:
        """The transfer is over. Active stays where regions are left over (status register, bits 0 and 2)."""
        if exhausted:
            self.state.status &= ~ACTIVE

    def failed(self) -> None:
        """The drive has given up: no data move any more."""
        self.state.status &= ~ACTIVE

    def too_short(self) -> None:
        """The regions cannot hold what the drive moves: no longer active, without an interrupt."""
        self.state.status &= ~ACTIVE
