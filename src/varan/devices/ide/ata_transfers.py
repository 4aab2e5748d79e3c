"""How data move between a disk and the guest: addresses, data port, bus master, flush and discard."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from typing import Annotated, NamedTuple

import msgspec

from varan.block.backend import BlockBackend
from varan.block.base import BlockError
from varan.block.statistics import Kind
from varan.devices.fields import Byte
from varan.devices.ide import registers as r
from varan.devices.ide.drive import IdeDrive
from varan.devices.ide.drive_state import (
    DATA_IN,
    DATA_OUT,
    FETCH,
    FLUSH,
    IDLE,
    STORE,
    TRANSFER,
    TRANSFER_WAIT,
    VERIFY,
    DriveState,
)
from varan.devices.ide.identify import MOST_MULTIPLE, MOST_TRIM_BLOCKS, UDMA, DiskIdentity
from varan.devices.ide.regions import PART

RANGE = struct.Struct("<Q")
"""Of DATA SET MANAGEMENT: 48 bits of address, 16 of length."""


class Transfer(NamedTuple):
    """What kind of read or write a command is."""

    write: bool
    extended: bool
    """With 48-bit addresses."""
    multiple: bool = False
    """In blocks of as many sectors as SET MULTIPLE MODE says."""
    dma: bool = False
    stable: bool = False
    """On the medium when the command ends (FUA)."""


TRANSFERS: dict[int, Transfer] = {
    **dict.fromkeys(r.READ_SECTORS, Transfer(False, False)),
    r.READ_SECTORS_EXT: Transfer(False, True),
    r.READ_MULTIPLE: Transfer(False, False, multiple=True),
    r.READ_MULTIPLE_EXT: Transfer(False, True, multiple=True),
    **dict.fromkeys(r.READ_DMA, Transfer(False, False, dma=True)),
    r.READ_DMA_EXT: Transfer(False, True, dma=True),
    **dict.fromkeys(r.WRITE_SECTORS, Transfer(True, False)),
    r.WRITE_VERIFY: Transfer(True, False),
    r.WRITE_SECTORS_EXT: Transfer(True, True),
    r.WRITE_MULTIPLE: Transfer(True, False, multiple=True),
    r.WRITE_MULTIPLE_EXT: Transfer(True, True, multiple=True),
    r.WRITE_MULTIPLE_FUA_EXT: Transfer(True, True, multiple=True, stable=True),
    **dict.fromkeys(r.WRITE_DMA, Transfer(True, False, dma=True)),
    r.WRITE_DMA_EXT: Transfer(True, True, dma=True),
    r.WRITE_DMA_FUA_EXT: Transfer(True, True, dma=True, stable=True),
}


class AtaState(DriveState, kw_only=True):
    """What a disk has beside the registers."""

    lba: Annotated[int, msgspec.Meta(ge=0, le=1 << 48)] = 0
    """The next sector of the command under way."""
    left: Annotated[int, msgspec.Meta(ge=0, le=65536)] = 0
    """Sectors that it has to do yet."""
    multiple: Annotated[int, msgspec.Meta(ge=0, le=MOST_MULTIPLE)] = MOST_MULTIPLE
    heads: Annotated[int, msgspec.Meta(ge=0, le=16)] = 0
    """Of the address translation; 0: the disk's own."""
    sectors: Byte = 0
    """Likewise, of a track."""
    mode: Byte = UDMA | 5
    """The transfer mode that is set."""


class AtaTransfers(IdeDrive[AtaState]):
    """See the module's text."""

    state_type = AtaState

    def __init__(
        self,
        backend: BlockBackend,
        identity: DiskIdentity,
        *,
        lock: threading.RLock,
        post: Callable[[Callable[[], None]], None],
    ) -> None:
        """See `IdeDrive`."""
        self.identity = identity
        super().__init__(backend, lock=lock, post=post)

    @property
    def size(self) -> int:
        """Sectors of the disk now."""
        return self.backend.length // r.SECTOR

    @property
    def reading(self) -> bool:
        kind = TRANSFERS.get(self.state.command)
        return self.state.phase == VERIFY or (kind is not None and not kind.write and self.state.phase != FLUSH)

    # Addresses (6.2)

    def range(self, extended: bool) -> tuple[int, int]:
        """First sector and number of sectors that the registers say; (-1, n) for a CHS address there cannot be."""
        state = self.state
        if extended:
            low = state.lba_low & 0xFF | (state.lba_mid & 0xFF) << 8 | (state.lba_high & 0xFF) << 16
            high = state.lba_low >> 8 | state.lba_mid >> 8 << 8 | state.lba_high >> 8 << 16
            return high << 24 | low, state.count or 65536
        count = state.count & 0xFF or 256
        low, mid, high = state.lba_low & 0xFF, state.lba_mid & 0xFF, state.lba_high & 0xFF
        device = self.channel.state.device
        if device & r.LBA:
            return (device & 0x0F) << 24 | high << 16 | mid << 8 | low, count
        heads, sectors = self.translation()
        head, cylinder = device & 0x0F, high << 8 | mid
        if not 1 <= low <= sectors or head >= heads:
            return -1, count
        return (cylinder * heads + head) * sectors + low - 1, count

    def translation(self) -> tuple[int, int]:
        state = self.state
        return state.heads or self.identity.heads, state.sectors or self.identity.sectors_per_track

    def show(self, lba: int, *, extended: bool) -> None:
        """Put an address into the registers."""
        state, shared = self.state, self.channel.state
        if extended:
            state.lba_low = lba & 0xFF | (lba >> 24 & 0xFF) << 8
            state.lba_mid = lba >> 8 & 0xFF | (lba >> 32 & 0xFF) << 8
            state.lba_high = lba >> 16 & 0xFF | (lba >> 40 & 0xFF) << 8
            return
        if shared.device & r.LBA:
            head, state.lba_low = lba >> 24 & 0x0F, lba & 0xFF
            state.lba_mid, state.lba_high = lba >> 8 & 0xFF, lba >> 16 & 0xFF
        else:
            heads, sectors = self.translation()
            track, sector = divmod(lba, sectors)
            cylinder, head = divmod(track, heads)
            state.lba_low = sector + 1 & 0xFF
            state.lba_mid, state.lba_high = cylinder & 0xFF, cylinder >> 8 & 0xFF
        shared.device = shared.device & ~0x0F | head & 0x0F

    # Reads and writes

    def begin(self, kind: Transfer) -> None:
        state = self.state
        if not self._place(kind.extended):
            return
        if kind.multiple and not state.multiple:
            self.fail(r.ABRT)
        elif kind.dma:
            self.wait_for_transfer()
        elif kind.write:
            self._ask(interrupt=False)
        else:
            self.busy(FETCH)

    def _place(self, extended: bool) -> bool:
        """Take the range from the registers; False when the disk has it not, and the command has failed."""
        state = self.state
        state.lba, state.left = self.range(extended)
        if state.lba >= 0 and state.lba + state.left <= self.size:
            return True
        state.lba, state.left = max(state.lba, 0), 0
        kind = TRANSFERS.get(state.command)
        self.backend.statistics.invalid(Kind.WRITE if kind is not None and kind.write else Kind.READ)
        self.fail(r.IDNF)
        return False

    def _block(self) -> int:
        """Sectors of the next block that goes through the data port."""
        kind = TRANSFERS[self.state.command]
        return min(self.state.left, self.state.multiple if kind.multiple else 1)

    def _ask(self, *, interrupt: bool) -> None:
        state = self.state
        size = self._block() * r.SECTOR
        state.buffer = bytearray(size)
        state.position = 0
        self.offer(DATA_OUT, size, interrupt=interrupt)

    def given(self) -> None:
        self.busy(STORE)

    def taken(self) -> None:
        if self.state.left:
            self.busy(FETCH)
        else:
            self.state.phase = IDLE
            self.state.status = r.DRDY | r.DSC

    def proceed(self) -> None:
        state = self.state
        if state.phase == FETCH:
            self._fetch()
        elif state.phase == STORE:
            self._store()
        elif state.phase == TRANSFER and state.command == r.DATA_SET_MANAGEMENT:
            self._trim()
        elif state.phase == TRANSFER:
            self._transfer(TRANSFERS[state.command])
        elif state.phase == FLUSH:
            self.request(None, lambda token: self.backend.flush(), self._flushed)
        else:
            self.request(None, self._verify, self._verified)

    def _advance(self, sectors: int) -> None:
        """So many sectors are done."""
        state = self.state
        state.lba += sectors
        state.left -= sectors
        extended = TRANSFERS[state.command].extended
        self.show(max(state.lba - 1, 0), extended=extended)
        state.count = state.left & (0xFFFF if extended else 0xFF)

    def _stuck(self, error: int) -> None:
        """The back end has failed: the registers tell where (8.27.6)."""
        kind = TRANSFERS.get(self.state.command)
        self.show(self.state.lba, extended=kind.extended if kind else self.state.command == r.VERIFY_SECTORS_EXT)
        self.fail(error)

    def _fetch(self) -> None:
        state, sectors = self.state, self._block()
        offset, buffer = state.lba * r.SECTOR, bytearray(sectors * r.SECTOR)

        def done(failure: BlockError | None) -> None:
            if failure is not None:
                self._stuck(r.UNC)
                return
            self._advance(sectors)
            state.buffer, state.position = buffer, 0
            self.offer(DATA_IN, len(buffer))

        views = [memoryview(buffer)]
        self.request(lambda: self.backend.read_now(offset, views), lambda token: self.backend.read(offset, views), done)

    def _store(self) -> None:
        state = self.state
        offset, views = state.lba * r.SECTOR, [memoryview(state.buffer)]
        stable = self._stable

        def done(failure: BlockError | None) -> None:
            if failure is not None:
                self._stuck(r.ABRT)
                return
            self._advance(len(state.buffer) // r.SECTOR)
            if state.left:
                self._ask(interrupt=True)
            else:
                self.succeed()

        self.request(
            lambda: not stable and self.backend.write_now(offset, views),
            lambda token: self.backend.write(offset, views, stable=stable),
            done,
        )

    @property
    def _stable(self) -> bool:
        return TRANSFERS[self.state.command].stable or not self.state.write_cache

    def _transfer(self, kind: Transfer) -> None:
        state = self.state
        length = state.left * r.SECTOR
        regions = self.regions(length, to_memory=not kind.write)
        if regions is None:
            return

        def done(failure: BlockError | None) -> None:
            if failure is not None:
                self.channel.master.failed()
                self._stuck(r.ABRT if kind.write else r.UNC)
                return
            self._advance(state.left)
            self.channel.master.ended(regions.exhausted)
            self.succeed()

        offset = state.lba * r.SECTOR
        if kind.write:
            self.write_from_memory(regions, offset, length, stable=self._stable, done=done)
        else:
            self.read_to_memory(regions, offset, length, done)

    # Other commands that keep the back end busy

    def flush(self) -> None:
        self.busy(FLUSH)

    def _flushed(self, failure: BlockError | None) -> None:
        if failure is not None:
            self.fail(r.ABRT)
        else:
            self.succeed()

    def begin_verify(self) -> None:
        if self._place(self.state.command == r.VERIFY_SECTORS_EXT):
            self.busy(VERIFY)

    async def _verify(self, token: object) -> None:
        offset, length = self.state.lba * r.SECTOR, self.state.left * r.SECTOR
        scratch = memoryview(bytearray(min(length, PART)))
        while length and token is self._token:
            part = scratch[: min(length, len(scratch))]
            await self.backend.read(offset, [part])
            offset += len(part)
            length -= len(part)

    def _verified(self, failure: BlockError | None) -> None:
        if failure is not None:
            self._stuck(r.UNC)
            return
        self.state.left = 0
        self.succeed()

    def begin_trim(self) -> None:
        """DATA SET MANAGEMENT (ACS-2, 7.10), which came after ATA/ATAPI-6: TRIM is all that it has."""
        state = self.state
        if not self.identity.trim or state.features & 0xFF != 1 or not 1 <= state.count <= MOST_TRIM_BLOCKS:
            self.fail(r.ABRT)
            return
        state.left = state.count
        self.wait_for_transfer()

    def _trim(self) -> None:
        regions = self.regions(self.state.left * r.SECTOR, to_memory=False)
        if regions is None:
            return
        ranges = [
            ((entry & (1 << 48) - 1) * r.SECTOR, (entry >> 48) * r.SECTOR)
            for (entry,) in RANGE.iter_unpack(regions.gather())
        ]

        async def work(token: object) -> None:
            for offset, length in ranges:
                if length:
                    await self.backend.discard(offset, length)

        def done(failure: BlockError | None) -> None:
            self.channel.master.ended(regions.exhausted)
            self.fail(r.ABRT) if failure is not None else self.succeed()

        if any(offset + length > self.size * r.SECTOR for offset, length in ranges):
            self.backend.statistics.invalid(Kind.UNMAP)
            self.channel.master.failed()
            self.fail(r.IDNF)
            return
        self.request(None, work, done)

    def restored(self) -> None:
        super().restored()
        if not self._makes_sense():
            self.state.phase = IDLE

    def _makes_sense(self) -> bool:
        """Whether a loaded state is one that the disk can be in."""
        state = self.state
        kind = TRANSFERS.get(state.command)
        if state.phase == DATA_IN:
            return not state.left or (kind is not None and not kind.dma and not kind.write)
        if state.phase == FETCH:
            return kind is not None and not kind.dma and not kind.write and self._block() > 0
        if state.phase in (DATA_OUT, STORE):
            if kind is None or kind.dma or not kind.write:
                return False
            return 0 < self._block() * r.SECTOR == len(state.buffer) == state.end and state.position <= state.end
        if state.phase in (TRANSFER, TRANSFER_WAIT):
            if state.command == r.DATA_SET_MANAGEMENT:
                return 0 < state.left <= MOST_TRIM_BLOCKS
            return kind is not None and kind.dma and state.left > 0
        return state.phase in (IDLE, FLUSH) or (state.phase == VERIFY and state.left > 0)
