"""The floppy controller and its DMA beside QEMU's: the same accesses, the same answers, the same disk afterwards.

What differs is left out: QEMU's is a later chip by its part id, reports an implied seek in status register 0, knows no
drive that is absent, and does not mask a DMA channel at its terminal count.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from tests.support.floppy_driver import BASE, BUFFER, DIR, DOR, FIFO, HD, MSR, Disk, FloppyRig
from tests.support.qtest import Qtest

pytestmark = [pytest.mark.interop, pytest.mark.timeout(100)]


class Side:
    """A driver for either."""

    def __init__(self, ports: Any) -> None:
        self.inb, self.outb = ports.inb, ports.outb

    def command(self, *given: int) -> list[int]:
        """A command, and its results when it is over."""
        self.outb(FIFO, *given)
        while not self.inb(MSR) & 0x80:
            continue
        found = []
        while self.inb(MSR) & 0xD0 == 0xD0:
            found.append(self.inb(FIFO))
        return found

    def arm(self, count: int, mode: int) -> None:
        self.outb(0x0A, 6)
        self.outb(0x0C, 0)
        self.outb(0x04, BUFFER & 0xFF, BUFFER >> 8 & 0xFF)
        self.outb(0x05, count - 1 & 0xFF, count - 1 >> 8)
        self.outb(0x81, BUFFER >> 16)
        self.outb(0x0B, mode)
        self.outb(0x0A, 2)

    def seek(self, track: int) -> list[int]:
        self.command(0x0F, 0, track)
        return self.command(0x08)

    def transfer(self, command: int, where: tuple[int, int, int], count: int) -> list[int]:
        """Read or write at (cylinder, head, sector)."""
        cylinder, head, sector = where
        self.arm(count, 0x46 if command & 0x1F == 0x06 else 0x4A)
        return self.command(command, head << 2, cylinder, head, sector, 2, 18, 0x1B, 0xFF)


def play(side: Side, memory: Any) -> list[Any]:
    """The accesses, and everything that they give."""
    seen: list[Any] = []
    side.outb(DOR, 0x08)
    side.outb(DOR, 0x1C)
    seen.append([side.command(0x08) for _ in range(5)])
    side.outb(DIR, 0)
    side.command(0x03, 0xAF, 0x02)
    seen += [
        side.inb(DIR),
        side.command(0x10),
        side.command(0x94),
        side.command(0x14),
        side.inb(DOR),
        side.inb(BASE + 3),
    ]
    seen += [side.command(0x04, 0), side.command(0x04, 4), side.seek(5), side.inb(DIR), side.command(0x08)]
    side.command(0x07, 0)
    seen.append(side.command(0x08))
    side.command(0x13, 0, 0x17, 0)
    reads = [((0, 0, 1), 512), ((0, 0, 1), 18 * 512), ((0, 0, 17), 2048), ((0, 1, 3), 1536)]
    for where, count in reads:
        seen += [side.transfer(0xE6, where, count), memory.read(BUFFER, count)]
    seen.append(side.inb(0x08))
    side.seek(40)
    memory.write(BUFFER, random.Random(5).randbytes(4096))
    seen += [side.transfer(0xC5, (40, 0, 2), 4096), side.transfer(0xC5, (40, 1, 4), 1024)]
    side.outb(DIR, 2)
    seen.append(side.command(0x4A, 0)[:2])
    return seen


class Ram:
    """Guest memory of a `FloppyRig`."""

    def __init__(self, rig: FloppyRig) -> None:
        self._view = rig.ram.view

    def read(self, address: int, length: int) -> bytes:
        return bytes(self._view[address : address + length])

    def write(self, address: int, data: bytes) -> None:
        self._view[address : address + len(data)] = data


def test_the_same_accesses_have_the_same_effect(tmp_path: Path) -> None:
    content = random.Random(4).randbytes(HD)
    image = tmp_path / "disk"
    image.write_bytes(content)
    with Qtest(tmp_path, ["-drive", f"if=floppy,file={image},format=raw"]) as qemu:
        theirs = play(Side(qemu), qemu)
    disk = Disk()
    disk.data[:] = content
    rig = FloppyRig(disk)
    ours = play(Side(rig.bus), Ram(rig))
    assert ours == theirs
    assert bytes(disk.data) == image.read_bytes()
