"""A disk: the general feature set (ATA/ATAPI-6, sections 6 and 8)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from varan.devices.ide import registers as r
from varan.devices.ide.ata_transfers import TRANSFERS, AtaTransfers
from varan.devices.ide.drive_state import DATA_IN, FLUSH
from varan.devices.ide.identify import MOST_MULTIPLE, identify_disk, is_transfer_mode


class AtaDisk(AtaTransfers):
    """See the module's text."""

    def execute(self, command: int) -> None:
        self.state.command = command
        if command in TRANSFERS:
            self.begin(TRANSFERS[command])
            return
        handler = _COMMANDS.get(command)
        if handler is None:
            self.fail(r.ABRT)
        else:
            handler(self)

    def _identify(self) -> None:
        state = self.state
        heads, sectors = self.translation()
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
        self.show(last if extended else min(last, (1 << 28) - 1), extended=extended)
        self.succeed()

    def _seek(self) -> None:
        lba, _ = self.range(False)
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


_COMMANDS: dict[int, Callable[[AtaDisk], None]] = {
    r.DATA_SET_MANAGEMENT: AtaDisk.begin_trim,
    **dict.fromkeys((*r.RECALIBRATE, *r.STANDBY_IMMEDIATE, *r.IDLE_IMMEDIATE, *r.STANDBY, *r.IDLE), AtaDisk.succeed),
    **dict.fromkeys(r.SLEEP, AtaDisk.succeed),
    **dict.fromkeys(r.SEEK, AtaDisk._seek),
    **dict.fromkeys((*r.VERIFY_SECTORS, r.VERIFY_SECTORS_EXT), AtaDisk.begin_verify),
    **dict.fromkeys((r.FLUSH_CACHE, r.FLUSH_CACHE_EXT), AtaDisk.flush),
    **dict.fromkeys((r.READ_NATIVE_MAX, r.READ_NATIVE_MAX_EXT), AtaDisk._native_max),
    **dict.fromkeys(r.CHECK_POWER, AtaDisk._check_power),
    **dict.fromkeys((r.PACKET, r.IDENTIFY_PACKET, r.DEVICE_RESET), AtaDisk._sign_off),
    r.IDENTIFY: AtaDisk._identify,
    r.INITIALIZE_PARAMETERS: AtaDisk._initialize_parameters,
    r.SET_FEATURES: AtaDisk._set_features,
    r.SET_MULTIPLE: AtaDisk._set_multiple,
}
