"""MSI-X: a table of interrupt messages in a BAR (PCI Local Bus 3.0, 6.8.2)."""

from __future__ import annotations

import struct
from typing import Annotated

import msgspec

from varan.core.state import Device, State
from varan.devices.pci.bar import Bar
from varan.devices.pci.function import PciFunction
from varan.devices.pci.registers import CAP_MSIX, CONFIG_SIZE

MOST_VECTORS = 2048
ENTRY = 16
SMALLEST_BAR = 4096
CONTROL = 2
"""Offset of message control in the capability."""
ENABLE = 0x8000
FUNCTION_MASK = 0x4000
ENTRY_MASKED = 0x1
"""Vector control's mask bit."""

Entries = Annotated[bytearray, msgspec.Meta(max_length=MOST_VECTORS * ENTRY)]
Bits = Annotated[bytearray, msgspec.Meta(max_length=MOST_VECTORS // 8)]


class MsixState(State, kw_only=True):
    """The table as the guest reads it, and the pending bit array."""

    table: Entries = msgspec.field(default_factory=bytearray)
    pending: Bits = msgspec.field(default_factory=bytearray)


class MsixTable(Device[MsixState]):
    """`vectors` messages: the table and the pending bits, in a BAR of their own.

    It is a part of its device beside the function. `notify` is called under the machine lock.
    """

    state_type = MsixState

    def __init__(self, function: PciFunction, vectors: int, bar_index: int, name: str = "") -> None:
        """Gives `function` the BAR and the capability. Raises ValueError for vectors or a BAR that cannot be."""
        if not 1 <= vectors <= MOST_VECTORS:
            raise ValueError(f"MSI-X has 1 to {MOST_VECTORS} vectors, not {vectors}")
        self.vectors = vectors
        self._function = function
        self._enabled = False
        self._masked = False
        self._table_size = vectors * ENTRY
        self._pending_size = (vectors + 63) // 64 * 8
        self._pending_at = max(SMALLEST_BAR // 2, self._table_size)
        size = max(SMALLEST_BAR, 1 << (self._pending_at + self._pending_size - 1).bit_length())
        function.add_bar(bar_index, Bar("mem32", size, self.read, self.write, name=name or f"{function.name} msix"))
        body = struct.pack("<HII", vectors - 1, bar_index, self._pending_at | bar_index)
        self._capability = function.add_capability(CAP_MSIX, body, struct.pack("<H", ENABLE | FUNCTION_MASK))
        super().__init__()
        self.reset()
        function.on_config_write(self._config_written)

    @property
    def enabled(self) -> bool:
        """Whether the guest uses MSI-X; interrupts go by INTx otherwise."""
        return self._enabled

    def masked(self, vector: int) -> bool:
        """Whether `vector` has to wait."""
        return self._masked or bool(self.state.table[vector * ENTRY + 12] & ENTRY_MASKED)

    def notify(self, vector: int) -> None:
        """Raise interrupt `vector`: sent now, or pending while it is masked. A vector that there is not is nobody's."""
        if not self._enabled or not 0 <= vector < self.vectors:
            return
        if self.masked(vector):
            self.state.pending[vector >> 3] |= 1 << (vector & 7)
        else:
            self._send(vector)

    def _send(self, vector: int) -> None:
        low, high, data = struct.unpack_from("<III", self.state.table, vector * ENTRY)
        self._function.send_message(high << 32 | low & ~3, data)

    def read(self, offset: int, size: int) -> int:
        """A guest's read from the BAR."""
        if offset < self._pending_at:
            return int.from_bytes(self.state.table[offset : offset + size], "little")
        at = offset - self._pending_at
        return int.from_bytes(self.state.pending[at : at + size], "little")

    def write(self, offset: int, size: int, value: int) -> None:
        """A guest's write to the BAR. Pending bits are read-only."""
        if offset + size > self._table_size:
            return
        self.state.table[offset : offset + size] = value.to_bytes(size, "little")
        for vector in range(offset // ENTRY, (offset + size - 1) // ENTRY + 1):
            self._release(vector)

    def _release(self, vector: int) -> None:
        """Send what waited for `vector`, if nothing holds it any more."""
        bit = 1 << (vector & 7)
        if self.state.pending[vector >> 3] & bit and self._enabled and not self.masked(vector):
            self.state.pending[vector >> 3] &= ~bit
            self._send(vector)

    def _config_written(self, offset: int, size: int) -> None:
        at = self._capability + CONTROL
        if offset >= at + 2 or offset + size <= at:
            return
        held = not self._enabled or self._masked
        control = self._function.register(at, 2)
        self._enabled, self._masked = bool(control & ENABLE), bool(control & FUNCTION_MASK)
        if size != CONFIG_SIZE and held and self._enabled and not self._masked and any(self.state.pending):
            for vector in range(self.vectors):
                self._release(vector)

    def reset(self) -> None:
        table = bytearray(struct.pack("<4I", 0, 0, 0, ENTRY_MASKED) * self.vectors)
        self.state = MsixState(table=table, pending=bytearray(self._pending_size))
        self.restored()

    def restored(self) -> None:
        """The lengths are this table's, whatever was loaded: who saved it may have had other vectors."""
        state = self.state
        state.table = state.table[: self._table_size].ljust(self._table_size, b"\0")
        state.pending = state.pending[: self._pending_size].ljust(self._pending_size, b"\0")
