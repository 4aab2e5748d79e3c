"""PCI hot-plug by ACPI: registers that tell the guest which slots of the root bus were filled or are to be emptied.

The interface is the one of virtual machines with a PIIX4 (16 bytes of registers at AE00h, general-purpose event 1):

    0  slots that were filled since the last read, a bit each
    4  slots that are wanted empty
    8  writing a bit: the guest has let go of what is in that slot
    12 slots whose device can be taken out
    16 which bus the others are about: 0, the root bus, is the only one
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from msgspec import Meta

from varan.core.ports import PortSpace
from varan.core.state import Device, State
from varan.devices.pci.address import FUNCTIONS, SLOTS
from varan.devices.pci.bus import PciBus
from varan.devices.pci.device import PciDevice
from varan.devices.pluggable import PluggableDevice

BASE, SIZE = 0xAE00, 0x14
UP, DOWN, EJECT, REMOVABLE, SELECT = 0x00, 0x04, 0x08, 0x0C, 0x10
EVENT = 1
"""The general-purpose event."""
FIRST_SLOT = 2
"""Those before hold the board's own devices."""

Slots = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
"""A bit for each slot."""


class PciHotplugState(State, kw_only=True):
    """What the guest has not seen or answered yet."""

    up: Slots = 0
    down: Slots = 0
    selected: Slots = 0


class PciHotplug(Device[PciHotplugState]):
    """The root bus's hot-plug controller. `notify` raises the event; `ejected` takes what the guest has let go of."""

    state_type = PciHotplugState

    def __init__(self, bus: PciBus, notify: Callable[[], None], ejected: Callable[[PluggableDevice], None]) -> None:
        super().__init__()
        self._bus = bus
        self._notify = notify
        self._ejected = ejected

    def map(self, ports: PortSpace) -> None:
        """Answer at the standard ports."""
        ports.map(BASE, SIZE, self.read, self.write, width=4, name="acpi-pci-hotplug")

    def plugged(self, device: PluggableDevice) -> None:
        """See `HotplugController`. Further functions of a slot are seen with its first one."""
        devfn = _devfn(device)
        if devfn % FUNCTIONS == 0:
            bit = 1 << devfn // FUNCTIONS
            self.state.up |= bit
            self.state.down &= ~bit
            self._notify()

    def request_unplug(self, device: PluggableDevice) -> bool:
        """See `HotplugController`. The guest lets go of whole slots, when it has a driver for that."""
        self.state.down |= 1 << _devfn(device) // FUNCTIONS
        self._notify()
        return False

    def reset(self) -> None:
        """Whatever the guest was asked for comes out now: nobody uses it any more."""
        wanted = self.state.down
        super().reset()
        self._eject(wanted)

    def read(self, offset: int, size: int) -> int:
        register, shift = offset & ~3, 8 * (offset & 3)
        return self._register(register) >> shift & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        register, shift = offset & ~3, 8 * (offset & 3)
        value = value << shift & 0xFFFFFFFF
        if register == SELECT:
            self.state.selected = value
        elif register == EJECT and not self.state.selected:
            self._eject(value)

    def _register(self, register: int) -> int:
        state = self.state
        if register == SELECT:
            return state.selected
        if state.selected:
            return 0
        if register == UP:
            up, state.up = state.up, 0
            return up
        if register == DOWN:
            return state.down
        return self._removable() if register == REMOVABLE else 0

    def _removable(self) -> int:
        slots = (1 << SLOTS) - (1 << FIRST_SLOT)
        for devfn, function in self._bus.functions.items():
            if function.device is None or not function.device.hotpluggable:
                slots &= ~(1 << devfn // FUNCTIONS)
        return slots

    def _eject(self, slots: int) -> None:
        slots &= self._removable()
        self.state.up &= ~slots
        self.state.down &= ~slots
        for devfn, function in self._bus.functions.items():
            if slots >> devfn // FUNCTIONS & 1 and function.device is not None:
                self._ejected(function.device)


def _devfn(device: PluggableDevice) -> int:
    assert isinstance(device, PciDevice)
    return device.function.devfn
