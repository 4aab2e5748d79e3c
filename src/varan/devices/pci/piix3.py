"""The 82371SB (PIIX3) ISA bridge: where the PCI interrupt pins become interrupts of a PC (data sheet 290550, 2.2).

The slots' pins are wired to PIRQA to PIRQD so that neighbouring slots use different ones; a route register for each
says which interrupt it raises. Reset control (CF9h) is `host.PciHost`'s, the ELCR the 8259s'.
"""

from __future__ import annotations

from collections.abc import Callable

from varan.core.irq import IrqLine
from varan.devices.environment import Environment
from varan.devices.pci import registers as r
from varan.devices.pci.bus import PciBus
from varan.devices.pci.device import PciDevice
from varan.devices.pci.function import PciFunction
from varan.devices.pci.intx import PINS
from varan.devices.pci.layout import Identity

IDENTITY = Identity(vendor=0x8086, device=0x7000, class_code=0x060100)
PIRQRC = 0x60
"""PIRQ route control: four registers."""
ROUTE_DISABLED = 0x80
ROUTE_IRQ = 0x0F
ROUTABLE = frozenset((3, 4, 5, 6, 7, 9, 10, 11, 12, 14, 15))
"""Interrupts that a route may name; the others are reserved."""
XBCS = 0x4E
TOM = 0x69
DLC = 0x82
"""Deterministic latency control; these three are kept and do nothing."""


def pirq(slot: int, pin: int) -> int:
    """Which of PIRQA to PIRQD (0 to 3) `pin` (0 to 3) of `slot` is wired to."""
    return (pin + slot - 1) % PINS


class PirqRouter:
    """The four PIRQ lines and the interrupts that they share. `route` gives a PIRQ's interrupt, or None."""

    def __init__(self, line: Callable[[int], IrqLine], route: Callable[[int], int | None]) -> None:
        self._line = line
        self._route = route
        self._lines: dict[int, IrqLine] = {}
        self._sources: tuple[set[PciFunction], ...] = tuple(set() for _ in range(PINS))

    def set_intx(self, source: PciFunction, slot: int, pin: int, level: int) -> None:
        """See `intx.IntxRouter`."""
        number = pirq(slot, pin)
        sources = self._sources[number]
        before = bool(sources)
        if level:
            sources.add(source)
        else:
            sources.discard(source)
        if bool(sources) != before:
            routed = self._route(number)
            if routed is not None:
                self._drive(routed)

    def _drive(self, interrupt: int) -> None:
        level = any(sources and self._route(number) == interrupt for number, sources in enumerate(self._sources))
        self._lines[interrupt](1 if level else 0)

    def rerouted(self) -> None:
        """Routes have changed, or the interrupt controller has: drive every interrupt that is or was some PIRQ's."""
        for number in range(PINS):
            routed = self._route(number)
            if routed is not None and routed not in self._lines:
                self._lines[routed] = self._line(routed)
        for interrupt in self._lines:
            self._drive(interrupt)


class Piix3(PciDevice):
    """Function 0 of the PIIX3."""

    type_name = "PIIX3"
    abstract = False
    description = "ISA bridge"
    hotpluggable = False
    user_creatable = False

    def make_function(self, environment: Environment) -> PciFunction:
        function = PciFunction(IDENTITY, name=self.type_name)
        function.add_register(r.COMMAND, 2, r.COMMAND_IO | r.COMMAND_MEMORY | r.COMMAND_MASTER, writable=r.COMMAND_SERR)
        function.add_register(r.STATUS, 2, r.STATUS_MEDIUM_DEVSEL, clearable=r.STATUS_ERRORS)
        function.add_register(0x4C, 1, 0x4D, writable=0xFF)  # ISA I/O recovery timer
        function.add_register(XBCS, 2, 0x0003, writable=0x01FF)
        for number in range(PINS):
            function.add_register(PIRQRC + number, 1, ROUTE_DISABLED, writable=ROUTE_DISABLED | ROUTE_IRQ)
        function.add_register(TOM, 1, 0x02, writable=0xFE)
        function.add_register(DLC, 1, writable=0x0F)
        self.router = PirqRouter(environment.gsi, self.route)
        function.on_config_write(self._config_written)
        return function

    def realize(self, environment: Environment, bus: PciBus) -> None:
        super().realize(environment, bus)
        bus.fabric.router = self.router

    def route(self, number: int) -> int | None:
        """The interrupt that PIRQ `number` (0 to 3) raises, None while it is disabled."""
        register = self.function.state.config[PIRQRC + number]
        routed = register & ROUTE_IRQ
        return routed if not register & ROUTE_DISABLED and routed in ROUTABLE else None

    def _config_written(self, offset: int, size: int) -> None:
        if offset < PIRQRC + PINS and offset + size > PIRQRC:
            self.router.rerouted()
