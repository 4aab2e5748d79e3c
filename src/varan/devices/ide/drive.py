"""What disks and optical drives have in common: registers, blocks of data that go through the data port, transfers by
bus master, and requests to the back end.

All that a drive is in the middle of is declared state: `phase` says what, and `proceed` does it. So a request that a
stop of the machine, or a save, has cut off is done again by calling `proceed`.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from varan.api.values import BlockErrorAction
from varan.block import drive
from varan.block.backend import BlockBackend
from varan.block.base import BlockError, ErrorKind
from varan.core.dataport import Loan
from varan.core.state import Device
from varan.devices.ide import registers as r
from varan.devices.ide.drive_state import (
    DATA_IN,
    DATA_OUT,
    IDLE,
    PACKET,
    PENDING,
    TRANSFER,
    TRANSFER_WAIT,
    DriveState,
)

if TYPE_CHECKING:
    from varan.devices.ide.channel import IdeChannel
    from varan.devices.ide.regions import Regions

log = logging.getLogger("varan.ide")

MOST_INLINE = 2 << 20
"""Bytes up to which a transfer is done on the vCPU's thread."""

S = TypeVar("S", bound=DriveState)
Attempt = Callable[[], bool]
Done = Callable[[BlockError | None], None]
Work = Callable[[object], Coroutine[Any, Any, None]]
"""Given a token that is the drive's as long as the request counts."""


def void(value: object) -> None:
    """Nothing, whatever the value."""


class IdeDrive(Device[S], Generic[S]):
    """See the module's text. The caller of every method without `async` holds the machine lock."""

    signature = (0x00, 0x00)
    """LBA mid and high after a reset (9.12)."""

    def __init__(
        self, backend: BlockBackend, *, lock: threading.RLock, post: Callable[[Callable[[], None]], None]
    ) -> None:
        """`post` runs something on the loop of the back end's graph."""
        self.backend = backend
        self.channel: IdeChannel
        self.inline = True
        """Whether transfers that need not wait are done on the vCPU's thread."""
        self._lock = lock
        self._post = post
        self._token: object | None = None
        """The request to the back end that counts, None for none."""
        self._next: tuple[object, Work, Done] | None = None
        """The same, until it is begun."""
        self._serving = False
        """Whether the loop has something to do, or was asked to."""
        self._lent = False
        """Whether bytes of the buffer go through the data port on their own."""
        super().__init__()
        backend.try_again = self.try_again
        self._power_on()

    # Reset

    def reset(self) -> None:
        self._forget()
        super().reset()
        self._power_on()
        self.channel.drive_interrupt()

    def _power_on(self) -> None:
        self.state.write_cache = self.backend.writeback
        self._sign()

    def _sign(self) -> None:
        state = self.state
        state.count = state.lba_low = 1
        state.lba_mid, state.lba_high = self.signature

    def hold_in_reset(self) -> None:
        """SRST is set: stop everything, and be busy."""
        self._forget()
        self.state.phase = IDLE
        self.state.status = r.BSY
        self.state.interrupt = False

    def reset_by_software(self) -> None:
        """The end of a software reset, or EXECUTE DEVICE DIAGNOSTIC (9.2, 9.10)."""
        self.hold_in_reset()
        self.state.error = r.DIAGNOSTIC_PASSED
        self.state.status = r.DRDY | r.DSC
        self._sign()

    # Registers

    def read_register(self, offset: int, previous: bool) -> int:
        """One of those that the drive has of its own, its previous content when asked for."""
        state = self.state
        if offset == r.ERROR:
            return state.error
        values = {
            r.SECTOR_COUNT: state.count,
            r.LBA_LOW: state.lba_low,
            r.LBA_MID: state.lba_mid,
            r.LBA_HIGH: state.lba_high,
        }
        value = values.get(offset, 0)
        return value >> 8 if previous else value & 0xFF

    def write_register(self, offset: int, value: int) -> None:
        """What was there becomes the previous content."""
        state = self.state
        if offset == r.FEATURES:
            state.features = (state.features << 8 | value) & 0xFFFF
        elif offset == r.SECTOR_COUNT:
            state.count = (state.count << 8 | value) & 0xFFFF
        elif offset == r.LBA_LOW:
            state.lba_low = (state.lba_low << 8 | value) & 0xFFFF
        elif offset == r.LBA_MID:
            state.lba_mid = (state.lba_mid << 8 | value) & 0xFFFF
        elif offset == r.LBA_HIGH:
            state.lba_high = (state.lba_high << 8 | value) & 0xFFFF

    def execute(self, command: int) -> None:
        """Carry a command out, as far as that goes at once."""
        raise NotImplementedError

    # How commands end

    def interrupt(self) -> None:
        """Ask for one."""
        self.state.interrupt = True
        self.channel.drive_interrupt()

    def succeed(self) -> None:
        """The command is over."""
        state = self.state
        state.phase = IDLE
        state.status = r.DRDY | r.DSC
        state.error = 0
        self.interrupt()

    def fail(self, error: int) -> None:
        """The command is over, with an error."""
        state = self.state
        state.phase = IDLE
        state.status = r.DRDY | r.DSC | r.ERR
        state.error = error
        self.interrupt()

    # The data port

    def offer(self, phase: int, end: int, *, interrupt: bool = True) -> None:
        """Let the guest read (DATA_IN) or write the buffer up to `end`."""
        state = self.state
        state.phase = phase
        state.end = end
        state.status = r.DRDY | r.DSC | r.DRQ
        state.error = 0
        if interrupt:
            self.interrupt()

    def lend(self) -> Loan | None:
        """What goes through the data port next; the drive does not look at it until `_catch_up`."""
        state = self.state
        if state.phase not in (DATA_IN, DATA_OUT) or not state.position < state.end <= len(state.buffer):
            return None
        self._lent = True
        return Loan(state.buffer, state.position, state.end, state.phase == DATA_OUT)

    def _catch_up(self) -> None:
        """Count what has gone through the data port on its own."""
        if self._lent:
            self._lent = False
            self.state.position = self.channel.data.recall()

    def before_save(self) -> None:
        self._catch_up()

    def read_data(self, size: int) -> int:
        """The guest reads the data port."""
        if self._lent:
            self._catch_up()
        state = self.state
        if state.phase != DATA_IN:
            return 0
        at, end = state.position, state.end
        after = at + size
        if after < end:
            # Nearly always, and a word at a time.
            state.position = after
            return int.from_bytes(state.buffer[at:after], "little")
        state.position = end
        value = int.from_bytes(state.buffer[at:end], "little")
        self.taken()
        return value

    def write_data(self, size: int, value: int) -> None:
        """The guest writes the data port."""
        if self._lent:
            self._catch_up()
        state = self.state
        if state.phase not in (DATA_OUT, PACKET):
            return
        at, end = state.position, state.end
        after = at + size
        if after < end:
            state.position = after
            state.buffer[at:after] = value.to_bytes(size, "little")
            return
        state.position = end
        state.buffer[at:end] = value.to_bytes(size, "little")[: end - at]
        self.given()

    def taken(self) -> None:
        """The guest has read what was offered."""
        raise NotImplementedError

    def given(self) -> None:
        """The guest has written what was asked for."""
        raise NotImplementedError

    # Bus master

    def wait_for_transfer(self) -> None:
        """Data are to move by bus master: begin when it has been started."""
        state = self.state
        state.phase = TRANSFER_WAIT
        state.status = r.DRDY | r.DSC | r.DRQ
        state.error = 0
        self.channel.request_transfer()

    def transfer(self) -> None:
        """The bus master is started."""
        if self.state.phase == TRANSFER_WAIT:
            self.busy(TRANSFER)

    def transfer_stopped(self) -> None:
        """The bus master was stopped. What is under way counts no more; the command ends without an interrupt."""
        if self.state.phase == TRANSFER:
            self._forget()
            self.state.phase = IDLE
            self.state.status = r.DRDY | r.DSC

    def regions(self, length: int, *, to_memory: bool) -> Regions | None:
        """Guest memory for a transfer; None when the bus master cannot do it, and the command has ended then."""
        master = self.channel.master
        found = master.regions(length) if master.to_memory == to_memory else None
        if found is None:
            self.state.phase = IDLE
            self.state.status = r.DRDY | r.DSC
            master.too_short()
        return found

    def read_to_memory(self, regions: Regions, offset: int, length: int, done: Done) -> None:
        """Let data of the medium go to guest memory."""

        def attempt() -> bool:
            views = regions.views() if length <= MOST_INLINE else None
            if views is None or not self.backend.read_now(offset, views):
                return False
            regions.filled()
            return True

        async def work(token: object) -> None:
            # Not straight into guest memory, which belongs to others as soon as the driver has stopped the transfer.
            at = offset
            for part, size in regions.parts():
                buffer = memoryview(bytearray(size))
                await self.backend.read(at, [buffer])
                at += size
                with self._lock:
                    if token is not self._token:
                        return
                    part.scatter(buffer)

        self.request(attempt, work, done)

    def write_from_memory(self, regions: Regions, offset: int, length: int, *, stable: bool, done: Done) -> None:
        """Let guest memory go to the medium."""
        views = regions.views()
        buffers = views if views is not None else [memoryview(regions.gather())]

        def attempt() -> bool:
            return length <= MOST_INLINE and not stable and self.backend.write_now(offset, buffers)

        async def work(token: object) -> None:
            await self.backend.write(offset, buffers, stable=stable)

        self.request(attempt, work, done)

    # The back end

    def busy(self, phase: int) -> None:
        """Go on with something that the back end has to do."""
        self.state.phase = phase
        self.state.status = r.BSY | r.DSC
        self.proceed()

    def proceed(self) -> None:
        """Do what `phase`, one of PENDING, says."""
        raise NotImplementedError

    def request(self, attempt: Attempt | None, work: Work, done: Done) -> None:
        """Let the back end do something: `attempt` at once if it can, else `work` on the loop; then `done`."""
        # A request that counts no more may still be under way; this one must not overtake it.
        if attempt is not None and self.inline and not self._serving and attempt():
            done(None)
            return
        self._token = token = object()
        self._next = token, work, done
        if not self._serving:
            self._serving = True
            self._post(lambda: void(drive.start(self._serve())))

    def _forget(self) -> None:
        """What the back end was asked for, and what was lent, counts no more."""
        self._token = self._next = None
        if self._lent:
            self._lent = False
            self.channel.data.recall()

    async def _serve(self) -> None:
        """One request after the other: a driver may give up as many as it likes."""
        while True:
            with self._lock:
                asked, self._next = self._next, None
                if asked is None:
                    self._serving = False
                    return
            await self._perform(*asked)
            asked = None

    async def _perform(self, token: object, work: Work, done: Done) -> None:
        failure: BlockError | None = None
        try:
            await work(token)
        except BlockError as error:
            failure = error
        except Exception:
            # The guest waits for an answer, whatever is wrong with the host.
            log.exception("a request to drive '%s' failed", self.backend.name)
            failure = BlockError(ErrorKind.IO, "the host has failed")
        with self._lock:
            if token is self._token:
                self._token = None
                self._ended(failure, done)
                self.channel.drive_interrupt()
        # An error leads to this frame, and the frame to guest memory: let both go.
        failure = None

    def _ended(self, failure: BlockError | None, done: Done) -> None:
        """A request is over; one that the back end's policy does not let go waits for `resume`."""
        if failure is None or self.is_guests_fault(failure):
            done(failure)
            return
        action = self.backend.decide(failure, is_read=self.reading)
        if action is not BlockErrorAction.STOP:
            done(failure if action is BlockErrorAction.REPORT else None)

    def is_guests_fault(self, failure: BlockError) -> bool:
        """Whether the host has done all that it can, so that there is nothing to mend."""
        return failure.kind in (ErrorKind.INVALID, ErrorKind.UNSUPPORTED)

    @property
    def reading(self) -> bool:
        """Whether the request under way reads the medium."""
        raise NotImplementedError

    def try_again(self) -> None:
        """The guest goes on: what has failed is to be done again. On the loop, without the lock."""
        with self._lock:
            self.resume()

    def resume(self) -> None:
        """Do again what a save, a stop or an error has cut off."""
        if self._token is None and self.state.phase in PENDING:
            self.proceed()

    def restored(self) -> None:
        # A request that was under way belongs to the state that is gone.
        self._forget()
