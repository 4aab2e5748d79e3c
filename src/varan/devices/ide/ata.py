"""A disk: the general feature set, with 28-bit, 48-bit and CHS addresses (ATA/ATAPI-6, sections 6 and 8)."""

from __future__ import annotations

import struct
import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Annotated, NamedTuple

import msgspec

from varan.block.backend import BlockBackend
from varan.block.base import BlockError
from varan.block.statistics import Kind
from varan.devices.fields import Byte
from varan.devices.ide import drive
from varan.devices.ide import registers as r
from varan.devices.ide.drive import (
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
    IdeDrive,
)
from varan.devices.ide.identify import MOST_MULTIPLE, MOST_TRIM_BLOCKS, MWDMA, UDMA, DiskIdentity, identify_disk

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


class AtaDisk(IdeDrive[AtaState]):
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

    def execute(self, command: int) -> None:
        self.state.command = command
        if command in TRANSFERS:
            self._begin(TRANSFERS[command])
            return
        handler = _COMMANDS.get(command)
        if handler is None:
            self.fail(r.ABRT)
        else:
            handler(self)

    @property
    def reading(self) -> bool:
        kind = TRANSFERS.get(self.state.command)
        return self.state.phase == VERIFY or (kind is not None and not kind.write and self.state.phase != FLUSH)

    # Addresses (6.2)

    def _range(self, extended: bool) -> tuple[int, int]:
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
        heads, sectors = self._translation()
        head, cylinder = device & 0x0F, high << 8 | mid
        if not 1 <= low <= sectors or head >= heads:
            return -1, count
        return (cylinder * heads + head) * sectors + low - 1, count

    def _translation(self) -> tuple[int, int]:
        state = self.state
        return state.heads or self.identity.heads, state.sectors or self.identity.sectors_per_track

    def _show(self, lba: int, *, extended: bool) -> None:
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
            heads, sectors = self._translation()
            track, sector = divmod(lba, sectors)
            cylinder, head = divmod(track, heads)
            state.lba_low = sector + 1 & 0xFF
            state.lba_mid, state.lba_high = cylinder & 0xFF, cylinder >> 8 & 0xFF
        shared.device = shared.device & ~0x0F | head & 0x0F

    # Reads and writes

    def _begin(self, kind: Transfer) -> None:
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
        state.lba, state.left = self._range(extended)
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
        self._show(max(state.lba - 1, 0), extended=extended)
        state.count = state.left & (0xFFFF if extended else 0xFF)

    def _stuck(self, error: int) -> None:
        """The back end has failed: the registers tell where (8.27.6)."""
        kind = TRANSFERS.get(self.state.command)
        self._show(self.state.lba, extended=kind.extended if kind else self.state.command == r.VERIFY_SECTORS_EXT)
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

    def _flush(self) -> None:
        self.busy(FLUSH)

    def _flushed(self, failure: BlockError | None) -> None:
        if failure is not None:
            self.fail(r.ABRT)
        else:
            self.succeed()

    def _begin_verify(self) -> None:
        if self._place(self.state.command == r.VERIFY_SECTORS_EXT):
            self.busy(VERIFY)

    async def _verify(self, token: object) -> None:
        offset, length = self.state.lba * r.SECTOR, self.state.left * r.SECTOR
        scratch = memoryview(bytearray(min(length, drive.PART)))
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

    def _begin_trim(self) -> None:
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
            for (entry,) in RANGE.iter_unpack(self.gather(regions))
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

    # Commands that end at once

    def _identify(self) -> None:
        state = self.state
        heads, sectors = self._translation()
        state.buffer = bytearray(
            identify_disk(
                replace(self.identity, sectors=self.size),
                heads=heads,
                sectors=sectors,
                multiple=state.multiple,
                mode=state.mode,
                write_cache=state.write_cache,
                first=self.channel.drives[0] is self,
            )
        )
        state.position = state.left = 0
        self.offer(DATA_IN, r.SECTOR)

    def _set_multiple(self) -> None:
        count = self.state.count & 0xFF
        if count > MOST_MULTIPLE or count & (count - 1):
            self.fail(r.ABRT)
        else:
            self.state.multiple = count
            self.succeed()

    def _set_features(self) -> None:
        state = self.state
        feature, value = state.features & 0xFF, state.count & 0xFF
        if feature == r.SET_TRANSFER_MODE:
            self._set_mode(value)
        elif feature == r.SET_WRITE_CACHE:
            state.write_cache = True
            self.succeed()
        elif feature == r.CLEAR_WRITE_CACHE:
            state.write_cache = False
            self.busy(FLUSH)
        elif feature in r.KEPT_FEATURES:
            self.succeed()
        else:
            self.fail(r.ABRT)

    def _set_mode(self, mode: int) -> None:
        if not is_transfer_mode(mode):
            self.fail(r.ABRT)
            return
        self.state.mode = mode
        self.succeed()

    def _initialize_parameters(self) -> None:
        """The translation of CHS addresses (of ATA-5: 8.16)."""
        sectors = self.state.count & 0xFF
        if not sectors:
            self.fail(r.ABRT)
            return
        self.state.heads, self.state.sectors = (self.channel.state.device & 0x0F) + 1, sectors
        self.succeed()

    def _native_max(self) -> None:
        extended = self.state.command == r.READ_NATIVE_MAX_EXT
        last = self.size - 1
        self._show(last if extended else min(last, (1 << 28) - 1), extended=extended)
        self.succeed()

    def _seek(self) -> None:
        lba, _ = self._range(False)
        if 0 <= lba < self.size:
            self.succeed()
        else:
            self.fail(r.IDNF)

    def _check_power(self) -> None:
        self.state.count = 0xFF
        self.succeed()

    def _sign_off(self) -> None:
        """A packet command: a disk has no such, and says what it is (8.16.5.2)."""
        self._sign()
        self.fail(r.ABRT)

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


def is_transfer_mode(mode: int) -> bool:
    """Whether the mode of SET FEATURES is one that drives have here."""
    kind, number = mode & ~7, mode & 7
    return (
        mode in (0, 1)
        or (kind == 0x08 and number <= 4)
        or (kind == MWDMA and number <= 2)
        or (kind == UDMA and number <= 5)
    )


_COMMANDS: dict[int, Callable[[AtaDisk], None]] = {
    r.DATA_SET_MANAGEMENT: AtaDisk._begin_trim,
    **dict.fromkeys((*r.RECALIBRATE, *r.STANDBY_IMMEDIATE, *r.IDLE_IMMEDIATE, *r.STANDBY, *r.IDLE), AtaDisk.succeed),
    **dict.fromkeys(r.SLEEP, AtaDisk.succeed),
    **dict.fromkeys(r.SEEK, AtaDisk._seek),
    **dict.fromkeys((*r.VERIFY_SECTORS, r.VERIFY_SECTORS_EXT), AtaDisk._begin_verify),
    **dict.fromkeys((r.FLUSH_CACHE, r.FLUSH_CACHE_EXT), AtaDisk._flush),
    **dict.fromkeys((r.READ_NATIVE_MAX, r.READ_NATIVE_MAX_EXT), AtaDisk._native_max),
    **dict.fromkeys(r.CHECK_POWER, AtaDisk._check_power),
    **dict.fromkeys((r.PACKET, r.IDENTIFY_PACKET, r.DEVICE_RESET), AtaDisk._sign_off),
    r.IDENTIFY: AtaDisk._identify,
    r.INITIALIZE_PARAMETERS: AtaDisk._initialize_parameters,
    r.SET_FEATURES: AtaDisk._set_features,
    r.SET_MULTIPLE: AtaDisk._set_multiple,
}
