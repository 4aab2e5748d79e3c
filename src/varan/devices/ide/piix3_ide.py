"""Function 1 of the PIIX3: an IDE controller with two channels (data sheet 290550, 2.3).

The channels always answer at the ports that they have had since the PC AT, whatever the decode bits say; what the
timing registers say is kept and means nothing. The bus master registers are behind BAR 4.
"""

from __future__ import annotations

from typing import Any

from varan.core.state import Device
from varan.devices.environment import Environment
from varan.devices.ide.bus import IdeBus
from varan.devices.ide.busmaster import BLOCK, BusMaster
from varan.devices.ide.channel import IdeChannel
from varan.devices.pci import registers as r
from varan.devices.pci.bar import Bar
from varan.devices.pci.bus import PciBus
from varan.devices.pci.device import PciDevice
from varan.devices.pci.function import PciFunction
from varan.devices.pci.layout import Identity

IDENTITY = Identity(vendor=0x8086, device=0x7010, class_code=0x010180)
IDETIM = 0x40
"""Timing of the primary channel; the secondary's follows."""
DECODE_ENABLE = 0x8000
SIDETIM = 0x44
PORTS = ((0x1F0, 0x3F6, 14), (0x170, 0x376, 15))
"""Of each channel: command block, control port, interrupt."""
BUS_MASTER_BAR = 4


class Piix3Ide(PciDevice):
    """The controller; its buses are `ide.0` and `ide.1`."""

    type_name = "piix3-ide"
    abstract = False
    description = "IDE controller"
    hotpluggable = False
    user_creatable = False
    channels: tuple[IdeChannel, ...] = ()

    def make_function(self, environment: Environment) -> PciFunction:
        function = PciFunction(IDENTITY, name=self.type_name)
        function.add_register(r.COMMAND, 2, writable=r.COMMAND_IO | r.COMMAND_MASTER)
        function.add_register(r.STATUS, 2, r.STATUS_MEDIUM_DEVSEL | r.STATUS_FAST_BACK_TO_BACK)
        for channel in range(len(PORTS)):
            function.add_register(IDETIM + 2 * channel, 2, writable=0xFFFF)
        function.add_register(SIDETIM, 1, writable=0xFF)
        function.add_bar(BUS_MASTER_BAR, Bar("io", 2 * BLOCK, self._read, self._write, name=self.type_name))
        return function

    def realize(self, environment: Environment, bus: PciBus) -> None:
        super().realize(environment, bus)
        isa: Any = environment.buses["isa.0"]
        channels = []
        for number, (block, control, interrupt) in enumerate(PORTS):
            master = BusMaster(environment.memory, lambda: self.function.bus_master)
            channel = IdeChannel(number, isa.output(interrupt)[0], master)
            channel.map(environment.ports, block, control)
            ide_bus = IdeBus(channel)
            environment.buses[f"ide.{number}"] = ide_bus
            self.add_child(f"ide.{number}", ide_bus)
            channels.append(channel)
        self.channels = tuple(channels)

    def enable(self) -> None:
        """Let the channels be found, as firmware does."""
        for channel in range(len(PORTS)):
            self.function.write_config(IDETIM + 2 * channel, 2, DECODE_ENABLE)

    def _read(self, offset: int, size: int) -> int:
        channel, at = divmod(offset, BLOCK)
        return self.channels[channel].master.read(at, min(size, BLOCK - at))

    def _write(self, offset: int, size: int, value: int) -> None:
        channel, at = divmod(offset, BLOCK)
        size = min(size, BLOCK - at)
        self.channels[channel].master.write(at, size, value & (1 << 8 * size) - 1)

    def parts(self) -> dict[str, Device[Any]]:
        parts: dict[str, Device[Any]] = {**super().parts()}
        for channel in self.channels:
            parts[f"bus-master.{channel.number}"] = channel.master
            parts[f"ide.{channel.number}"] = channel
        return parts
