"""The floppy disk controller of a PC, an Intel 82077AA in AT mode: registers, phases and the commands without data.

Section names are those of the 82077AA data sheet. Disks turn and heads move in no time; what a medium takes to answer
is the host's. `varan.devices.floppy.transfers` has the commands that move data.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from varan.core.irq import IrqLine
from varan.core.ports import PortSpace
from varan.core.state import Device
from varan.devices.dma.i8237 import DmaChannel
from varan.devices.floppy import fdc_layout as f
from varan.devices.floppy.fdc_state import FdcState, Phase, Stage
from varan.devices.floppy.geometry import SIZE_CODE, Format
from varan.devices.floppy.transfers import Transfers


class Mechanism(Protocol):
    """A drive on the cable, with what is in it. Calls back under the machine lock, at once or later."""

    @property
    def present(self) -> bool:
        """Whether there is a disk."""

    @property
    def read_only(self) -> bool:
        """Whether it is write-protected."""

    @property
    def format(self) -> Format:
        """How it is divided."""

    def read(self, offset: int, length: int, done: Callable[[bytes | None], None]) -> None:
        """Bytes of the disk; None when they cannot be read."""

    def write(self, offset: int, data: bytes, done: Callable[[bool], None]) -> None:
        """Put `data` on the disk; False when that cannot be."""


class Fdc(Device[FdcState]):
    """See the module's text."""

    state_type = FdcState

    def __init__(self, line: IrqLine, channel: DmaChannel) -> None:
        self._line = line
        self.channel = channel
        self.mechanisms: dict[int, Mechanism] = {}
        """The drives by unit."""
        self.transfers = Transfers(self)
        super().__init__()

    def map(self, ports: PortSpace, base: int) -> None:
        """Answer where AT mode has registers (2.1); the last but one of the eight ports is a hard disk's."""
        ports.map(base + f.DOR, 4, lambda at, size: self.read(at + f.DOR), self._write_low, name="fdc")
        ports.map(base + f.DIR, 1, lambda at, size: self.read(f.DIR), self._write_rate, name="fdc-dir")

    def _write_low(self, offset: int, size: int, value: int) -> None:
        self.write(offset + f.DOR, value)

    def _write_rate(self, offset: int, size: int, value: int) -> None:
        self.write(f.CCR, value)

    def restored(self) -> None:
        self.transfers.resume()
        self.update()

    def update(self) -> None:
        """Let the interrupt line follow the state."""
        state = self.state
        gates = f.DOR_RUN | f.DOR_GATE
        self._line(int(state.interrupt and state.dor & gates == gates))

    def disk_changed(self, unit: int) -> None:
        """A disk has come or gone."""
        self.state.drives[unit].changed = True

    # Registers (2.1)

    def read(self, register: int) -> int:
        """One byte."""
        state = self.state
        if register == f.DOR:
            return state.dor
        if register == f.TDR:
            return state.tdr
        if register == f.MSR:
            return self._main_status()
        if register == f.FIFO:
            return self._read_fifo()
        unit = state.dor & 3
        # Only a drive whose motor runs is selected, and only a selected one drives the line.
        selected = unit in self.mechanisms and state.dor >> (4 + unit) & 1
        return f.DIR_CHANGED if selected and state.drives[unit].changed else 0

    def write(self, register: int, value: int) -> None:
        """One byte."""
        state = self.state
        if register == f.DOR:
            self._write_dor(value)
        elif register == f.TDR:
            state.tdr = value & 3
        elif register == f.DSR:
            state.dsr = value & 0x7F
            if value & f.DSR_RESET and state.dor & f.DOR_RUN:
                self._abandon()
                self._wake()
        elif register == f.FIFO:
            self._write_fifo(value)
        elif register == f.CCR:
            state.dsr = state.dsr & ~3 | value & 3
        self.update()

    def _main_status(self) -> int:
        state, transfer = self.state, self.state.transfer
        if not state.dor & f.DOR_RUN:
            return 0
        if state.phase is Phase.COMMAND:
            return f.MSR_RQM | (f.MSR_BUSY if state.fifo else 0) | state.seeking
        if state.phase is Phase.RESULT:
            return f.MSR_RQM | f.MSR_DIO | f.MSR_BUSY | state.seeking
        status = f.MSR_BUSY | state.seeking
        if not self.uses_dma and transfer is not None:
            status |= f.MSR_NON_DMA
            if transfer.stage is Stage.HOST:
                status |= f.MSR_RQM | (f.MSR_DIO if self.transfers.reads(transfer) else 0)
        return status

    @property
    def uses_dma(self) -> bool:
        """Whether data go by DMA, and not through the FIFO (SPECIFY)."""
        return not self.state.specify[1] & 1

    def _write_dor(self, value: int) -> None:
        ran = self.state.dor & f.DOR_RUN
        self.state.dor = value
        if not value & f.DOR_RUN:
            self._abandon()
        elif not ran:
            self._wake()
        self.transfers.gate_changed()

    def _abandon(self) -> None:
        """Software reset (4.0): what was going on is over."""
        state = self.state
        self.transfers.stop()
        state.phase, state.fifo, state.interrupt = Phase.COMMAND, [], False
        state.senses, state.seeking, state.perpendicular = [], 0, state.perpendicular & 0x3C
        if not state.locked:
            state.configure, state.precompensation = 0, 0

    def _wake(self) -> None:
        """Leaving reset, the controller polls the drives, finds them all changed, and says so (5.2.4)."""
        state = self.state
        if not state.configure & f.CONFIGURE_POLL_OFF:
            state.senses = [(f.ST0_POLLED | unit, state.drives[unit].present) for unit in range(f.DRIVES)]
            state.interrupt = True

    # Phases (5.0)

    def _write_fifo(self, value: int) -> None:
        state = self.state
        if not state.dor & f.DOR_RUN:
            return
        if state.phase is Phase.EXECUTION:
            self.transfers.give(value)
        elif state.phase is Phase.COMMAND:
            state.fifo.append(value)
            command = f.command_of(state.fifo[0])
            if command is None:
                self.finish([f.ST0_INVALID])
            elif len(state.fifo) == f.LENGTHS[command]:
                self._execute(command, state.fifo)

    def _read_fifo(self) -> int:
        state = self.state
        if state.phase is Phase.EXECUTION:
            return self.transfers.take()
        if state.phase is not Phase.RESULT:
            return 0
        value = state.fifo.pop(0)
        state.interrupt = False
        if not state.fifo:
            state.phase = Phase.COMMAND
        self.update()
        return value

    def finish(self, results: list[int], *, interrupt: bool = False) -> None:
        """End a command: its results wait to be read."""
        state = self.state
        state.phase, state.fifo = (Phase.RESULT if results else Phase.COMMAND), results
        if interrupt:
            state.interrupt = True
            self.update()

    def _execute(self, command: int, given: list[int]) -> None:
        if command in _SIMPLE:
            _SIMPLE[command](self, given)
        else:
            self.state.phase = Phase.EXECUTION
            self.transfers.begin(command, given)

    # Commands without data

    def _specify(self, given: list[int]) -> None:
        self.state.specify = given[1], given[2]
        self.finish([])

    def _sense_drive(self, given: list[int]) -> None:
        unit, head = given[1] & 3, given[1] & 4
        status = f.ST3_FIXED | head | unit
        mechanism = self.mechanisms.get(unit)
        if mechanism is not None:
            status |= 0 if self.state.drives[unit].track else f.ST3_TRACK_0
            status |= f.ST3_PROTECTED if mechanism.present and mechanism.read_only else 0
        self.finish([status])

    def _sense_interrupt(self, given: list[int]) -> None:
        state = self.state
        state.interrupt = False
        if not state.senses:
            self.finish([f.ST0_INVALID])
            return
        status, cylinder = state.senses.pop(0)
        state.seeking &= ~(1 << (status & 3))
        self.finish([status, cylinder])

    def _recalibrate(self, given: list[int]) -> None:
        unit = given[1] & 3
        state = self.state.drives[unit]
        state.present = 0
        if unit in self.mechanisms:
            self.step(unit, 0)
            self._seek_done(unit, f.ST0_SEEK_END)
        else:
            # Nobody says that the heads are at track 0 (5.2.2).
            self._seek_done(unit, f.ST0_ABNORMAL | f.ST0_SEEK_END | f.ST0_EQUIPMENT_CHECK)

    def _seek(self, given: list[int]) -> None:
        unit = given[1] & 3
        self.state.drives[unit].present = given[2]
        self.step(unit, given[2])
        self._seek_done(unit, f.ST0_SEEK_END | given[1] & 4)

    def _relative_seek(self, given: list[int]) -> None:
        unit, steps = given[1] & 3, given[2] if given[0] & f.RELATIVE_IN else -given[2]
        state = self.state.drives[unit]
        state.present = (state.present + steps) & 0xFF
        self.step(unit, max(state.track + steps, 0))
        self._seek_done(unit, f.ST0_SEEK_END | given[1] & 4)

    def step(self, unit: int, track: int) -> None:
        """Move a drive's heads; a step with a disk in it resets the drive's change line."""
        mechanism = self.mechanisms.get(unit)
        if mechanism is None:
            return
        state = self.state.drives[unit]
        track = min(track, mechanism.format.cylinders + 2)
        if track != state.track and mechanism.present:
            state.changed = False
        state.track = track

    def _seek_done(self, unit: int, status: int) -> None:
        state = self.state
        state.senses = [sense for sense in state.senses if sense[0] & 3 != unit]
        state.senses.append((status | unit, state.drives[unit].present))
        state.seeking |= 1 << unit
        self.finish([])
        state.interrupt = True

    def _read_id(self, given: list[int]) -> None:
        unit, head = given[1] & 3, given[1] >> 2 & 1
        self.state.phase = Phase.EXECUTION
        fault = self.transfers.fault(unit, head)
        if fault:
            self.transfers.fail(unit, head, fault, 0, (self.state.drives[unit].track, head, 1))
            return
        form = self.mechanisms[unit].format
        self.state.rotation = (self.state.rotation + 1) % form.sectors
        track = self.state.drives[unit].track
        self.finish([head << 2 | unit, 0, 0, track, head, self.state.rotation + 1, SIZE_CODE], interrupt=True)

    def _dumpreg(self, given: list[int]) -> None:
        state = self.state
        self.finish(
            [
                *(drive.present for drive in state.drives),
                *state.specify,
                state.last_sector,
                state.locked << 7 | state.perpendicular,
                state.configure,
                state.precompensation,
            ]
        )

    def _version(self, given: list[int]) -> None:
        self.finish([f.VERSION_82077])

    def _perpendicular(self, given: list[int]) -> None:
        self.state.perpendicular = (
            given[1] & 0x3F if given[1] & 0x80 else self.state.perpendicular & 0x3C | given[1] & 3
        )
        self.finish([])

    def _configure(self, given: list[int]) -> None:
        self.state.configure, self.state.precompensation = given[2] & 0x7F, given[3]
        self.finish([])

    def _lock(self, given: list[int]) -> None:
        self.state.locked = bool(given[0] & f.LOCK_BIT)
        self.finish([self.state.locked << 4])


_SIMPLE: dict[int, Callable[[Fdc, list[int]], None]] = {
    f.SPECIFY: Fdc._specify,
    f.SENSE_DRIVE: Fdc._sense_drive,
    f.SENSE_INTERRUPT: Fdc._sense_interrupt,
    f.RECALIBRATE: Fdc._recalibrate,
    f.SEEK: Fdc._seek,
    f.RELATIVE_SEEK: Fdc._relative_seek,
    f.READ_ID: Fdc._read_id,
    f.DUMPREG: Fdc._dumpreg,
    f.VERSION: Fdc._version,
    f.PERPENDICULAR: Fdc._perpendicular,
    f.CONFIGURE: Fdc._configure,
    f.LOCK: Fdc._lock,
}
