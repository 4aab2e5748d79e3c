"""The power management unit: PM1, general-purpose events, the SMI command port, and the interrupt they share.

The block's address, the sleep types and the command values follow the PIIX4 as machines of this kind have it; the ACPI
tables tell them to the guest.
"""

from __future__ import annotations

import enum
from typing import Any

from varan.core.clock import Clock, TimerQueue
from varan.core.irq import IrqLine
from varan.core.ports import PortSpace
from varan.core.state import Device
from varan.devices.acpi import gpe, pm1
from varan.devices.acpi.gpe import Gpe0
from varan.devices.acpi.pm1 import Pm1
from varan.devices.acpi.smi import SmiCommandPort
from varan.devices.environment import MachineRequests, WakeCause

PM_BASE = 0x600
GPE0_BASE = 0xAFE0
SCI = 9
"""The system control interrupt's GSI: level-triggered, active high."""


class SleepType(enum.IntEnum):
    """SLP_TYP values, as the `_S3_`, `_S4_` and `_S5_` packages give them."""

    S5 = 0
    S3 = 1
    S4 = 2


class PowerManagement:
    """`requests` takes what the guest asks for, of the sleep states that are `offered`."""

    def __init__(
        self,
        clock: Clock,
        timers: TimerQueue,
        sci: IrqLine,
        requests: MachineRequests,
        offered: frozenset[SleepType] = frozenset(SleepType),
    ) -> None:
        self._sci = sci
        self._requests = requests
        self.offered = offered
        sleeps = {
            SleepType.S5: requests.guest_shutdown,
            SleepType.S3: requests.guest_suspend,
            SleepType.S4: requests.guest_hibernate,
        }
        entered = {int(kind): enter for kind, enter in sleeps.items() if kind in offered}
        self.pm1 = Pm1(clock, timers, self._update, entered)
        self.gpe0 = Gpe0(self._update)
        self.smi = SmiCommandPort(self.pm1.set_acpi_mode)

    def map(self, ports: PortSpace) -> None:
        """Answer at the fixed ports; those of PM1 can be moved."""
        ports.map(GPE0_BASE, gpe.BLOCK_SIZE, self.gpe0.read, self.gpe0.write, width=4, name="acpi-gpe0")
        self.smi.map(ports)

    def parts(self) -> dict[str, Device[Any]]:
        """The register cores by name."""
        return {"acpi-pm1": self.pm1, "acpi-gpe0": self.gpe0, "smi-command": self.smi}

    def press_power_button(self) -> None:
        """The fixed power button."""
        self._raise(pm1.PWRBTN, WakeCause.BUTTON)

    def alarm(self) -> None:
        """The real-time clock's alarm goes off."""
        self._raise(pm1.RTC, WakeCause.RTC)

    def touch(self) -> None:
        """Somebody uses keyboard or mouse."""
        self._requests.wake(WakeCause.BUTTON)

    def _raise(self, event: int, cause: WakeCause) -> None:
        self.pm1.raise_events(event)
        if self.pm1.enabled(event):
            self._requests.wake(cause)

    def pending_wake(self) -> WakeCause | None:
        """What ends a sleep that has just begun: an enabled event that the guest has not cleared."""
        if self.pm1.pending(pm1.RTC):
            return WakeCause.RTC
        return WakeCause.BUTTON if self.pm1.pending(pm1.PWRBTN) else None

    def wake(self, cause: WakeCause) -> None:
        """Show what ended a sleep; what no register has a bit for looks like the power button."""
        self.pm1.raise_events(pm1.WAK | (pm1.RTC if cause is WakeCause.RTC else pm1.PWRBTN))

    def _update(self) -> None:
        asserted = self.pm1.asserted or self.gpe0.asserted
        self._sci(1 if asserted and self.pm1.sci_enabled else 0)
