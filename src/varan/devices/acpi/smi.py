"""The SMI command port (FADT field SMI_CMD; PIIX4 data sheet, APMC and APMS), without firmware behind it.

What system firmware would do on a system management interrupt is done at once: hand the power management events to the
operating system, or take them back.
"""

from __future__ import annotations

from collections.abc import Callable

from varan.core.ports import PortSpace
from varan.core.state import Device, State
from varan.devices.fields import Byte

COMMAND_PORT = 0xB2
ACPI_ENABLE = 0xF1
ACPI_DISABLE = 0xF0


class SmiState(State, kw_only=True):
    """What was written last to the command and status ports."""

    command: Byte = 0
    status: Byte = 0


class SmiCommandPort(Device[SmiState]):
    """Ports B2h and B3h; `set_acpi_mode` is told who gets the events."""

    state_type = SmiState

    def __init__(self, set_acpi_mode: Callable[[bool], None]) -> None:
        super().__init__()
        self._set_acpi_mode = set_acpi_mode

    def map(self, ports: PortSpace) -> None:
        """Answer at the standard ports."""
        ports.map(COMMAND_PORT, 2, self.read, self.write, name="smi-command")

    def read(self, offset: int, size: int) -> int:
        return self.state.status if offset else self.state.command

    def write(self, offset: int, size: int, value: int) -> None:
        if offset:
            self.state.status = value
            return
        self.state.command = value
        if value in (ACPI_ENABLE, ACPI_DISABLE):
            self._set_acpi_mode(value == ACPI_ENABLE)
