"""Interrupt lines that several devices share."""

from __future__ import annotations

from collections.abc import Callable

from varan.core.irq import IrqLine


class SharedLine:
    """Several outputs on one line, OR-ed (the serial ports of a PC: 1 with 3, 2 with 4)."""

    def __init__(self, line: IrqLine, pulse: Callable[[], None]) -> None:
        self._line = line
        self._pulse = pulse
        self._asserted = 0
        self._outputs = 0

    def output(self) -> tuple[IrqLine, Callable[[], None]]:
        """A further output: its line, and its pulse (low and high again, for an output that is high)."""
        bit = 1 << self._outputs
        self._outputs += 1

        def drive(level: int) -> None:
            if level:
                self._asserted |= bit
            else:
                self._asserted &= ~bit
            self._line(1 if self._asserted else 0)

        def pulse() -> None:
            if self._asserted == bit:
                self._pulse()

        return drive, pulse
