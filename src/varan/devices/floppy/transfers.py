"""The commands of a floppy disk controller that move data: read, write, format and verify (82077AA, 5.1).

A transfer alternates between two stages. At the medium, sectors are read ahead, up to the end of the track or as many
as the DMA channel will take, or the gathered ones are written. At the host, data go through the DMA channel, or through
the FIFO a byte at a time. The terminal count of the DMA controller ends it; so does the last sector of the cylinder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from varan.devices.floppy import fdc_layout as f
from varan.devices.floppy.fdc_state import Phase, Stage, TransferState
from varan.devices.floppy.geometry import SECTOR, SIZE_CODE, Format

if TYPE_CHECKING:
    from varan.devices.floppy.fdc import Fdc

_READS = {f.READ, f.READ_DELETED, f.READ_TRACK}
_WRITES = {f.WRITE, f.WRITE_DELETED, f.FORMAT}
_ID_BYTES = 4
"""That the host gives for each sector to be formatted."""


class Transfers:
    """What the controller `fdc` does in the execution phase of such a command."""

    def __init__(self, fdc: Fdc) -> None:
        self._fdc = fdc
        self._asked: object | None = None
        """What the medium's next answer must belong to."""
        self._asking = self._again = False

    @staticmethod
    def reads(transfer: TransferState) -> bool:
        """Whether data go to the host."""
        return transfer.command in _READS

    def begin(self, command: int, given: list[int]) -> None:
        """A command and its parameters have come."""
        unit, head = given[1] & 3, given[1] >> 2 & 1
        fdc = self._fdc
        transfer = TransferState(command, unit, bool(given[0] & f.MULTITRACK), 0, head, 1, 0)
        if command == f.FORMAT:
            transfer.cylinder = fdc.state.drives[unit].track
            transfer.entries, transfer.fill, size = given[3], given[5], given[2]
        else:
            transfer.cylinder, sector, size, transfer.last = given[2], given[4], given[5], given[6]
            transfer.sector = 1 if command == f.READ_TRACK else sector
            fdc.state.last_sector = transfer.last
            if command == f.VERIFY and given[1] & 0x80:
                transfer.entries = given[8]
            if fdc.state.configure & f.CONFIGURE_IMPLIED_SEEK:
                fdc.state.drives[unit].present = transfer.cylinder
                fdc.step(unit, transfer.cylinder)
        fdc.state.fifo, fdc.state.transfer = [], transfer
        fault = self._objection(transfer, size)
        if fault is not None:
            self._end(f.ST0_ABNORMAL, *fault)
        elif command in _WRITES:
            self._to_host()
        else:
            self._to_medium()

    def fault(self, unit: int, head: int) -> int:
        """Why nothing can be found under a drive's heads, as bits of status register 1; 0 when it can."""
        fdc = self._fdc
        mechanism = fdc.mechanisms.get(unit)
        if mechanism is None or not mechanism.present:
            return f.ST1_MISSING_MARK
        form, track = mechanism.format, fdc.state.drives[unit].track
        if fdc.state.dsr & 3 != form.rate or track >= form.cylinders or head >= form.heads:
            return f.ST1_MISSING_MARK
        return 0

    def fail(self, unit: int, head: int, st1: int, st2: int, where: tuple[int, int, int]) -> None:
        """End a command abnormally; `where`: cylinder, head and sector to report."""
        status = f.ST0_ABNORMAL | head << 2 | unit
        self._fdc.finish([status, st1, st2, *where, SIZE_CODE], interrupt=True)

    def _objection(self, transfer: TransferState, size: int) -> tuple[int, int] | None:
        """Status registers 1 and 2 of a transfer that cannot begin."""
        fault = self.fault(transfer.drive, transfer.head)
        if fault:
            return fault, 0
        if transfer.command in _WRITES and self._fdc.mechanisms[transfer.drive].read_only:
            return f.ST1_NOT_WRITABLE, 0
        if transfer.command == f.FORMAT:
            return None if size == SIZE_CODE and transfer.entries else (f.ST1_NO_DATA, 0)
        if transfer.cylinder != self._fdc.state.drives[transfer.drive].track:
            return f.ST1_NO_DATA, f.ST2_WRONG_CYLINDER
        return self._missing(transfer, size)

    def _missing(self, transfer: TransferState, size: int = SIZE_CODE) -> tuple[int, int] | None:
        """Likewise when its next sector is nowhere on the track."""
        form = self._form(transfer)
        there = size == SIZE_CODE and 1 <= transfer.sector <= form.sectors and transfer.head < form.heads
        return None if there else (f.ST1_NO_DATA, 0)

    def _form(self, transfer: TransferState) -> Format:
        return self._fdc.mechanisms[transfer.drive].format

    def _place(self, transfer: TransferState) -> int:
        """Where on the medium the current sector is, in bytes."""
        form = self._form(transfer)
        track = self._fdc.state.drives[transfer.drive].track
        return ((track * form.heads + transfer.head) * form.sectors + transfer.sector - 1) * SECTOR

    def _run(self, transfer: TransferState) -> int:
        """How many sectors follow one another from the current one on, that one included."""
        return max(min(transfer.last, self._form(transfer).sectors) - transfer.sector + 1, 1)

    # At the medium

    def _to_medium(self) -> None:
        """Ask the medium. Answers that come at once may lead here again: those questions take turns in one loop."""
        self._current().stage = Stage.MEDIUM
        self._again = True
        if self._asking:
            return
        self._asking = True
        try:
            while self._again:
                self._again = False
                self._ask()
        finally:
            self._asking = False

    def _ask(self) -> None:
        transfer = self._current()
        mechanism = self._fdc.mechanisms[transfer.drive]
        asked = self._asked = object()
        if transfer.command in _WRITES:
            data = transfer.buffer
            place = self._place(transfer)
            if transfer.command == f.FORMAT:
                data = bytes([transfer.fill]) * SECTOR
            mechanism.write(place, data, lambda good: self._answered(asked, lambda: self._written(good)))
        else:
            length = self._sectors_ahead(transfer) * SECTOR
            place = self._place(transfer)
            mechanism.read(place, length, lambda data: self._answered(asked, lambda: self._was_read(data)))

    def _sectors_ahead(self, transfer: TransferState) -> int:
        if transfer.command == f.VERIFY or not self._fdc.uses_dma:
            return 1
        return min(self._run(transfer), -(-self._fdc.channel.remaining // SECTOR))

    def _answered(self, asked: object, go_on: Callable[[], None]) -> None:
        """The medium has answered, unless the question is not asked any more."""
        if asked is self._asked:
            self._asked = None
            go_on()
            self._fdc.update()

    def _was_read(self, data: bytes | None) -> None:
        transfer = self._current()
        if data is None:
            self._end(f.ST0_ABNORMAL, f.ST1_DATA_ERROR, f.ST2_DATA_ERROR)
        elif transfer.command == f.VERIFY:
            self._verified(transfer)
        else:
            transfer.buffer, transfer.moved = data, 0
            self._to_host()

    def _verified(self, transfer: TransferState) -> None:
        self._advance(transfer, 1)
        if transfer.entries:
            transfer.entries -= 1
            if not transfer.entries:
                self._end(0, 0, 0)
                return
        elif transfer.ended:
            self._end(0, 0, 0)
            return
        self._next(transfer)

    def _written(self, good: bool) -> None:
        transfer = self._current()
        if not good:
            self._end(f.ST0_ABNORMAL, f.ST1_DATA_ERROR, f.ST2_DATA_ERROR)
        elif transfer.command == f.FORMAT:
            transfer.buffer = transfer.buffer[_ID_BYTES:]
            self._format_next(transfer)
        else:
            self._advance(transfer, len(transfer.buffer) // SECTOR)
            transfer.buffer = b""
            self._next(transfer)

    def _next(self, transfer: TransferState) -> None:
        """A piece is done: end, or go on with what follows."""
        if transfer.ending:
            self._end(0, 0, 0)
        elif transfer.ended:
            self._end(f.ST0_ABNORMAL, f.ST1_END_OF_CYLINDER, 0)
        elif (missing := self._missing(transfer)) is not None:
            self._end(f.ST0_ABNORMAL, *missing)
        elif transfer.command in _WRITES:
            self._to_host()
        else:
            self._to_medium()

    def _advance(self, transfer: TransferState, sectors: int) -> None:
        """Let sectors have passed (5.1.1, table 5-4)."""
        for _ in range(sectors):
            if transfer.sector != transfer.last:
                transfer.sector = (transfer.sector + 1) & 0xFF
            elif transfer.multitrack and not transfer.head:
                transfer.head, transfer.sector = 1, 1
            else:
                transfer.cylinder, transfer.sector, transfer.ended = (transfer.cylinder + 1) & 0xFF, 1, True
                transfer.head ^= transfer.multitrack

    # At the host

    def _to_host(self) -> None:
        transfer = self._current()
        transfer.stage = Stage.HOST
        if self._fdc.uses_dma:
            self.gate_changed()
        else:
            self._fdc.state.interrupt = True
        self._fdc.update()

    def _by_dma(self) -> None:
        transfer = self._current()
        if self.reads(transfer):
            count, transfer.ending = self._fdc.channel.put(memoryview(transfer.buffer)[transfer.moved :])
            self._handed_over(transfer, count)
        else:
            wanted = self._wanted(transfer)
            data, transfer.ending = self._fdc.channel.take(wanted)
            self._gathered(transfer, data)
        self._fdc.update()

    def _handed_over(self, transfer: TransferState, count: int) -> None:
        """The host has taken bytes of the buffer."""
        transfer.moved += count
        if transfer.moved < len(transfer.buffer) and not transfer.ending:
            self._to_host()
            return
        self._advance(transfer, -(-transfer.moved // SECTOR))
        transfer.buffer, transfer.moved = b"", 0
        self._next(transfer)

    def _wanted(self, transfer: TransferState) -> int:
        """Bytes that the host gives before the medium's turn."""
        if transfer.command == f.FORMAT:
            whole = transfer.entries * _ID_BYTES
        elif self._fdc.uses_dma:
            whole = self._run(transfer) * SECTOR
        else:
            whole = SECTOR
        return whole - len(transfer.buffer)

    def _gathered(self, transfer: TransferState, data: bytes) -> None:
        """The host has given bytes."""
        transfer.buffer += data
        if self._wanted(transfer) > 0 and not transfer.ending:
            self._to_host()
        elif transfer.command == f.FORMAT:
            self._format_next(transfer)
        else:
            # What a sector lacks at the terminal count is filled with zeros (5.1.3).
            transfer.buffer += bytes(-len(transfer.buffer) % SECTOR)
            self._to_medium()

    def _format_next(self, transfer: TransferState) -> None:
        """Fill the next sector that is to be formatted; ids that the format does not have make none."""
        form, track = self._form(transfer), self._fdc.state.drives[transfer.drive].track
        while len(transfer.buffer) >= _ID_BYTES:
            cylinder, head, sector, size = transfer.buffer[:_ID_BYTES]
            if (cylinder, head, size) == (track, transfer.head, SIZE_CODE) and 1 <= sector <= form.sectors:
                transfer.sector = sector
                self._to_medium()
                return
            transfer.buffer = transfer.buffer[_ID_BYTES:]
        self._end(0, 0, 0)

    def take(self) -> int:
        """The host reads the FIFO."""
        transfer = self._fdc.state.transfer
        if transfer is None or transfer.stage is not Stage.HOST or not self.reads(transfer) or self._fdc.uses_dma:
            return 0
        self._fdc.state.interrupt = False
        value = transfer.buffer[transfer.moved]
        self._handed_over_one(transfer)
        return value

    def _handed_over_one(self, transfer: TransferState) -> None:
        if transfer.moved + 1 < len(transfer.buffer):
            transfer.moved += 1
        else:
            self._handed_over(transfer, 1)
        self._fdc.update()

    def give(self, value: int) -> None:
        """The host writes the FIFO."""
        transfer = self._fdc.state.transfer
        if transfer is None or transfer.stage is not Stage.HOST or self.reads(transfer) or self._fdc.uses_dma:
            return
        self._fdc.state.interrupt = False
        if self._wanted(transfer) > 1:
            transfer.buffer += bytes([value])
        else:
            self._gathered(transfer, bytes([value]))

    # Ends

    def _current(self) -> TransferState:
        transfer = self._fdc.state.transfer
        assert transfer is not None
        return transfer

    def _end(self, st0: int, st1: int, st2: int) -> None:
        transfer = self._current()
        self.stop()
        where = transfer.cylinder, transfer.head, transfer.sector
        self._fdc.finish([st0 | transfer.head << 2 | transfer.drive, st1, st2, *where, SIZE_CODE], interrupt=True)

    def stop(self) -> None:
        """Forget what is under way."""
        self._fdc.state.transfer = None
        self._asked, self._again = None, False
        self._fdc.channel.drop()

    def resume(self) -> None:
        """Ask again for what a loaded state waits for."""
        self._asked, self._again = None, False
        self._fdc.channel.drop()
        transfer = self._fdc.state.transfer
        if transfer is None:
            return
        if not self._makes_sense(transfer):
            self._end(f.ST0_ABNORMAL, f.ST1_MISSING_MARK, 0)
        elif transfer.stage is Stage.MEDIUM:
            self._to_medium()
        else:
            self.gate_changed()

    def gate_changed(self) -> None:
        """The DMA request reaches the PC from now on, or not."""
        transfer = self._fdc.state.transfer
        if transfer is None or transfer.stage is not Stage.HOST or not self._fdc.uses_dma:
            return
        if self._fdc.state.dor & f.DOR_GATE:
            self._fdc.channel.request(self._by_dma)
        else:
            self._fdc.channel.drop()

    def _makes_sense(self, transfer: TransferState) -> bool:
        """Whether a loaded transfer can go on with the disk that is there."""
        if self._fdc.state.phase is not Phase.EXECUTION or self.fault(transfer.drive, transfer.head):
            return False
        if self._missing(transfer) is not None or len(transfer.buffer) > f.MOST_BUFFERED:
            return False
        if transfer.command == f.FORMAT:
            at_host = transfer.stage is Stage.HOST
            return transfer.entries * _ID_BYTES > len(transfer.buffer) if at_host else len(transfer.buffer) >= _ID_BYTES
        if transfer.command in _WRITES:
            return transfer.stage is Stage.MEDIUM or self._wanted(transfer) > 0
        reading = transfer.command in _READS
        return (transfer.stage is Stage.MEDIUM and (reading or transfer.command == f.VERIFY)) or (
            reading and transfer.moved < len(transfer.buffer)
        )
