"""The host bridge's way to configuration space: CONFIG_ADDRESS and CONFIG_DATA (PCI Local Bus 3.0, 3.2.2.3.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec

from varan.core.ports import PortSpace, all_ones
from varan.core.state import Device, State
from varan.devices.fields import Byte
from varan.devices.pci.bus import PciBus
from varan.devices.pci.function import PciFunction

ADDRESS_PORT = 0xCF8
DATA_PORT = 0xCFC
RESET_OFFSET = 1
"""The reset control register CF9h lies among the bytes of CONFIG_ADDRESS, which only takes double words."""
ENABLE = 0x80000000
ADDRESS_BITS = 0x80FFFFFC
BUS_BITS = 0x00FF0000
REGISTER_BITS = 0xFC

RESET_SYSTEM = 0x02
"""Reset control: a hard reset rather than a soft one. Here both reset the machine."""
RESET_CPU = 0x04
"""Reset control: the change from 0 to 1 resets."""


class PciHostState(State, kw_only=True):
    """CONFIG_ADDRESS, and the reset control register of the PIIX3 that shares its ports."""

    address: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)] = 0
    reset_control: Byte = 0


class PciHost(Device[PciHostState]):
    """Ports CF8h to CFFh."""

    state_type = PciHostState

    def __init__(self, bus: PciBus, request_reset: Callable[[], None]) -> None:
        super().__init__()
        self.bus = bus
        self._request_reset = request_reset

    def map(self, ports: PortSpace) -> None:
        """Answer at the standard ports."""
        ports.map(ADDRESS_PORT, 4, self.read_address, self.write_address, width=4, name="pci-config-address")
        ports.map(DATA_PORT, 4, self.read_data, self.write_data, width=4, name="pci-config-data")

    def read_address(self, offset: int, size: int) -> int:
        """CONFIG_ADDRESS as a double word; of smaller accesses only CF9h is anybody's."""
        if size == 4:
            return self.state.address
        value = all_ones(size)
        at = RESET_OFFSET - offset
        if 0 <= at < size:
            value ^= (0xFF ^ self.state.reset_control) << 8 * at
        return value

    def write_address(self, offset: int, size: int, value: int) -> None:
        """See `read_address`."""
        if size == 4:
            self.state.address = value & ADDRESS_BITS
            return
        at = RESET_OFFSET - offset
        if 0 <= at < size:
            self._write_reset(value >> 8 * at & 0xFF)

    def _write_reset(self, value: int) -> None:
        rises = value & ~self.state.reset_control & RESET_CPU
        self.state.reset_control = value & (RESET_SYSTEM | RESET_CPU)
        if rises:
            self._request_reset()

    def _target(self) -> PciFunction | None:
        """The function that CONFIG_ADDRESS selects."""
        address = self.state.address
        if address < ENABLE:
            return None
        bus: PciBus | None = self.bus
        if address & BUS_BITS:
            bus = self.bus.find_bus(address >> 16 & 0xFF)
        return bus.functions.get(address >> 8 & 0xFF) if bus is not None else None

    def read_data(self, offset: int, size: int) -> int:
        """A configuration read; all ones where nobody answers."""
        function = self._target()
        if function is None:
            return all_ones(size)
        return function.read_config((self.state.address & REGISTER_BITS) + offset, size)

    def write_data(self, offset: int, size: int, value: int) -> None:
        """A configuration write."""
        function = self._target()
        if function is not None:
            function.write_config((self.state.address & REGISTER_BITS) + offset, size, value)
