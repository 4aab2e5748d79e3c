"""An optical drive: the packet protocol (ATA/ATAPI-6, 9.8 and 9.9; SFF-8020i, 5). `mmc` has what the packets say."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Annotated

import msgspec

from varan.block.backend import BlockBackend
from varan.block.base import BlockError, ErrorKind
from varan.devices.fields import Byte, Word
from varan.devices.ide import mmc
from varan.devices.ide import registers as r
from varan.devices.ide.drive import IdeDrive
from varan.devices.ide.drive_state import (
    DATA_IN,
    FETCH,
    IDLE,
    MOST_BUFFERED,
    PACKET,
    TRANSFER,
    TRANSFER_WAIT,
    DriveState,
)
from varan.devices.ide.identify import UDMA, Labels, identify_optical, is_transfer_mode
from varan.devices.ide.mmc import BLOCK, CheckCondition, MediaEvent

PACKET_BYTES = 12
DMA = 0x01
OVERLAP = 0x02
"""In the features of PACKET."""
MOST_MOVES = 16
"""Moves of the tray that are told of one by one, however fast the guest is."""
LARGEST_PORTION = 0xFFFE


class AtapiState(DriveState, kw_only=True):
    """What an optical drive has beside the registers."""

    dma: bool = False
    """Whether the packet's data go by bus master."""
    limit: Word = LARGEST_PORTION
    """Most bytes that the guest takes from the data port at once."""
    lba: Annotated[int, msgspec.Meta(ge=0, le=1 << 48)] = 0
    """The next block of the read under way."""
    left: Annotated[int, msgspec.Meta(ge=0, le=1 << 48)] = 0
    """Blocks that it has to read yet."""
    sense: Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFF)] = 0
    """Key, code and qualifier of the last error, a byte each."""
    attention: Word = mmc.POWERED_ON
    """Code and qualifier of what the guest has to be told before anything else, 0 for nothing."""
    event: MediaEvent = MediaEvent.NONE
    """What it is told when it polls."""
    locked: bool = False
    tray_open: bool = False
    mode: Byte = UDMA | 5


class AtapiDrive(IdeDrive[AtapiState]):
    """See the module's text; also the `Removable` of its back end."""

    state_type = AtapiState
    signature = (0x14, 0xEB)
    has_tray = True

    def __init__(
        self,
        backend: BlockBackend,
        labels: Labels,
        *,
        lock: threading.RLock,
        post: Callable[[Callable[[], None]], None],
    ) -> None:
        """See `IdeDrive`."""
        self.labels = labels
        self._moves: list[bool] = []
        """Of the tray by the guest, not told of yet."""
        super().__init__(backend, lock=lock, post=post)

    # The medium

    @property
    def tray_open(self) -> bool:
        """See `Removable`."""
        return self.state.tray_open

    @property
    def locked(self) -> bool:
        """See `Removable`."""
        return self.state.locked

    def eject_requested(self, force: bool) -> None:
        """See `Removable`."""
        self.state.event = MediaEvent.EJECT_REQUEST
        if force:
            self.state.locked = False

    def set_loaded(self, loaded: bool) -> None:
        """See `Removable`."""
        state = self.state
        state.tray_open = not loaded
        if loaded and self.backend.present:
            state.event = MediaEvent.NEW_MEDIUM
            state.attention = mmc.MEDIUM_CHANGED
        else:
            state.event = MediaEvent.REMOVAL

    def move_tray(self, is_open: bool) -> None:
        """The guest wants the tray out or in."""
        if self.state.tray_open == is_open:
            return
        self.set_loaded(not is_open)
        if not self._moves:
            self._post(self._tell_moves)
        self._moves.append(is_open)
        if len(self._moves) > MOST_MOVES:
            # Out and in again.
            del self._moves[-2:]

    def _tell_moves(self) -> None:
        with self._lock:
            moves, self._moves = self._moves, []
        for is_open in moves:
            self.backend.tray_moved(is_open)

    @property
    def ready(self) -> bool:
        """Whether there is a medium where it can be read."""
        return self.backend.present and not self.state.tray_open

    @property
    def blocks(self) -> int:
        """Of the medium."""
        return self.backend.length // BLOCK

    # Reset

    def reset(self) -> None:
        tray_open = self.state.tray_open
        super().reset()
        self.state.tray_open = tray_open

    def _power_on(self) -> None:
        super()._power_on()
        self.state.status = 0

    def reset_by_software(self) -> None:
        super().reset_by_software()
        self.state.status = 0

    # Commands

    def execute(self, command: int) -> None:
        self.state.command = command
        handler = _COMMANDS.get(command)
        if handler is not None:
            handler(self)
        elif command in (r.IDENTIFY, *r.READ_SECTORS):
            # By this, drivers see what it is (8.15.5.2).
            self._sign()
            self.fail(r.ABRT)
        else:
            self.fail(r.ABRT)

    def _identify(self) -> None:
        state = self.state
        state.buffer = bytearray(identify_optical(self.labels, mode=state.mode, first=self.channel.drives[0] is self))
        state.position = state.left = 0
        self.offer(DATA_IN, r.SECTOR)

    def _device_reset(self) -> None:
        self.reset_by_software()

    def _set_features(self) -> None:
        feature, value = self.state.features & 0xFF, self.state.count & 0xFF
        if feature == r.SET_TRANSFER_MODE and is_transfer_mode(value):
            self.state.mode = value
            self.succeed()
        elif feature in r.KEPT_FEATURES:
            self.succeed()
        else:
            self.fail(r.ABRT)

    def _check_power(self) -> None:
        self.state.count = 0xFF
        self.succeed()

    def _begin_packet(self) -> None:
        state = self.state
        if state.features & OVERLAP:
            self.fail(r.ABRT)
            return
        state.dma = bool(state.features & DMA)
        limit = state.lba_mid & 0xFF | (state.lba_high & 0xFF) << 8
        state.limit = min(limit & ~1, LARGEST_PORTION) or LARGEST_PORTION
        state.buffer = bytearray(PACKET_BYTES)
        state.position = state.left = 0
        state.count = r.CD
        self.offer(PACKET, PACKET_BYTES, interrupt=False)

    def given(self) -> None:
        try:
            mmc.carry_out(self, bytes(self.state.buffer))
        except CheckCondition as condition:
            self.refuse(condition)

    @property
    def reading(self) -> bool:
        return True

    def is_guests_fault(self, failure: BlockError) -> bool:
        return super().is_guests_fault(failure) or self._is_missing(failure)

    def _is_missing(self, failure: BlockError) -> bool:
        """Whether the medium has gone."""
        return failure.kind is ErrorKind.NOT_FOUND and not self.backend.present

    # How packets end

    def finish(self) -> None:
        """The packet is done."""
        self.state.count = r.CD | r.IO
        self.succeed()

    def refuse(self, condition: CheckCondition) -> None:
        """The packet has failed."""
        self.state.sense = condition.sense
        self.state.count = r.CD | r.IO
        self.fail(condition.sense >> 16 << 4 | (r.ABRT if condition.sense >> 16 == mmc.ILLEGAL_REQUEST else 0))

    def reply(self, data: bytes) -> None:
        """Give the guest `data`, which is at most as long as it wants."""
        state = self.state
        if not data:
            self.finish()
            return
        state.buffer = bytearray(data)
        state.position = state.left = 0
        if state.dma:
            self.wait_for_transfer()
        else:
            self._offer_portion()

    def read(self, lba: int, count: int) -> None:
        """Give the guest blocks of the medium."""
        state = self.state
        state.lba, state.left = lba, count
        state.buffer, state.position = bytearray(), 0
        if not count:
            self.finish()
        elif state.dma:
            self.wait_for_transfer()
        else:
            self.busy(FETCH)

    # The data

    def _offer_portion(self) -> None:
        state = self.state
        size = min(len(state.buffer) - state.position, state.limit)
        state.lba_mid, state.lba_high = size & 0xFF, size >> 8
        state.count = r.IO
        self.offer(DATA_IN, state.position + size)

    def taken(self) -> None:
        state = self.state
        if state.command == r.IDENTIFY_PACKET:
            state.phase = IDLE
            state.status = r.DRDY | r.DSC
        elif state.position < len(state.buffer):
            self._offer_portion()
        elif state.left:
            self.busy(FETCH)
        else:
            self.finish()

    def proceed(self) -> None:
        state = self.state
        if state.phase == FETCH:
            self._fetch()
        elif state.left:
            self._transfer_blocks()
        else:
            self._transfer_reply()

    def _fetch(self) -> None:
        state = self.state
        blocks = min(state.left, MOST_BUFFERED // BLOCK)
        offset, buffer = state.lba * BLOCK, bytearray(blocks * BLOCK)

        def done(failure: BlockError | None) -> None:
            if failure is not None:
                self._unreadable(failure)
                return
            state.lba += blocks
            state.left -= blocks
            state.buffer, state.position = buffer, 0
            self._offer_portion()

        views = [memoryview(buffer)]
        self.request(lambda: self.backend.read_now(offset, views), lambda token: self.backend.read(offset, views), done)

    def _transfer_blocks(self) -> None:
        state = self.state
        length = state.left * BLOCK
        regions = self.regions(length, to_memory=True)
        if regions is None:
            return

        def done(failure: BlockError | None) -> None:
            if failure is not None:
                self.channel.master.failed()
                self._unreadable(failure)
                return
            state.left = 0
            self.channel.master.ended(regions.exhausted)
            self.finish()

        self.read_to_memory(regions, state.lba * BLOCK, length, done)

    def _transfer_reply(self) -> None:
        regions = self.regions(len(self.state.buffer), to_memory=True)
        if regions is not None:
            regions.scatter(self.state.buffer)
            self.channel.master.ended(regions.exhausted)
            self.finish()

    def _unreadable(self, failure: BlockError) -> None:
        missing = self._is_missing(failure)
        self.refuse(mmc.absent(self) if missing else CheckCondition(mmc.MEDIUM_ERROR, mmc.UNREADABLE))

    def restored(self) -> None:
        super().restored()
        if not self._makes_sense():
            self.state.phase = IDLE

    def _makes_sense(self) -> bool:
        """Whether a loaded state is one that the drive can be in."""
        state = self.state
        if state.phase == PACKET:
            return len(state.buffer) == state.end == PACKET_BYTES and state.position < PACKET_BYTES
        if state.phase == FETCH:
            return state.left > 0
        return state.phase in (IDLE, DATA_IN, TRANSFER, TRANSFER_WAIT)


_COMMANDS: dict[int, Callable[[AtapiDrive], None]] = {
    r.DEVICE_RESET: AtapiDrive._device_reset,
    **dict.fromkeys((*r.STANDBY_IMMEDIATE, *r.IDLE_IMMEDIATE, *r.SLEEP), AtapiDrive.succeed),
    r.PACKET: AtapiDrive._begin_packet,
    r.IDENTIFY_PACKET: AtapiDrive._identify,
    **dict.fromkeys(r.CHECK_POWER, AtapiDrive._check_power),
    r.SET_FEATURES: AtapiDrive._set_features,
}
