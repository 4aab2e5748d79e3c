"""The ISA bus: ports, and interrupt lines that its devices share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from varan.core.irq import IrqLine
from varan.core.ports import PortSpace, Read, Write
from varan.devices.acpi.identity import AcpiIdentity
from varan.devices.bus import Bus
from varan.devices.irq.lines import SharedLine
from varan.devices.pluggable import PluggableDevice
from varan.errors import GenericError

LINES = 16


class IsaBus(Bus):
    """`inputs(n)` gives interrupt input n as a line and as a pulse of a high line (`devices.irq.lines`)."""

    type_name = "ISA"
    abstract = False

    def __init__(self, ports: PortSpace, inputs: Callable[[int], tuple[IrqLine, Callable[[], None]]]) -> None:
        super().__init__()
        self.ports = ports
        self._inputs = inputs
        self._shared: dict[int, SharedLine] = {}

    def output(self, irq: int) -> tuple[IrqLine, Callable[[], None]]:
        """A further device's output on interrupt `irq`: its line and its pulse. Raises GenericError."""
        if not 0 <= irq < LINES:
            raise GenericError(f'Maximum value for "irq" is: {LINES - 1}')
        if irq not in self._shared:
            self._shared[irq] = SharedLine(*self._inputs(irq))
        return self._shared[irq].output()


class IsaDevice(PluggableDevice):
    """A device on the ISA bus."""

    type_name = "isa-device"
    bus_type = "ISA"
    hotpluggable = False

    def acpi(self) -> tuple[AcpiIdentity, ...]:
        """What the ACPI tables tell about it."""
        return ()

    def map_ports(self, bus: Any, base: int, count: int, read: Read, write: Write, name: str) -> None:
        """Answer at `count` ports from `base`. Raises GenericError when one is taken."""
        try:
            bus.ports.map(base, count, read, write, name=name)
        except ValueError as error:
            raise GenericError(f"{self.type_name}: {error}") from None
