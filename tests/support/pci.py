"""A bare PCI bus for device tests: a host bridge at CF8h, and what arrives of interrupts and messages."""

from __future__ import annotations

from typing import Any

from tests.support.bus import Bus
from varan.devices.pci import registers as r
from varan.devices.pci.bar import Bar
from varan.devices.pci.bus import Fabric, PciBus
from varan.devices.pci.function import PciFunction
from varan.devices.pci.host import ADDRESS_PORT, DATA_PORT, ENABLE, PciHost
from varan.devices.pci.layout import Identity

SAMPLE = Identity(vendor=0x1AF4, device=0x10F0, class_code=0x058000, revision=3)


class Registers:
    """Storage behind a BAR, which remembers the accesses."""

    def __init__(self, size: int) -> None:
        self.content = bytearray(size)
        self.accesses: list[tuple[int, int]] = []

    def read(self, offset: int, size: int) -> int:
        self.accesses.append((offset, size))
        assert offset + size <= len(self.content)
        return int.from_bytes(self.content[offset : offset + size], "little")

    def write(self, offset: int, size: int, value: int) -> None:
        self.accesses.append((offset, size))
        assert offset + size <= len(self.content)
        self.content[offset : offset + size] = value.to_bytes(size, "little")


class Pins:
    """An interrupt router that remembers which (slot, pin) are asserted."""

    def __init__(self) -> None:
        self.asserted: set[tuple[int, int]] = set()

    def set_intx(self, source: PciFunction, slot: int, pin: int, level: int) -> None:
        (self.asserted.add if level else self.asserted.discard)((slot, pin))


class PciRig:
    """Root bus and host bridge; configuration cycles go through the ports, as a guest's do."""

    def __init__(self, **given: Any) -> None:
        self.messages: list[tuple[int, int]] = []
        given.setdefault("msi", lambda address, data: self.messages.append((address, data)))
        self.environment = Bus().environment(**given)
        self.memory, self.ports = self.environment.memory, self.environment.ports
        self.bus = PciBus(Fabric(self.environment))
        self.pins = Pins()
        self.bus.fabric.router = self.pins
        self.resets = 0
        self.host = PciHost(self.bus, self._reset)
        self.host.map(self.ports)

    def _reset(self) -> None:
        self.resets += 1

    def select(self, devfn: int, offset: int, bus: int = 0) -> int:
        """Write CONFIG_ADDRESS; the port in CONFIG_DATA where `offset` is."""
        self.ports.write(ADDRESS_PORT, 4, ENABLE | bus << 16 | devfn << 8 | offset & 0xFC)
        return DATA_PORT + (offset & 3)

    def read(self, devfn: int, offset: int, size: int, bus: int = 0) -> int:
        return self.ports.read(self.select(devfn, offset, bus), size)

    def write(self, devfn: int, offset: int, size: int, value: int, bus: int = 0) -> None:
        self.ports.write(self.select(devfn, offset, bus), size, value)

    def command(self, devfn: int, value: int, bus: int = 0) -> None:
        self.write(devfn, r.COMMAND, 2, value, bus)


def sample(*bars: tuple[int, Bar], pin: int = 1, name: str = "sample") -> PciFunction:
    """A function with some BARs."""
    function = PciFunction(SAMPLE, name=name, interrupt_pin=pin)
    for index, bar in bars:
        function.add_bar(index, bar)
    return function


def memory_bar(size: int = 4096, **more: Any) -> tuple[Bar, Registers]:
    """A 32-bit memory BAR with storage behind it."""
    registers = Registers(size)
    return Bar("mem32", size, registers.read, registers.write, **more), registers


def io_bar(size: int = 32) -> tuple[Bar, Registers]:
    """An I/O BAR with storage behind it."""
    registers = Registers(size)
    return Bar("io", size, registers.read, registers.write), registers
