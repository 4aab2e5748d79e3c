"""MSI: interrupt messages whose address and data are in configuration space (PCI Local Bus 3.0, 6.8.1)."""

from __future__ import annotations

import struct

from varan.devices.pci.function import PciFunction
from varan.devices.pci.registers import CAP_MSI

MOST_VECTORS = 32
CONTROL = 2
ADDRESS = 4
DATA = 12
MASK = 16
PENDING = 20
"""Offsets in the capability with 64-bit addresses and masks."""
ENABLE = 0x0001
MULTIPLE_ENABLE = 0x0070
ADDRESS_64 = 0x0080
MASKABLE = 0x0100


class MsiCapability:
    """Up to `vectors` (a power of two) messages with 64-bit addresses, which can be masked one by one.

    All its state is in the function's configuration space. `notify` is called under the machine lock.
    """

    def __init__(self, function: PciFunction, vectors: int = 1) -> None:
        """Gives `function` the capability. Raises ValueError for a number of vectors that cannot be."""
        if vectors & (vectors - 1) or not 1 <= vectors <= MOST_VECTORS:
            raise ValueError(f"MSI has 1, 2, 4 ... {MOST_VECTORS} vectors, not {vectors}")
        self.vectors = vectors
        self._function = function
        capable = vectors.bit_length() - 1
        every = (1 << vectors) - 1
        body = struct.pack("<HQHHII", ADDRESS_64 | MASKABLE | capable << 1, 0, 0, 0, 0, 0)
        mask = struct.pack("<HQHHII", ENABLE | MULTIPLE_ENABLE, 0xFFFFFFFFFFFFFFFC, 0xFFFF, 0, every, 0)
        self._at = function.add_capability(CAP_MSI, body, mask)
        function.add_register(self._at + PENDING, 4, live=every)
        function.on_config_write(self._config_written)

    @property
    def enabled(self) -> bool:
        """Whether the guest uses MSI; interrupts go by INTx otherwise."""
        return bool(self._function.state.config[self._at + CONTROL] & ENABLE)

    @property
    def allotted(self) -> int:
        """How many different messages the guest lets the function send."""
        granted = self._function.register(self._at + CONTROL, 2) & MULTIPLE_ENABLE
        return min(1 << (granted >> 4), self.vectors)

    def notify(self, vector: int) -> None:
        """Raise interrupt `vector`: sent now, or pending while masked. Those beyond the allotted ones share them."""
        if not self.enabled:
            return
        vector %= self.allotted
        if self._function.register(self._at + MASK, 4) >> vector & 1:
            self._set_pending(self._pending | 1 << vector)
        else:
            self._send(vector)

    @property
    def _pending(self) -> int:
        return self._function.register(self._at + PENDING, 4)

    def _set_pending(self, bits: int) -> None:
        self._function.set_register(self._at + PENDING, 4, bits)

    def _send(self, vector: int) -> None:
        data = self._function.register(self._at + DATA, 2)
        data = data & ~(self.allotted - 1) | vector
        self._function.send_message(self._function.register(self._at + ADDRESS, 8), data)

    def _config_written(self, offset: int, size: int) -> None:
        if offset >= self._at + PENDING or offset + size <= self._at or not self._pending or not self.enabled:
            return
        ready = self._pending & ~self._function.register(self._at + MASK, 4)
        self._set_pending(self._pending & ~ready)
        for vector in range(self.allotted):
            if ready >> vector & 1:
                self._send(vector)
