"""A PCI bus: functions by slot, the way down to those behind bridges, and the way up to the machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varan.devices.bus import Bus
from varan.devices.environment import Environment
from varan.devices.pci import registers as r
from varan.devices.pci.address import FUNCTIONS, SLOTS
from varan.devices.pci.intx import IntxRouter, NoRouter, swizzle
from varan.devices.pci.mapping import Mapper, Rank
from varan.errors import GenericError

if TYPE_CHECKING:
    from varan.devices.pci.bridge import BridgeFunction
    from varan.devices.pci.function import PciFunction

MESSAGE_START, MESSAGE_END = 0xFEE00000, 0xFEF00000
"""Writes to these addresses are interrupt messages; elsewhere a message is a write to memory like another."""


class Fabric:
    """What all buses below one host bridge share."""

    def __init__(self, environment: Environment) -> None:
        self._environment = environment
        self.mapper = Mapper(environment.memory, environment.ports)
        self.router: IntxRouter = NoRouter()
        self.buses = 1
        """How many there have been; those without a name of their own are numbered."""

    def send_message(self, address: int, data: int) -> None:
        """A device writes the 32 bits of `data` to `address`."""
        if MESSAGE_START <= address < MESSAGE_END:
            self._environment.msi(address, data)
        else:
            self._environment.memory.write_ram(address, data.to_bytes(4, "little"))


class PciBus(Bus):
    """A root bus, or with `bridge` the bus behind that bridge."""

    type_name = "PCI"
    abstract = False

    def __init__(self, fabric: Fabric, bridge: BridgeFunction | None = None) -> None:
        super().__init__()
        self.fabric = fabric
        self.bridge = bridge
        self.functions: dict[int, PciFunction] = {}
        """By devfn (slot * 8 + function)."""

    @property
    def number(self) -> int:
        """The bus number that the guest has given it; 0 for a root bus."""
        return self.bridge.register(r.SECONDARY_BUS, 1) if self.bridge is not None else 0

    @property
    def rank(self) -> Rank:
        """Standing of what is on this bus, by the devfns of the bridges above."""
        if self.bridge is None or self.bridge.bus is None:
            return ()
        return (*self.bridge.bus.rank, self.bridge.devfn)

    @property
    def full(self) -> bool:
        return self.free_slot() is None

    def free_slot(self) -> int | None:
        """The first slot with nothing in it."""
        taken = {devfn // FUNCTIONS for devfn in self.functions}
        return next((slot for slot in range(SLOTS) if slot not in taken), None)

    def attach(self, function: PciFunction, devfn: int, *, multifunction: bool = False) -> None:
        """Put `function` at `devfn`. `multifunction`: its device has further ones.

        Raises GenericError when the place is taken, or function 0 and the others do not agree on whether there are
        others (PCI 3.0, 6.2.1, "Header Type").
        """
        self._check_place(function, devfn, multifunction)
        if multifunction:
            function.layout.image[r.HEADER_TYPE] |= r.MULTIFUNCTION
        self.functions[devfn] = function
        function.attached(self, devfn)

    def _check_place(self, function: PciFunction, devfn: int, multifunction: bool) -> None:
        slot, number = divmod(devfn, FUNCTIONS)
        if devfn in self.functions:
            other = self.functions[devfn]
            id = other.device.id if other.device is not None else None
            raise GenericError(
                f"PCI: slot {slot} function {number} not available for {function.name}, "
                f"in use by {other.name},id={id or '(null)'}"
            )
        if number:
            first = self.functions.get(slot * FUNCTIONS)
            if first is not None and not first.layout.image[r.HEADER_TYPE] & r.MULTIFUNCTION:
                raise GenericError(f"PCI: single function device can't be populated in function {slot:x}.{number}")
        elif not multifunction:
            others = [further for further in range(1, FUNCTIONS) if devfn + further in self.functions]
            if others:
                raise GenericError(
                    f"PCI: {slot:x}.0 indicates single function, but {slot:x}.{others[0]} is already populated."
                )

    def detach(self, function: PciFunction) -> None:
        """Undo `attach`. Nothing is behind `function` any more."""
        assert function.secondary is None or not function.secondary.functions
        function.detached()
        del self.functions[function.devfn]

    def find_bus(self, number: int) -> PciBus | None:
        """The bus that configuration cycles for bus `number` reach through this one (PCI-to-PCI Bridge 1.2, 3.2.5)."""
        if number == self.number:
            return self
        for function in self.functions.values():
            behind = function.secondary
            if behind is None:
                continue
            secondary, subordinate = function.state.config[r.SECONDARY_BUS], function.state.config[r.SUBORDINATE_BUS]
            if 0 < secondary <= number <= subordinate:
                return behind if secondary == number else behind.find_bus(number)
        return None

    def visible(self, io: bool, start: int, end: int) -> list[tuple[int, int]]:
        """The parts of the run from `start` to `end` that reach this bus from the CPU."""
        if self.bridge is None:
            return [(start, end)]
        if self.bridge.bus is None:
            return []
        runs = self.bridge.forwarded(io, start, end)
        return [part for first, last in runs for part in self.bridge.bus.visible(io, first, last)]

    def remap(self) -> None:
        """A bridge above has changed: show what is on this bus and below where it can be seen now."""
        for function in self.functions.values():
            function.remap()
            if function.secondary is not None:
                function.secondary.remap()

    def reset(self) -> None:
        """Put everything on this bus and below into power-on state."""
        for function in list(self.functions.values()):
            parts = function.device.parts().values() if function.device is not None else (function,)
            for part in parts:
                part.reset()
            if function.secondary is not None:
                function.secondary.reset()

    def set_intx(self, function: PciFunction, level: int) -> None:
        """`function` drives its interrupt pin."""
        bus, slot, pin = self, function.devfn // FUNCTIONS, function.interrupt_pin - 1
        while bus.bridge is not None:
            pin, slot = swizzle(pin, slot), bus.bridge.devfn // FUNCTIONS
            if bus.bridge.bus is None:
                return
            bus = bus.bridge.bus
        self.fabric.router.set_intx(function, slot, pin, level)
