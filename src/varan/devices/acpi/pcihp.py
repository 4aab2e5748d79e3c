"""PCI hot-plug by ACPI: registers that tell the guest which slots were filled or are to be emptied.

The interface is the one of virtual machines with a PIIX4 (docs/specs/acpi_pci_hotplug of the QEMU sources): 20 bytes of
registers at AE00h, general-purpose event 1.

    0  slots that were filled since the last read, a bit each
    4  slots that are wanted empty
    8  writing a bit: the guest has let go of what is in that slot
    12 slots whose device can be taken out
    16 the number of the bus that the others are about

Buses are numbered when the guest starts: the root bus, then those behind the bridges that are there, depth first. The
tables tell the guest these numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated

from msgspec import Meta, field

from varan.core.ports import PortSpace
from varan.core.state import Device, State
from varan.devices.fields import Byte
from varan.devices.pci.address import FUNCTIONS, SLOTS
from varan.devices.pci.bus import PciBus
from varan.devices.pci.device import PciDevice
from varan.devices.pluggable import PluggableDevice

BASE, SIZE = 0xAE00, 0x14
UP, DOWN, EJECT, REMOVABLE, SELECT = 0x00, 0x04, 0x08, 0x0C, 0x10
EVENT = 1
"""The general-purpose event."""
FIRST_ROOT_SLOT = 2
"""Those before hold the board's own devices."""
MOST_BUSES = 256
DEEPEST = 255

Slots = Annotated[int, Meta(ge=0, le=0xFFFFFFFF)]
"""A bit for each slot."""


class BusSlots(State, kw_only=True):
    """What the guest has not seen or answered yet of one bus."""

    place: Annotated[list[Byte], Meta(max_length=DEEPEST)] = field(default_factory=list)
    """Which bus: the devfns of the bridges that lead to it."""
    up: Slots = 0
    down: Slots = 0


class PciHotplugState(State, kw_only=True):
    """The buses by their numbers."""

    buses: Annotated[list[BusSlots], Meta(max_length=MOST_BUSES)] = field(default_factory=list)
    selected: Slots = 0


class PciHotplug(Device[PciHotplugState]):
    """The hot-plug controller of the root bus, where `with_root`, and of buses behind bridges, where `with_bridges`.

    `notify` raises the event; `ejected` takes what the guest has let go of.
    """

    state_type = PciHotplugState

    def __init__(
        self,
        root: PciBus,
        notify: Callable[[], None],
        ejected: Callable[[PluggableDevice], None],
        *,
        with_root: bool = True,
        with_bridges: bool = True,
    ) -> None:
        super().__init__()
        self._root = root
        self._notify = notify
        self._ejected = ejected
        self._with_root = with_root
        self._with_bridges = with_bridges
        self._number_buses()

    def map(self, ports: PortSpace) -> None:
        """Answer at the standard ports."""
        ports.map(BASE, SIZE, self.read, self.write, width=4, name="acpi-pci-hotplug")

    # Numbers

    def number(self, bus: PciBus) -> int | None:
        """The number of `bus`, None where it had none when the guest started."""
        place = list(bus.rank)
        return next((number for number, slots in enumerate(self.state.buses) if slots.place == place), None)

    def _number_buses(self) -> None:
        wanted = [bus for bus in _buses(self._root) if (self._with_root if bus is self._root else self._with_bridges)]
        self.state.buses = [BusSlots(place=list(bus.rank)) for bus in wanted[:MOST_BUSES]]
        self._take_buses()

    def _take_buses(self) -> None:
        """Devices come to and go from the buses that have a number, and from no other."""
        for bus in _buses(self._root):
            bus.hotplug = self if self.number(bus) is not None else None

    def _slots(self, device: PluggableDevice) -> BusSlots:
        assert isinstance(device.bus, PciBus)
        number = self.number(device.bus)
        assert number is not None
        return self.state.buses[number]

    # `HotplugController`

    def plugged(self, device: PluggableDevice) -> None:
        """See `HotplugController`. Further functions of a slot are seen with its first one."""
        self._take_buses()
        devfn = _devfn(device)
        if devfn % FUNCTIONS == 0:
            slots, bit = self._slots(device), 1 << devfn // FUNCTIONS
            slots.up |= bit
            slots.down &= ~bit
            self._notify()

    def request_unplug(self, device: PluggableDevice) -> bool:
        """See `HotplugController`. The guest lets go of whole slots, when it has a driver for that."""
        self._slots(device).down |= 1 << _devfn(device) // FUNCTIONS
        self._notify()
        return False

    # Registers

    def read(self, offset: int, size: int) -> int:
        register, shift = offset & ~3, 8 * (offset & 3)
        return self._register(register) >> shift & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        register, shift = offset & ~3, 8 * (offset & 3)
        value = value << shift & 0xFFFFFFFF
        if register == SELECT:
            self.state.selected = value
        elif register == EJECT and self.state.selected < len(self.state.buses):
            self._eject(self.state.buses[self.state.selected], value)

    def _register(self, register: int) -> int:
        state = self.state
        if register == SELECT:
            return state.selected
        if state.selected >= len(state.buses):
            return 0
        slots = state.buses[state.selected]
        if register == UP:
            up, slots.up = slots.up, 0
            return up
        if register == DOWN:
            return slots.down
        return self._removable(slots) if register == REMOVABLE else 0

    def _removable(self, slots: BusSlots) -> int:
        found = (1 << SLOTS) - (1 << (FIRST_ROOT_SLOT if not slots.place else 0))
        bus = self._find(slots)
        for devfn, function in bus.functions.items() if bus is not None else ():
            if function.device is None or not function.device.hotpluggable:
                found &= ~(1 << devfn // FUNCTIONS)
        return found

    def _eject(self, slots: BusSlots, wanted: int) -> None:
        wanted &= self._removable(slots)
        slots.up &= ~wanted
        slots.down &= ~wanted
        bus = self._find(slots)
        for devfn, function in bus.functions.items() if bus is not None else ():
            if wanted >> devfn // FUNCTIONS & 1 and function.device is not None:
                self._ejected(function.device)

    def _find(self, slots: BusSlots) -> PciBus | None:
        """The bus at that place, None where the bridge has gone."""
        bus = self._root
        for devfn in slots.place:
            function = bus.functions.get(devfn)
            if function is None or function.secondary is None:
                return None
            bus = function.secondary
        return bus

    # Reset and load

    def reset(self) -> None:
        """Whatever the guest was asked for comes out now: nobody uses it any more."""
        asked = self.state.buses
        super().reset()
        for slots in asked:
            self._eject(slots, slots.down)
        self._number_buses()

    def restored(self) -> None:
        self._take_buses()


def _buses(root: PciBus) -> Iterator[PciBus]:
    """`root` and the buses behind its bridges, depth first."""
    yield root
    for _, function in sorted(root.functions.items()):
        if function.secondary is not None:
            yield from _buses(function.secondary)


def _devfn(device: PluggableDevice) -> int:
    assert isinstance(device, PciDevice)
    return device.function.devfn
