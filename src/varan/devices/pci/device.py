"""`PciDevice`: what `-device` puts on a PCI bus."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, ClassVar

from varan.core.properties import Property
from varan.core.state import Device
from varan.devices.environment import Environment
from varan.devices.pci import address
from varan.devices.pci import registers as r
from varan.devices.pci.bar import Rom
from varan.devices.pci.bus import PciBus
from varan.devices.pci.classes import FIRMWARE_NAMES
from varan.devices.pci.classes import NAMES as CLASS_NAMES
from varan.devices.pci.function import PciFunction
from varan.devices.pluggable import PluggableDevice
from varan.errors import GenericError

NO_ADDRESS = -1
"""Setting's value: the first slot that is free."""
LARGEST_ROM = 16 << 20
ALL_ONES = (1 << 64) - 1
"""Shown as the address of what has none."""


def _parse_address(given: Any) -> int:
    """A devfn. Numbers are read as they are written. Raises ValueError."""
    devfn = address.parse(str(given))
    if devfn is None or isinstance(given, bool):
        raise ValueError(given)
    return devfn


class PciDevice(PluggableDevice):
    """One function on a PCI bus. Subclasses make its core in `make_function`, and name further ones in `parts`."""

    type_name = "pci-device"
    bus_type = "PCI"
    properties: ClassVar[tuple[Property, ...]] = (
        Property(
            "addr",
            "int32",
            "Slot and optional function number, example: 06.0 or 06",
            default=NO_ADDRESS,
            parse=_parse_address,
            shown=address.show,
        ),
        Property("legacy-addr", "str", "the same as users write it", read=lambda device: device.shown_address),
        Property("multifunction", "bool", "further functions share the slot", default=False),
        Property("romfile", "str", "file with the expansion ROM's contents", default=""),
        Property("rombar", "uint32", "whether the guest sees the expansion ROM (0 or 1)", default=1),
    )
    function: PciFunction
    _rom: bytes | None = None

    @property
    def firmware_name(self) -> str:
        slot, number = divmod(self.function.devfn, address.FUNCTIONS)
        return f"{_firmware_kind(self.function)}@{slot:x}" + (f",{number:x}" if number else "")

    def make_function(self, environment: Environment) -> PciFunction:
        """The function with its BARs and capabilities, not on a bus yet. Raises VaranError."""
        raise NotImplementedError

    async def acquire(self, environment: Environment) -> None:
        if self.settings["romfile"] and self.settings["rombar"]:
            self._rom = await asyncio.to_thread(_read_rom, self.settings["romfile"])

    def realize(self, environment: Environment, bus: PciBus) -> None:
        devfn = self._choose_place(bus)
        self.function = self.make_function(environment)
        self.function.device = self
        if self._rom is not None:
            self.function.add_bar(r.ROM_INDEX, Rom(self._rom, f"{self.type_name}.rom"))
        bus.attach(self.function, devfn, multifunction=self.settings["multifunction"])
        self.settle(addr=devfn)

    def _choose_place(self, bus: PciBus) -> int:
        devfn: int = self.settings["addr"]
        if devfn == NO_ADDRESS:
            slot = bus.free_slot()
            if slot is None:
                raise GenericError(f"PCI: no slot/function available for {self.type_name}, all in use or reserved")
            return slot * address.FUNCTIONS
        return devfn

    @property
    def shown_address(self) -> str:
        """Slot and function, empty before it has a place."""
        devfn = self.settings["addr"]
        return "" if devfn == NO_ADDRESS else address.show(devfn)

    def unrealize(self) -> None:
        bus = self.function.bus
        if bus is not None:
            bus.detach(self.function)

    def details(self) -> list[str]:
        function = self.function
        code = function.register(r.CLASS_CODE + 1, 2)
        name = CLASS_NAMES.get(code, f"Class {code:04x}")
        place = f"{function.bus.number if function.bus is not None else 0:02x}:{address.show(function.devfn)}"
        lines = [f"class {name}, addr {place}, pci id {_ids(function, r.VENDOR_ID)} (sub {_subsystem(function)})"]
        for index, bar in sorted(function.layout.bars.items()):
            start = function.bar_address(index)
            first = ALL_ONES if start is None else start
            last = first + bar.size - 1 & ALL_ONES
            lines.append(f"bar {index}: {'i/o' if bar.is_io else 'mem'} at {first:#x} [{last:#x}]")
        return lines

    def parts(self) -> dict[str, Device[Any]]:
        return {"pci": self.function}


def _firmware_kind(function: PciFunction) -> str:
    code = function.register(r.CLASS_CODE + 1, 2)
    vendor, device = function.register(r.VENDOR_ID, 2), function.register(r.DEVICE_ID, 2)
    return FIRMWARE_NAMES.get(code, f"pci{vendor:x},{device:x}")


def _ids(function: PciFunction, offset: int) -> str:
    return f"{function.register(offset, 2):04x}:{function.register(offset + 2, 2):04x}"


def _subsystem(function: PciFunction) -> str:
    return "0000:0000" if function.layout.is_bridge else _ids(function, r.SUBSYSTEM_VENDOR_ID)


def _read_rom(path: str) -> bytes:
    """The contents of a ROM file. Raises GenericError."""
    try:
        with Path(path).open("rb") as file:
            data = file.read(LARGEST_ROM + 1)
    except OSError as error:
        raise GenericError(f'failed to find romfile "{path}": {error.strerror}') from None
    if not 0 < len(data) <= LARGEST_ROM:
        raise GenericError(f'romfile "{path}": an expansion ROM has 1 byte to {LARGEST_ROM >> 20} MiB')
    return data
