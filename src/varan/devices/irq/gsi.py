"""Global system interrupts: one line for a device, whichever interrupt controller the guest uses.

GSI n is input n of the 8259 pair, where it has that one, and pin n of the I/O APIC, but for the timer: GSI 0 is pin 2
(ACPI 6.5, 5.2.12.5, "Interrupt Source Override"; the MADT and the MP table say so).
"""

from __future__ import annotations

from collections.abc import Callable

from varan.core.irq import IrqLine, unconnected
from varan.devices.irq.i8259 import CASCADE, INPUTS, I8259Pair
from varan.devices.irq.ioapic import PINS, IoApic

TIMER_PIN = 2
"""The I/O APIC's pin for GSI 0."""


class GsiLines:
    """Both controllers' inputs together."""

    def __init__(self, pic: I8259Pair, ioapic: IoApic) -> None:
        self._pic = pic
        self._ioapic = ioapic
        self._outputs = [0] * PINS
        """How many lines were given out."""
        self._asserted = [0] * PINS
        """A bit for each of those that is high."""

    def line(self, gsi: int) -> IrqLine:
        """A line of `gsi` (0 to 23), which is high while any of those given out is. Number 2 leads nowhere.

        Raises ValueError for another number.
        """
        if not 0 <= gsi < PINS:
            raise ValueError(f"there is no global system interrupt {gsi}")
        if gsi == CASCADE:
            return unconnected
        pin = self._ioapic.line(gsi or TIMER_PIN)
        input = self._pic.line(gsi) if gsi < INPUTS else unconnected
        asserted, bit = self._asserted, 1 << self._outputs[gsi]
        self._outputs[gsi] += 1

        def drive(level: int) -> None:
            if level:
                asserted[gsi] |= bit
            else:
                asserted[gsi] &= ~bit
            together = 1 if asserted[gsi] else 0
            input(together)
            pin(together)

        return drive

    def pulse(self, gsi: int) -> Callable[[], None]:
        """A function that drops a high line and raises it again: a new request unless one waits already."""
        input, pin = self._pic.pulse(gsi), self._ioapic.line(gsi or TIMER_PIN)

        def pulse() -> None:
            input()
            pin(0)
            pin(1)

        return pulse
