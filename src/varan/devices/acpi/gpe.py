"""General-purpose events (ACPI 6.5, 4.8.4.1): a block of status bits and one of enable bits.

Events here are edges: what happens sets a status bit, the guest clears it and then looks what has happened.
"""

from __future__ import annotations

from collections.abc import Callable

from varan.core.state import Device, State
from varan.devices.fields import Word

EVENTS = 16
BLOCK_SIZE = 2 * EVENTS // 8


class GpeState(State, kw_only=True):
    """The registers."""

    status: Word = 0
    enable: Word = 0


class Gpe0(Device[GpeState]):
    """Sixteen events. `changed` is called when what `asserted` says may have changed."""

    state_type = GpeState

    def __init__(self, changed: Callable[[], None]) -> None:
        super().__init__()
        self._changed = changed

    @property
    def asserted(self) -> bool:
        """Whether an event is both there and enabled."""
        return bool(self.state.status & self.state.enable)

    def raise_event(self, number: int) -> None:
        """Set the status bit of event `number`."""
        self.state.status |= 1 << number
        self._changed()

    def restored(self) -> None:
        self._changed()

    def read(self, offset: int, size: int) -> int:
        """`size` (1 to 4) bytes of the block."""
        block = self.state.status | self.state.enable << EVENTS
        return block >> 8 * offset & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """Status bits are cleared by writing ones."""
        value, mask = value << 8 * offset, (1 << 8 * size) - 1 << 8 * offset
        state = self.state
        state.status &= ~(value & mask & 0xFFFF)
        state.enable = (state.enable & ~(mask >> EVENTS) | value >> EVENTS) & 0xFFFF
        self._changed()
