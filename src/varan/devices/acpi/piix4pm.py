"""The 82371AB (PIIX4) power management function: where the PM1 registers lie, and PCI hot-plug beside it.

PMBASE and PMREGMISC are as the data sheet has them (290562, 7.1.25 and 7.1.26); the other registers of the I/O block
read as zero, and there is no SMBus. General-purpose events, SMI commands and hot-plug have fixed ports.
"""

from __future__ import annotations

from typing import Any

from varan.core.properties import Property
from varan.core.state import Device
from varan.devices.acpi.pcihp import EVENT, PciHotplug
from varan.devices.acpi.power import SCI, PowerManagement, SleepType
from varan.devices.environment import Environment
from varan.devices.pci import registers as r
from varan.devices.pci.bus import PciBus
from varan.devices.pci.device import PciDevice
from varan.devices.pci.function import PciFunction
from varan.devices.pci.layout import Identity
from varan.devices.pci.mapping import Claim

IDENTITY = Identity(vendor=0x8086, device=0x7113, class_code=0x068000, revision=0x03)
PMBASE = 0x40
PMBASE_ADDRESS = 0xFFC0
PMBASE_IO = 0x01
PMREGMISC = 0x80
PMIOSE = 0x01
"""The I/O block is decoded."""
DEVACTB = 0x58
APMC_EN = 1 << 25
"""Writes to the command port are served: the handler is in place, and firmware has none of its own to install."""
BLOCK = 64
INTA = 1


class Piix4Pm(PciDevice):
    """Function 3 of the PIIX4."""

    type_name = "PIIX4_PM"
    abstract = False
    description = "power management and PCI hot-plug"
    hotpluggable = False
    user_creatable = False
    properties = (
        Property("disable_s3", "uint8", "whether the guest has no way to sleep (0 or 1)", default=0),
        Property("disable_s4", "uint8", "whether the guest has no way to power off for hibernation", default=0),
        Property("acpi-root-pci-hotplug", "bool", "devices come to and go from the root bus by ACPI", default=True),
        Property("acpi-pci-hotplug-with-bridge-support", "bool", "likewise behind bridges", default=True),
    )
    power: PowerManagement
    hotplug: PciHotplug | None = None
    _claim: Claim | None = None

    def make_function(self, environment: Environment) -> PciFunction:
        function = PciFunction(IDENTITY, name=self.type_name, interrupt_pin=INTA)
        function.add_register(r.COMMAND, 2, writable=r.COMMAND_IO)
        function.add_register(r.STATUS, 2, r.STATUS_MEDIUM_DEVSEL | r.STATUS_FAST_BACK_TO_BACK)
        function.add_register(PMBASE, 4, PMBASE_IO, writable=PMBASE_ADDRESS)
        function.add_register(PMREGMISC, 1, writable=PMIOSE)
        function.add_register(DEVACTB, 4, APMC_EN)
        return function

    def realize(self, environment: Environment, bus: PciBus) -> None:
        super().realize(environment, bus)
        kinds = {SleepType.S5, SleepType.S3, SleepType.S4}
        kinds -= {SleepType.S3} if self.settings["disable_s3"] else set()
        kinds -= {SleepType.S4} if self.settings["disable_s4"] else set()
        self.power = PowerManagement(
            environment.virtual, environment.timers, environment.gsi(SCI), environment.requests, frozenset(kinds)
        )
        self.power.map(environment.ports)
        with_root, with_bridges = (
            self.settings[name] for name in ("acpi-root-pci-hotplug", "acpi-pci-hotplug-with-bridge-support")
        )
        if with_root or with_bridges:
            self.hotplug = PciHotplug(
                bus,
                lambda: self.power.gpe0.raise_event(EVENT),
                environment.ejected,
                with_root=with_root,
                with_bridges=with_bridges,
            )
            self.hotplug.map(environment.ports)
        self.function.on_config_write(self._config_written)

    def place(self, base: int) -> None:
        """Decode the I/O block at `base`, as firmware sets it up."""
        self.function.write_config(r.INTERRUPT_LINE, 1, SCI)
        self.function.write_config(PMBASE, 4, base)
        self.function.write_config(PMREGMISC, 1, PMIOSE)

    def _config_written(self, offset: int, size: int) -> None:
        bus = self.function.bus
        assert bus is not None
        base = self.function.register(PMBASE, 4) & PMBASE_ADDRESS
        decoded = self.function.register(PMREGMISC, 1) & PMIOSE
        wanted = base if decoded and base else None
        if wanted == (self._claim.start if self._claim is not None else None):
            return
        if self._claim is not None:
            bus.fabric.mapper.remove(self._claim)
            self._claim = None
        if wanted is not None:
            registers, rank = self.power.pm1, (*bus.rank, self.function.devfn)
            self._claim = Claim(
                True, wanted, wanted + BLOCK, registers.read, registers.write, name="acpi-pm", rank=rank
            )
            bus.fabric.mapper.add(self._claim)

    def parts(self) -> dict[str, Device[Any]]:
        parts: dict[str, Device[Any]] = {**super().parts(), **self.power.parts()}
        return parts if self.hotplug is None else {**parts, "acpi-pci-hotplug": self.hotplug}
