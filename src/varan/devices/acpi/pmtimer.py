"""The power management timer (ACPI 6.5, 4.8.2.1 and 4.8.3.3): 24 bits at 3.579545 MHz, computed from guest time."""

from __future__ import annotations

from varan.core.clock import NANOSECONDS

FREQUENCY = 3_579_545
"""Ticks in a second."""
BITS = 24
MASK = (1 << BITS) - 1
HALF = 1 << (BITS - 1)
"""Ticks between two changes of the highest bit, each of which sets TMR_STS."""


def ticks(now: int) -> int:
    """Ticks since guest time 0 at `now` (nanoseconds), not cut to 24 bits."""
    return now * FREQUENCY // NANOSECONDS


def next_carry(now: int) -> int:
    """When the highest bit changes next after `now`: the first nanosecond of guest time at which it has."""
    at = (ticks(now) // HALF + 1) * HALF
    return -(-at * NANOSECONDS // FREQUENCY)
