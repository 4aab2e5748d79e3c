"""INTx: from a function's interrupt pin to an input of the chipset (PCI 3.0, 2.2.6; PCI-to-PCI Bridge 1.2, 9.1)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from varan.devices.pci.function import PciFunction

PINS = 4


def swizzle(pin: int, slot: int) -> int:
    """The pin (0 to 3) of a bridge on which pin `pin` of the device in `slot` behind it comes out."""
    return (pin + slot) % PINS


class IntxRouter(Protocol):
    """Where the interrupt pins of a root bus end."""

    def set_intx(self, source: PciFunction, slot: int, pin: int, level: int) -> None:
        """`source`, below `slot` of the root bus, drives that slot's `pin` (0 to 3)."""


class NoRouter:
    """Pins that lead nowhere."""

    def set_intx(self, source: PciFunction, slot: int, pin: int, level: int) -> None:
        return
