"""One IDE channel: the registers of its two drives behind one set of ports, its interrupt, and its bus master.

Writes of the command block reach both drives (ATA/ATAPI-6, 7.1); the selected one answers, and carries out commands.
Device 0 answers for a device 1 that is not there (9.16). A channel without drives reads as zero.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from varan.core.dataport import DataPort, Loan
from varan.core.irq import IrqLine
from varan.core.ports import PortSpace
from varan.core.state import Device, State
from varan.devices.fields import Byte
from varan.devices.ide import registers as r
from varan.devices.ide.busmaster import BusMaster

if TYPE_CHECKING:
    from varan.devices.ide.drive import IdeDrive


class ChannelState(State, kw_only=True):
    """What the drives of a channel share."""

    device: Byte = 0
    """The device register: which drive is selected, and the top of an address."""
    control: Byte = 0


class IdeChannel(Device[ChannelState]):
    """See the module's text. The caller of every method holds the machine lock."""

    state_type = ChannelState

    def __init__(self, number: int, irq: IrqLine, master: BusMaster) -> None:
        self.number = number
        self.drives: list[IdeDrive[Any] | None] = [None, None]
        self.master = master
        self.data = DataPort(self._lend)
        self._irq = irq
        master.start_transfer, master.stop_transfer = self._start_transfer, self._stop_transfer
        super().__init__()

    def map(self, ports: PortSpace, block: int, control: int) -> None:
        """Answer at the eight ports from `block` and at the port `control`."""
        name = f"ide.{self.number}"
        ports.map(block, 8, self.read, self.write, width=4, name=name, data=self.data)
        ports.map(control, 1, self.read_control, self.write_control, name=f"{name}-control")

    @property
    def selected(self) -> IdeDrive[Any] | None:
        """The drive that commands go to."""
        return self.drives[1 if self.state.device & r.DEV else 0]

    def read(self, offset: int, size: int) -> int:
        """The command block."""
        if not offset:
            # The data port, read a word at a time where nothing can be lent: no look-ups that can be spared.
            drive = self.drives[self.state.device >> 4 & 1]
            return drive.read_data(size) if drive is not None else 0
        value = self._read_register(offset)
        for at in range(1, size):
            value |= self._read_register(offset + at) << 8 * at
        return value

    def write(self, offset: int, size: int, value: int) -> None:
        """The command block."""
        if not offset:
            drive = self.drives[self.state.device >> 4 & 1]
            if drive is not None:
                drive.write_data(size, value)
            return
        for at in range(size):
            self._write_register(offset + at, value >> 8 * at & 0xFF)

    def _lend(self) -> Loan | None:
        drive = self.selected
        return drive.lend() if drive is not None else None

    def _read_register(self, offset: int) -> int:
        drive = self.selected
        if drive is None:
            drive = self.drives[0]
            if drive is None or offset == r.STATUS:
                return 0
        if offset == r.STATUS:
            drive.state.interrupt = False
            self.drive_interrupt()
            status: int = drive.state.status
            return status
        if offset == r.DEVICE:
            return self.state.device | r.OBSOLETE
        return drive.read_register(offset, bool(self.state.control & r.HOB))

    def _write_register(self, offset: int, value: int) -> None:
        # Any write of the command block turns the view back to its latest content (7.8.2).
        self.state.control &= ~r.HOB
        if offset == r.COMMAND:
            self._command(value)
            return
        drive = self.selected
        if drive is not None and drive.state.status & (r.BSY | r.DRQ):
            # 7.2 to 7.14: the result is indeterminate; nothing changes here.
            return
        if offset == r.DEVICE:
            self.state.device = value
            self.drive_interrupt()
            return
        for each in self.drives:
            if each is not None:
                each.write_register(offset, value)

    def _command(self, value: int) -> None:
        drive = self.selected
        if value == r.EXECUTE_DIAGNOSTIC and any(self.drives):
            # Both drives carry it out, whichever is selected (8.11).
            self.state.device &= ~r.DEV
            for each in self.drives:
                if each is not None:
                    each.reset_by_software()
            first = self.drives[0]
            if first is not None:
                first.interrupt()
            return
        if drive is None or (drive.state.status & (r.BSY | r.DRQ) and value != r.DEVICE_RESET):
            return
        drive.state.interrupt = False
        drive.execute(value)
        self.drive_interrupt()

    def read_control(self, offset: int, size: int) -> int:
        """The alternate status: like the status, and no interrupt ends."""
        drive = self.selected
        status: int = drive.state.status if drive is not None else 0
        return status

    def write_control(self, offset: int, size: int, value: int) -> None:
        """Device control: SRST holds both drives in reset while it is set (9.2)."""
        before, self.state.control = self.state.control, value
        if value & r.SRST and not before & r.SRST:
            for drive in self.drives:
                if drive is not None:
                    drive.hold_in_reset()
        elif before & r.SRST and not value & r.SRST:
            self.state.device = 0
            for drive in self.drives:
                if drive is not None:
                    drive.reset_by_software()
        self.drive_interrupt()

    def drive_interrupt(self) -> None:
        """Let INTRQ follow the selected drive and nIEN (7.8, 9.1)."""
        drive = self.selected
        level = drive is not None and drive.state.interrupt and not self.state.control & r.NIEN
        self.master.interrupt_line(level)
        self._irq(1 if level else 0)

    def request_transfer(self) -> None:
        """The selected drive wants to move data by bus master."""
        if self.master.started:
            self._start_transfer()

    def _start_transfer(self) -> None:
        drive = self.selected
        if drive is not None:
            drive.transfer()

    def _stop_transfer(self) -> None:
        for drive in self.drives:
            if drive is not None:
                drive.transfer_stopped()

    def restored(self) -> None:
        self.drive_interrupt()
