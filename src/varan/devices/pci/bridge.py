"""PCI-to-PCI bridges (PCI-to-PCI Bridge Architecture 1.2): bus numbers, and the windows that they forward."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from varan.core.properties import Property
from varan.devices.environment import Environment
from varan.devices.pci import registers as r
from varan.devices.pci.bus import Fabric, PciBus
from varan.devices.pci.device import PciDevice
from varan.devices.pci.function import PciFunction
from varan.devices.pci.layout import Identity
from varan.errors import GenericError

PCI_BRIDGE = Identity(vendor=0x1B36, device=0x0001, class_code=0x060400)
"""QEMU's pci-bridge (docs/specs/pci-ids.txt of the QEMU sources)."""

ANY_32, ANY_64 = 0xFFFFFFFF, (1 << 64) - 1
"""Settings' values: as firmware likes."""
RESERVES = ("io-reserve", "mem-reserve", "pref32-reserve", "pref64-reserve")
IO_GRANULE = 1 << 12
MEMORY_GRANULE = 1 << 20
WINDOW_32 = 0x01
"""I/O window: addresses have 32 bits. Prefetchable window: they have 64."""
ADDRESS_BITS = 0xF0
CONTROL_WRITABLE = 0x0FFF
CONTROL_ISA = 0x04
CONTROL_RESET = 0x40
"""Going from 0 to 1, it resets everything behind the bridge (3.2.5.18)."""
ISA_BLOCK = 0x400
"""With ISA enable set, only the first quarter of each kilobyte of I/O space is forwarded."""


RESERVE_TYPE = 1
_RESERVE = struct.Struct("<BBIQIIQ")
"""Vendor-specific capability (docs/pcie_pci_bridge.txt of the QEMU sources): its length and type, then what firmware
is to keep of bus numbers, ports, memory, and prefetchable memory below and above 4 GiB; all ones: as it likes."""


@dataclass(frozen=True, slots=True)
class Reserve:
    """What firmware is to keep behind a bridge for what comes later: bus numbers, and bytes of address space.

    None: as it likes.
    """

    buses: int | None = None
    io: int | None = None
    memory: int | None = None
    prefetchable_32: int | None = None
    prefetchable_64: int | None = None

    def capability(self) -> bytes:
        """The body of the capability that tells it."""
        amounts = (self.buses, self.io, self.memory, self.prefetchable_32, self.prefetchable_64)
        numbers = (
            (1 << bits) - 1 if amount is None else amount & (1 << bits) - 1
            for amount, bits in zip(amounts, (32, 64, 32, 32, 64), strict=True)
        )
        return _RESERVE.pack(_RESERVE.size + 2, RESERVE_TYPE, *numbers)


FOR_A_CARD = Reserve(io=IO_GRANULE, memory=2 << 20)
"""What firmware is told to keep where the user does not say: it would keep nothing behind a bridge without cards, and
later ones would find no room."""


class BridgeFunction(PciFunction):
    """A type 1 header, and the bus behind it, `secondary`."""

    secondary: PciBus
    reserve = Reserve()

    def __init__(self, identity: Identity, fabric: Fabric, name: str = "", interrupt_pin: int = 0) -> None:
        super().__init__(identity, name=name, interrupt_pin=interrupt_pin, header=r.HEADER_BRIDGE)
        self.secondary = PciBus(fabric, self)
        self._held = False
        """What is behind the bridge is held in reset, as the register says."""
        for offset in (r.PRIMARY_BUS, r.SECONDARY_BUS, r.SUBORDINATE_BUS, r.SECONDARY_LATENCY):
            self.add_register(offset, 1, writable=0xFF)
        for offset in (r.IO_BASE, r.IO_LIMIT):
            self.add_register(offset, 1, WINDOW_32, writable=ADDRESS_BITS)
        self.add_register(r.SECONDARY_STATUS, 2, r.STATUS_MEDIUM_DEVSEL, clearable=r.STATUS_ERRORS)
        for offset in (r.MEMORY_BASE, r.MEMORY_LIMIT):
            self.add_register(offset, 2, writable=0xFFF0)
        for offset in (r.PREFETCHABLE_BASE, r.PREFETCHABLE_LIMIT):
            self.add_register(offset, 2, WINDOW_32, writable=0xFFF0)
        for offset in (r.PREFETCHABLE_BASE_UPPER, r.PREFETCHABLE_LIMIT_UPPER, r.IO_BASE_UPPER):
            self.add_register(offset, 4, writable=0xFFFFFFFF)
        self.add_register(r.BRIDGE_CONTROL, 2, writable=CONTROL_WRITABLE)
        self.on_config_write(self._config_written)

    @property
    def io_window(self) -> tuple[int, int]:
        """First and last port that the registers name; a first one above the last names none."""
        base = self.register(r.IO_BASE, 1) & ADDRESS_BITS
        limit = self.register(r.IO_LIMIT, 1) & ADDRESS_BITS
        upper = self.register(r.IO_BASE_UPPER, 4)
        first = base << 8 | (upper & 0xFFFF) << 16
        return first, limit << 8 | (upper >> 16) << 16 | IO_GRANULE - 1

    @property
    def memory_window(self) -> tuple[int, int]:
        """First and last address of the memory window."""
        first = (self.register(r.MEMORY_BASE, 2) & 0xFFF0) << 16
        return first, (self.register(r.MEMORY_LIMIT, 2) & 0xFFF0) << 16 | MEMORY_GRANULE - 1

    @property
    def prefetchable_window(self) -> tuple[int, int]:
        """First and last address of the prefetchable memory window."""
        first = (self.register(r.PREFETCHABLE_BASE, 2) & 0xFFF0) << 16
        last = (self.register(r.PREFETCHABLE_LIMIT, 2) & 0xFFF0) << 16 | MEMORY_GRANULE - 1
        first |= self.register(r.PREFETCHABLE_BASE_UPPER, 4) << 32
        return first, last | self.register(r.PREFETCHABLE_LIMIT_UPPER, 4) << 32

    def set_io_window(self, start: int, end: int) -> None:
        """Write the registers, as the guest would, for ports `start` to `end - 1`; an empty run closes the window."""
        first, last = _bounds(start, end, IO_GRANULE)
        self.write_config(r.IO_BASE_UPPER, 4, first >> 16 | (last >> 16) << 16)
        self.write_config(r.IO_BASE, 2, first >> 8 & ADDRESS_BITS | (last >> 8 & ADDRESS_BITS) << 8)

    def set_memory_window(self, start: int, end: int) -> None:
        """Likewise for the memory window."""
        first, last = _bounds(start, end, MEMORY_GRANULE)
        self.write_config(r.MEMORY_BASE, 4, first >> 16 & 0xFFF0 | (last >> 16 & 0xFFF0) << 16)

    def set_prefetchable_window(self, start: int, end: int) -> None:
        """Likewise for the prefetchable memory window."""
        first, last = _bounds(start, end, MEMORY_GRANULE)
        self.write_config(r.PREFETCHABLE_BASE_UPPER, 4, first >> 32)
        self.write_config(r.PREFETCHABLE_LIMIT_UPPER, 4, last >> 32)
        self.write_config(r.PREFETCHABLE_BASE, 4, first >> 16 & 0xFFF0 | (last >> 16 & 0xFFF0) << 16)

    def forwarded(self, io: bool, start: int, end: int) -> list[tuple[int, int]]:
        """The parts of the run from `start` to `end` that the bridge passes on to its secondary bus, lowest first."""
        if not self.command & (r.COMMAND_IO if io else r.COMMAND_MEMORY):
            return []
        windows = [self.io_window] if io else sorted((self.memory_window, self.prefetchable_window))
        parts = []
        for first, last in windows:
            low, high = max(start, first), min(end, last + 1)
            if low < high:
                parts.append((low, high))
                start = high
        if io and self.register(r.BRIDGE_CONTROL, 2) & CONTROL_ISA:
            return [piece for low, high in parts for piece in _without_isa(low, high)]
        return parts

    def _config_written(self, offset: int, size: int) -> None:
        if offset >= r.HEADER_END:
            return
        held = bool(self.register(r.BRIDGE_CONTROL, 2) & CONTROL_RESET)
        if held and not self._held and size != r.CONFIG_SIZE:
            self.secondary.reset()
        self._held = held
        self.secondary.remap()


def _bounds(start: int, end: int, granule: int) -> tuple[int, int]:
    """First and last address for base and limit registers; an empty run gets its base above its limit."""
    return (start, end - 1) if start < end else (granule, 0)


def _without_isa(start: int, end: int) -> list[tuple[int, int]]:
    """The parts of a run of ports that lie in the first quarter of their kilobyte."""
    pieces = []
    for block in range(start // ISA_BLOCK * ISA_BLOCK, end, ISA_BLOCK):
        low, high = max(start, block), min(end, block + ISA_BLOCK // 4)
        if low < high:
            pieces.append((low, high))
    return pieces


class PciBridge(PciDevice):
    """`-device pci-bridge`: a bridge without a hot-plug controller (SHPC) of its own, or messages (MSI) from one."""

    _reserve = Reserve()

    type_name = "pci-bridge"
    abstract = False
    description = "Standard PCI Bridge"
    properties = (
        Property("chassis_nr", "uint8", "number of the chassis that its slots are in", default=0),
        Property("bus-reserve", "uint32", "bus numbers for bridges that come later", default=ANY_32),
        Property("io-reserve", "size", "ports for cards that come later", default=ANY_64),
        Property("mem-reserve", "size", "memory for them", default=ANY_64),
        Property("pref32-reserve", "size", "prefetchable memory below 4 GiB for them", default=ANY_64),
        Property("pref64-reserve", "size", "prefetchable memory above 4 GiB for them", default=ANY_64),
        Property("shpc", "bool", "not available: a hot-plug controller in the bridge (ACPI does it)", default=False),
        Property("msi", "OnOffAuto", "messages of that controller", default="auto", choices=("on", "off", "auto")),
    )

    async def acquire(self, environment: Environment) -> None:
        await super().acquire(environment)
        if self.settings["shpc"] or self.settings["msi"] == "on":
            raise GenericError(f"{self.type_name}: there is no hot-plug controller in the bridge: shpc=off,msi=off")
        self._reserve = self._wanted()

    def _wanted(self) -> Reserve:
        """What the settings want kept. Raises GenericError for what cannot be told."""
        given = self.settings
        sizes = [None if given[name] == ANY_64 else given[name] for name in RESERVES]
        for name, size in zip(RESERVES[1:3], sizes[1:3], strict=True):
            if size is not None and size >> 32:
                raise GenericError(f"PCI resource reserve cap: {name} must be less than 4G")
        if sizes[2] is not None and sizes[3] is not None:
            raise GenericError("PCI resource reserve cap: PREF32 and PREF64 conflict")
        return Reserve(None if given["bus-reserve"] == ANY_32 else given["bus-reserve"], *sizes)

    def make_function(self, environment: Environment) -> BridgeFunction:
        bus = self.bus
        assert isinstance(bus, PciBus)
        self._function = BridgeFunction(PCI_BRIDGE, bus.fabric, name=self.type_name)
        if self.settings["chassis_nr"]:
            self._function.add_capability(r.CAP_SLOT_ID, bytes((0, self.settings["chassis_nr"])))
        self._function.reserve = self._reserve
        told = self._reserve if self._reserve != Reserve() else FOR_A_CARD
        self._function.add_capability(r.CAP_VENDOR, told.capability())
        return self._function

    def realize(self, environment: Environment, bus: PciBus) -> None:
        super().realize(environment, bus)
        bus.fabric.buses += 1
        self.add_child(self.id or f"pci.{bus.fabric.buses - 1}", self._function.secondary)

    def unrealize(self) -> None:
        super().unrealize()
        self._function.secondary.remove_from_parent()
