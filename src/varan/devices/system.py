"""Devices on the CPUs' own bus."""

from __future__ import annotations

from varan.devices.acpi.identity import AcpiIdentity
from varan.devices.pluggable import PluggableDevice


class SystemDevice(PluggableDevice):
    """A device whose registers are where the board, or the user, says; guests cannot find it by themselves."""

    type_name = "sys-bus-device"
    bus_type = "System"
    hotpluggable = False

    def acpi(self) -> tuple[AcpiIdentity, ...]:
        """What the ACPI tables tell about it."""
        return ()
