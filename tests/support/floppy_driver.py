"""A floppy controller with disks in memory, and a driver that works it as a PC's software does."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.bus import Bus, Wire
from varan.core.memory import GuestRam, MemorySpace
from varan.devices.dma.i8237 import Dma
from varan.devices.floppy.fdc import Fdc
from varan.devices.floppy.geometry import SECTOR, Format, find_format

BASE = 0x3F0
DOR, MSR, FIFO, DIR = BASE + 2, BASE + 4, BASE + 5, BASE + 7
BUFFER = 0x10000
"""Where the DMA channel points."""
RAM = 1 << 19
HD = 1440 << 10
"""Bytes of a 1.44 MB disk."""


class Disk:
    """A drive with a disk of bytes. With `later` set its answers wait until `answer`."""

    def __init__(self, length: int = HD, kind: str = "144") -> None:
        self.data = bytearray(length)
        self.kind = kind
        self.present, self.read_only, self.broken = True, False, False
        self.later = False
        self.asked: list[Callable[[], None]] = []

    @property
    def format(self) -> Format:
        return find_format(len(self.data), self.kind)

    def read(self, offset: int, length: int, done: Callable[[bytes | None], None]) -> None:
        assert 0 < length <= 48 * SECTOR
        good = not self.broken and offset + length <= len(self.data)
        self._say(lambda: done(bytes(self.data[offset : offset + length]) if good else None))

    def write(self, offset: int, data: bytes, done: Callable[[bool], None]) -> None:
        good = not self.broken and offset + len(data) <= len(self.data)

        def put() -> None:
            if good:
                self.data[offset : offset + len(data)] = data
            done(good)

        self._say(put)

    def _say(self, work: Callable[[], None]) -> None:
        if self.later:
            self.asked.append(work)
        else:
            work()

    def answer(self) -> None:
        """Let the oldest question have its answer."""
        self.asked.pop(0)()


class FloppyRig:
    """The controller, its DMA channel, memory, and drives 0 and perhaps 1."""

    def __init__(self, *disks: Disk) -> None:
        self.ram = GuestRam(RAM)
        memory = MemorySpace()
        memory.map_ram(0, self.ram)
        self.bus, self.line = Bus(), Wire()
        self.dma = Dma(memory)
        self.dma.map(self.bus.ports)
        self.fdc = Fdc(self.line, self.dma.channels[2])
        self.fdc.map(self.bus.ports, BASE)
        self.fdc.mechanisms.update(enumerate(disks or (Disk(),)))

    def start(self, *, rate: int = 0, dma: bool = True) -> None:
        """Out of reset, polls answered, rate and way of transfers set, motors on."""
        self.bus.outb(DOR, 0x08)
        self.bus.outb(DOR, 0x3C)
        for _ in range(4):
            self.command(0x08)
        self.bus.outb(DIR, rate)
        self.command(0x03, 0xAF, 0x02 if dma else 0x03)

    def send(self, *given: int) -> None:
        """Write a command."""
        for value in given:
            assert self.bus.inb(MSR) & 0xC0 == 0x80, "the controller wants a byte"
            self.bus.outb(FIFO, value)

    def results(self) -> list[int]:
        """Read all results."""
        found = []
        while self.bus.inb(MSR) & 0xD0 == 0xD0:
            found.append(self.bus.inb(FIFO))
        return found

    def command(self, *given: int) -> list[int]:
        """A command that is over at once, and its results."""
        self.send(*given)
        return self.results()

    def seek(self, track: int, unit: int = 0) -> list[int]:
        """Move the heads; what SENSE INTERRUPT tells."""
        self.send(0x0F, unit, track)
        return self.command(0x08)

    def arm(self, count: int, mode: int) -> None:
        """Set up the DMA channel for `count` bytes at BUFFER; mode 0x46 is to memory, 0x4A from it."""
        self.bus.outb(0x0A, 6)
        self.bus.outb(0x0C, 0)
        self.bus.outb(0x04, BUFFER & 0xFF, BUFFER >> 8 & 0xFF)
        self.bus.outb(0x05, count - 1 & 0xFF, count - 1 >> 8)
        self.bus.outb(0x81, BUFFER >> 16)
        self.bus.outb(0x0B, mode)
        self.bus.outb(0x0A, 2)

    def read(
        self, cylinder: int, head: int, sector: int, count: int, *, unit: int = 0, last: int = 18, first: int = 0xE6
    ) -> tuple[list[int], bytes]:
        """Read `count` bytes by DMA: results and data."""
        self.arm(count, 0x46)
        results = self.command(first, head << 2 | unit, cylinder, head, sector, 2, last, 0x1B, 0xFF)
        return results, bytes(self.ram.view[BUFFER : BUFFER + count])

    def write(
        self, cylinder: int, head: int, sector: int, data: bytes, *, unit: int = 0, last: int = 18, first: int = 0xC5
    ) -> list[int]:
        """Write `data` by DMA: results."""
        self.ram.view[BUFFER : BUFFER + len(data)] = data
        self.arm(len(data), 0x4A)
        return self.command(first, head << 2 | unit, cylinder, head, sector, 2, last, 0x1B, 0xFF)


def place(cylinder: int, head: int, sector: int, sectors: int = 18) -> int:
    """Where a sector of a two-sided disk is in its image."""
    return ((cylinder * 2 + head) * sectors + sector - 1) * SECTOR
