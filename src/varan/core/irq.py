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


PRIORITIZED = 0x200
"""Set beside a vector that the CPU takes only while its class (bits 7 to 4) is above the task priority in CR8."""


class InterruptController(Protocol):
    """What answers a vCPU's interrupt-acknowledge cycle: its local APIC, or the 8259 pair."""

    def peek(self) -> int | None:
        """The vector an acknowledge would now return, None when INTR is low. No side effect.

        PRIORITIZED may be set in it.
        """

    def acknowledge(self) -> int:
        """The INTA cycle: returns the vector (and nothing beside it) and moves the request into service."""


class LocalController(InterruptController, Protocol):
    """A local APIC, as the accelerator sees it. The caller holds the machine lock."""

    @property
    def base(self) -> int:
        """The MSR IA32_APIC_BASE."""

    def set_base(self, value: int) -> None:
        """The guest, or loaded state, has set IA32_APIC_BASE."""

    def read(self, offset: int, size: int) -> int:
        """The vCPU reads its APIC's page."""

    def write(self, offset: int, size: int, value: int) -> None:
        """The vCPU writes to its APIC's page."""

    def registers(self) -> bytes:
        """The register page's 1024 bytes that hold registers."""

    def set_registers(self, page: bytes) -> None:
        """Take over what `registers` gave. Raises ValueError for another length."""


LOCAL_APIC = 0xFEE0_0000
"""Where each CPU sees its own APIC's page."""


class IntrPin(Protocol):
    """The CPU's INTR input, as its interrupt controller sees it. The caller holds the machine lock."""

    def settle(self) -> None:
        """Finish acknowledge cycles for interrupts the guest has taken already."""

    def changed(self) -> None:
        """`InterruptController.peek` may answer differently now. Callable from any thread."""


class ProcessorPins(IntrPin, Protocol):
    """All that a local APIC does to its CPU. Callable from any thread; the caller holds the machine lock."""

    def task_priority(self) -> int:
        """CR8, 0 to 15. From another thread than the vCPU's: as it was a moment ago."""

    def set_task_priority(self, value: int) -> None:
        """Set CR8. Only from the vCPU's own thread."""

    def nmi(self) -> None:
        """Raise the NMI input once."""

    def init(self) -> None:
        """INIT: the CPU is reset and waits for SIPI, unless it is the first."""

    def startup(self, vector: int) -> None:
        """SIPI: a CPU that waits for it starts in real mode at page `vector`."""


class NoPin:
    """A CPU's inputs where there is no CPU (device tests, a board without vCPUs)."""

    def __init__(self) -> None:
        self._task_priority = 0

    def settle(self) -> None:
        return

    def changed(self) -> None:
        return

    def task_priority(self) -> int:
        return self._task_priority

    def set_task_priority(self, value: int) -> None:
        self._task_priority = value

    def nmi(self) -> None:
        return

    def init(self) -> None:
        return

    def startup(self, vector: int) -> None:
        return
