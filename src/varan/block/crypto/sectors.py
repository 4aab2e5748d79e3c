"""Encrypted ranges of a node: sector ciphers applied on the way to and from the caller's buffers.

Whole sectors are encrypted, so what begins or ends inside one is read, decrypted, changed and written again. Writes
that meet in a sector are therefore kept one after the other; all others run side by side.
"""

from __future__ import annotations

from collections.abc import Callable

from varan.block.base import Buffers, Node, Write
from varan.block.crypto.aes import SECTOR, SectorCipher
from varan.block.lazy import asyncio
from varan.block.ranges import RangeLock

CHUNK = 1 << 20
"""Bytes held in between, at most."""

WORTH_A_THREAD = 256 << 10
"""Bytes from which encryption is handed to a worker thread."""


def scatter(data: memoryview, buffers: Buffers) -> None:
    """Copy `data` over `buffers`, which are together as long."""
    at = 0
    for buffer in buffers:
        buffer[:] = data[at : at + len(buffer)]
        at += len(buffer)


def gather(buffers: Buffers) -> memoryview:
    """The buffers' bytes in one piece; no copy when they are one already."""
    return buffers[0] if len(buffers) == 1 else memoryview(b"".join(buffers))


def piece(buffers: Buffers, start: int, length: int) -> list[memoryview]:
    """The part of `buffers` from byte `start` on."""
    found = []
    for buffer in buffers:
        if start < len(buffer) and length > 0:
            found.append(buffer[start : start + length])
            length -= len(found[-1])
        start = max(0, start - len(buffer))
    return found


class EncryptedRange:
    """The bytes of `node` from `start` on, through `cipher`; sector 0 is at `start`."""

    def __init__(self, node: Node, start: int, cipher: SectorCipher, *, inline: bool) -> None:
        self._node = node
        self._start = start
        self._cipher = cipher
        self._inline = inline
        self._writes = RangeLock()

    async def read(self, offset: int, buffers: Buffers) -> None:
        """Fill `buffers` with what is decrypted from `offset` on."""
        length = sum(map(len, buffers))
        for at in range(0, length, CHUNK):
            size = min(CHUNK, length - at)
            scatter(await self._plain(offset + at, size), piece(buffers, at, size))

    async def _plain(self, offset: int, length: int) -> memoryview:
        head = offset % SECTOR
        sectors = -(-(head + length) // SECTOR)
        data = bytearray(sectors * SECTOR)
        await self._node.read(self._start + offset - head, [memoryview(data)])
        return (await self._run(self._cipher.decrypt, (offset - head) // SECTOR, data))[head : head + length]

    async def write(self, offset: int, buffers: Buffers, flags: Write = Write.NONE) -> None:
        """Encrypt `buffers` and write them at `offset`. The caller's buffers stay as they are."""
        length = sum(map(len, buffers))
        for at in range(0, length, CHUNK):
            size = min(CHUNK, length - at)
            start, end = offset + at, offset + at + size
            async with self._writes.hold(start // SECTOR, -(-end // SECTOR)):
                await self._write_chunk(start, gather(piece(buffers, at, size)), flags)

    async def _write_chunk(self, offset: int, data: memoryview, flags: Write) -> None:
        head, tail = offset % SECTOR, -(offset + len(data)) % SECTOR
        if head or tail:
            first = await self._plain(offset - head, head) if head else b""
            last = await self._plain(offset + len(data), tail) if tail else b""
            data = memoryview(b"".join((first, data, last)))
        sealed = await self._run(self._cipher.encrypt, (offset - head) // SECTOR, data)
        await self._node.write(self._start + offset - head, [sealed], flags)

    async def _run(
        self, work: Callable[[int, bytearray | memoryview], memoryview], sector: int, data: bytearray | memoryview
    ) -> memoryview:
        if self._inline or len(data) < WORTH_A_THREAD:
            return work(sector, data)
        return await asyncio.to_thread(work, sector, data)
