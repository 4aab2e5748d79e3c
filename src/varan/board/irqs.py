"""Interrupts that a PC's own devices have had since the first one."""

from __future__ import annotations

TIMER_IRQ = 0
KEYBOARD_IRQ = 1
RTC_IRQ = 8
MOUSE_IRQ = 12
