"""Interrupt lines and the pin an interrupt controller hangs on.

A device raises and lowers an `IrqLine`. The controller turns its inputs into one INTR output and answers the CPU's
acknowledge cycle with a vector. An accelerator may have let the guest take an interrupt before Python sees it (the
vector is offered to the CPU in advance), so the controller calls `IntrPin.settle` before anybody looks at or changes
its registers, and `IntrPin.changed` after its answer to `peek` may have changed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

IrqLine = Callable[[int], None]
"""Set the line's level: 1 asserted, 0 not. The caller holds the machine lock."""


def unconnected(level: int) -> None:
    """An interrupt line that leads nowhere."""


class InterruptController(Protocol):
    """What answers a vCPU's interrupt-acknowledge cycle (the 8259 pair)."""

    def peek(self) -> int | None:
        """The vector an acknowledge would now return, None when INTR is low. No side effect."""

    def acknowledge(self) -> int:
        """The INTA cycle: returns the vector and moves the request into service."""


class IntrPin(Protocol):
    """The CPU's INTR input, as its interrupt controller sees it. The caller holds the machine lock."""

    def settle(self) -> None:
        """Finish acknowledge cycles for interrupts the guest has taken already."""

    def changed(self) -> None:
        """`InterruptController.peek` may answer differently now. Callable from any thread."""


class NoPin:
    """An INTR output that is not wired to a CPU (device tests, a board without vCPUs)."""

    def settle(self) -> None:
        return

    def changed(self) -> None:
        return
