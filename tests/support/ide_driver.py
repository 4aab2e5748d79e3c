"""A channel with drives over images in files, and a driver for it that does what operating systems do."""

from __future__ import annotations

import asyncio
import struct
import threading
from pathlib import Path
from typing import Any

from tests.support.bus import Wire
from varan.block.backend import BlockBackend
from varan.block.graph import Graph
from varan.core.memory import GuestRam, MemorySpace
from varan.core.ports import PortSpace
from varan.devices.ide import registers as r
from varan.devices.ide.ata import AtaDisk
from varan.devices.ide.atapi import AtapiDrive
from varan.devices.ide.busmaster import BusMaster
from varan.devices.ide.channel import IdeChannel
from varan.devices.ide.identify import DiskIdentity, Labels

BLOCK, CONTROL = 0x1F0, 0x3F6
RAM = 8 << 20
TABLE = 0x1000
BUFFER = 0x100000
LABELS = Labels("SN1", "1.0", "VARAN TESTDRIVE")


class CommandError(Exception):
    """A command has failed: the error register."""

    def __init__(self, error: int, status: int) -> None:
        super().__init__(f"error {error:#04x}, status {status:#04x}")
        self.error = error
        self.status = status


class PacketError(Exception):
    """A packet has failed: sense key, code and qualifier as REQUEST SENSE tells them."""

    def __init__(self, sense: tuple[int, int, int]) -> None:
        super().__init__(sense)
        self.sense = sense


class IdeRig:
    """See the module's text. `select` chooses the drive; the other methods work on it."""

    def __init__(self) -> None:
        self.graph = Graph()
        self.ports = PortSpace()
        self.memory = MemorySpace()
        self.ram = GuestRam(RAM)
        self.memory.map_ram(0, self.ram)
        self.lock = threading.RLock()
        self.wire = Wire()
        self.may_use_memory = True
        self.master = BusMaster(self.memory, lambda: self.may_use_memory)
        self.channel = IdeChannel(0, self.wire, self.master)
        self.channel.map(self.ports, BLOCK, CONTROL)
        self.posted: list[Any] = []
        self.device = 0
        self.written: list[tuple[int, int]] = []
        self.memory.on_ram_written(lambda address, length: self.written.append((address, length)))

    async def close(self) -> None:
        await self.settle()
        await self.graph.close_all()
        self.ram.close()

    async def add_disk(self, source: Any, unit: int = 0, **identity: Any) -> AtaDisk:
        node = await self.graph.open(source, user=None)
        backend = BlockBackend(self.graph, f"drive{unit}", node)
        backend.lock = self.lock
        backend.attach(f"device 'disk{unit}'", write=True)
        sectors = backend.length // 512
        whole = {"cylinders": 4, "heads": 8, "sectors_per_track": 16, **identity}
        disk = AtaDisk(backend, DiskIdentity(LABELS, sectors, **whole), lock=self.lock, post=self.posted.append)
        self._plug(disk, unit)
        return disk

    async def add_optical(self, path: Path | None, unit: int = 0) -> AtapiDrive:
        options = {"driver": "raw", "read-only": True, "file.filename": str(path)}
        node = await self.graph.open(options, user=None) if path is not None else None
        backend = BlockBackend(self.graph, f"drive{unit}", node)
        backend.lock = self.lock
        backend.attach(f"device 'cd{unit}'", write=False)
        drive = AtapiDrive(backend, LABELS, lock=self.lock, post=self.posted.append)
        backend.removable = drive
        self._plug(drive, unit)
        return drive

    def _plug(self, drive: Any, unit: int) -> None:
        drive.channel = self.channel
        self.channel.drives[unit] = drive

    async def settle(self) -> None:
        """Let the loop do what was posted to it, and what that leads to."""
        while self.posted:
            posted, self.posted[:] = list(self.posted), []
            for work in posted:
                work()
            for drive in self.channel.drives:
                if drive is not None:
                    await drive.backend.drain()
            await asyncio.sleep(0)

    # Registers

    def get(self, offset: int) -> int:
        return self.ports.read(BLOCK + offset, 1)

    def put(self, offset: int, value: int) -> None:
        self.ports.write(BLOCK + offset, 1, value)

    @property
    def status(self) -> int:
        """Without ending an interrupt."""
        return self.ports.read(CONTROL, 1)

    def select(self, unit: int) -> None:
        self.device = r.DEV if unit else 0
        self.put(r.DEVICE, self.device)

    async def command(
        self, code: int, lba: int = 0, count: int = 0, features: int = 0, *, extended: bool = False
    ) -> None:
        """Give a command and wait until the drive is not busy. Raises CommandError."""
        self.put(r.DEVICE, self.device | r.LBA | (0 if extended else lba >> 24 & 0x0F))
        if extended:
            for offset, value in (
                (r.FEATURES, features >> 8),
                (r.SECTOR_COUNT, count >> 8),
                (r.LBA_LOW, lba >> 24),
                (r.LBA_MID, lba >> 32),
                (r.LBA_HIGH, lba >> 40),
            ):
                self.put(offset, value & 0xFF)
        for offset, value in (
            (r.FEATURES, features),
            (r.SECTOR_COUNT, count),
            (r.LBA_LOW, lba),
            (r.LBA_MID, lba >> 8),
            (r.LBA_HIGH, lba >> 16),
        ):
            self.put(offset, value & 0xFF)
        self.put(r.COMMAND, code)
        await self.wait()

    async def wait(self) -> int:
        """The status, once the drive is not busy; the interrupt ends. Raises CommandError."""
        await self.settle()
        assert not self.status & r.BSY
        status = self.get(r.STATUS)
        if status & r.ERR:
            raise CommandError(self.get(r.ERROR), status)
        return status

    # Data

    def take(self, size: int, width: int = 2) -> bytes:
        """Read the data port."""
        return b"".join(self.ports.read(BLOCK, width).to_bytes(width, "little") for _ in range(0, size, width))

    def give(self, data: bytes, width: int = 2) -> None:
        for at in range(0, len(data), width):
            self.ports.write(BLOCK, width, int.from_bytes(data[at : at + width], "little"))

    async def read(self, code: int, lba: int, count: int, *, block: int = 1, **more: Any) -> bytes:
        """By the data port, in blocks of so many sectors."""
        await self.command(code, lba, count, **more)
        data = b""
        while len(data) < count * 512:
            assert self.status & r.DRQ
            data += self.take(min(block * 512, count * 512 - len(data)))
            await self.wait()
        assert not self.status & r.DRQ
        return data

    async def write(self, code: int, lba: int, data: bytes, *, block: int = 1, **more: Any) -> None:
        await self.command(code, lba, len(data) // 512, **more)
        for at in range(0, len(data), block * 512):
            assert self.status & r.DRQ
            self.give(data[at : at + block * 512])
            await self.wait()

    # Bus master

    def describe(self, *pieces: tuple[int, int]) -> None:
        """Write the table of regions."""
        for number, (address, size) in enumerate(pieces):
            last = 0x8000 if number == len(pieces) - 1 else 0
            entry = struct.pack("<IHH", address, size & 0xFFFF, last)
            self.ram.view[TABLE + 8 * number : TABLE + 8 * number + 8] = entry
        self.master.write(4, 4, TABLE)

    async def transfer(
        self, code: int, lba: int, count: int, *pieces: tuple[int, int], to_memory: bool, **more: Any
    ) -> int:
        """A command whose data move by bus master; the master's status then. Raises CommandError."""
        self.describe(*(pieces or ((BUFFER, count * 512),)))
        self.master.write(2, 1, 0x06)
        self.master.write(0, 1, 0x08 if to_memory else 0)
        await self.command(code, lba, count, **more)
        self.master.write(0, 1, 0x09 if to_memory else 0x01)
        await self.settle()
        status = self.master.read(2, 1)
        self.master.write(0, 1, 0)
        await self.wait()
        return status

    # Packets

    async def packet(self, *bytes_: int, limit: int = 0xFFFE, dma: int = 0) -> bytes:
        """Give a packet; the data that come. `dma`: bytes that the bus master has room for. Raises PacketError."""
        try:
            return await self._packet(bytes(bytes_).ljust(12, b"\0"), limit, dma)
        except CommandError as error:
            if not error.error >> 4:
                raise
        sense = await self._packet(bytes((3, 0, 0, 0, 18)).ljust(12, b"\0"), 18, 0)
        raise PacketError((sense[2], sense[12], sense[13]))

    async def _packet(self, packet: bytes, limit: int, dma: int) -> bytes:
        if dma:
            self.describe((BUFFER, dma))
            self.master.write(2, 1, 0x06)
            self.master.write(0, 1, 0x08)
        await self.command(r.PACKET, limit << 8, 0, 1 if dma else 0)
        assert self.status & r.DRQ
        assert self.get(r.INTERRUPT_REASON) == r.CD
        self.give(packet)
        if dma:
            self.master.write(0, 1, 0x09)
            await self.settle()
            self.master.write(0, 1, 0)
            await self.wait()
            return bytes(self.ram.view[BUFFER : BUFFER + dma])
        data = b""
        while await self.wait() & r.DRQ:
            assert self.get(r.INTERRUPT_REASON) == r.IO
            size = self.get(r.BYTE_COUNT_LOW) | self.get(r.BYTE_COUNT_HIGH) << 8
            assert 0 < size <= limit
            data += self.take(size)[:size]
        assert self.get(r.INTERRUPT_REASON) == r.CD | r.IO
        return data
