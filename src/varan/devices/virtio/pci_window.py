"""The window in configuration space through which a driver without memory access reaches a virtio device's structures
(VIRTIO 1.2, 4.1.4.9)."""

from __future__ import annotations

from varan.devices.pci.function import PciFunction

BAR, OFFSET, LENGTH, DATA = 4, 8, 12, 16
"""Offsets in the capability."""


class WindowFunction(PciFunction):
    """A function with such a window, once it is opened."""

    _window = 0
    _bar = 0

    def open_window(self, offset: int, bar: int) -> None:
        """The capability at `offset` shows what is in BAR `bar`."""
        self._window, self._bar = offset, bar

    def read_config(self, offset: int, size: int) -> int:
        at = self._window + DATA
        if self._window and offset < at + 4 and offset + size > at:
            target = self._target()
            value = self.layout.bars[self._bar].read(*target) if target is not None else 0
            self.set_register(at, 4, value & 0xFFFFFFFF)
        return super().read_config(offset, size)

    def write_config(self, offset: int, size: int, value: int) -> None:
        super().write_config(offset, size, value)
        at = self._window + DATA
        if self._window and offset < at + 4 and offset + size > at:
            target = self._target()
            if target is not None:
                where, length = target
                self.layout.bars[self._bar].write(where, length, self.register(at, 4) & (1 << 8 * length) - 1)

    def _target(self) -> tuple[int, int] | None:
        """Offset in the BAR and length, where the driver has chosen what it may."""
        window = self._window
        where, length = self.register(window + OFFSET, 4), self.register(window + LENGTH, 4)
        fits = where + length <= self.layout.bars[self._bar].size and length in (1, 2, 4) and not where % length
        return (where, length) if fits and self.register(window + BAR, 1) == self._bar else None
