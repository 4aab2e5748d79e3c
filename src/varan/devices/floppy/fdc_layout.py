"""The floppy disk controller's numbers (Intel 82077AA data sheet, sections 2 and 5)."""

from __future__ import annotations

DRIVES = 4
"""That the controller can tell apart; a PC has cables for two."""

MOST_BUFFERED = 48 * 512
"""Bytes that a transfer holds at most: a track of the longest format."""

# Registers, by their distance from the first port (2.1)
DOR, TDR, MSR, FIFO, DIR = 2, 3, 4, 5, 7
DSR, CCR = MSR, DIR
"""Written at the places of the other two."""

DOR_RUN = 0x04
"""Clear: the controller is held in reset."""
DOR_GATE = 0x08
"""Interrupt and DMA request reach the PC."""
DSR_RESET = 0x80
MSR_RQM = 0x80
MSR_DIO = 0x40
MSR_NON_DMA = 0x20
MSR_BUSY = 0x10
DIR_CHANGED = 0x80

# Status register 0 (6.1)
ST0_ABNORMAL = 0x40
ST0_INVALID = 0x80
ST0_POLLED = 0xC0
ST0_SEEK_END = 0x20
ST0_EQUIPMENT_CHECK = 0x10
# Status register 1 (6.2)
ST1_END_OF_CYLINDER = 0x80
ST1_DATA_ERROR = 0x20
ST1_NO_DATA = 0x04
ST1_NOT_WRITABLE = 0x02
ST1_MISSING_MARK = 0x01
# Status register 2 (6.3)
ST2_CONTROL_MARK = 0x40
ST2_DATA_ERROR = 0x20
ST2_WRONG_CYLINDER = 0x10
# Status register 3 (6.4)
ST3_PROTECTED = 0x40
ST3_TRACK_0 = 0x10
ST3_FIXED = 0x28

# Commands (5.0): first byte without its flags
READ_TRACK, SPECIFY, SENSE_DRIVE, WRITE, READ, RECALIBRATE, SENSE_INTERRUPT, WRITE_DELETED = range(2, 10)
READ_ID, READ_DELETED, FORMAT, DUMPREG, SEEK, VERSION = 0x0A, 0x0C, 0x0D, 0x0E, 0x0F, 0x10
PERPENDICULAR, CONFIGURE, LOCK, VERIFY = 0x12, 0x13, 0x14, 0x16
RELATIVE_SEEK = 0x8F

MULTITRACK = 0x80
LOCK_BIT = 0x80
RELATIVE_IN = 0x40

LENGTHS = {
    READ_TRACK: 9,
    SPECIFY: 3,
    SENSE_DRIVE: 2,
    WRITE: 9,
    READ: 9,
    RECALIBRATE: 2,
    SENSE_INTERRUPT: 1,
    WRITE_DELETED: 9,
    READ_ID: 2,
    READ_DELETED: 9,
    FORMAT: 6,
    DUMPREG: 1,
    SEEK: 3,
    VERSION: 1,
    PERPENDICULAR: 2,
    CONFIGURE: 4,
    LOCK: 1,
    VERIFY: 9,
    RELATIVE_SEEK: 3,
}
"""Bytes of each command, the first one included."""
_EXACT = {SPECIFY, SENSE_DRIVE, RECALIBRATE, SENSE_INTERRUPT, DUMPREG, SEEK, VERSION, PERPENDICULAR, CONFIGURE}
"""Commands whose first byte has no flags."""
_FLAGS = {
    READ_TRACK: 0x40,
    WRITE: 0xC0,
    READ: 0xE0,
    WRITE_DELETED: 0xC0,
    READ_ID: 0x40,
    READ_DELETED: 0xE0,
    FORMAT: 0x40,
    LOCK: LOCK_BIT,
    VERIFY: 0xE0,
    RELATIVE_SEEK: RELATIVE_IN,
}
"""Bits of the first byte that are flags."""

CONFIGURE_IMPLIED_SEEK = 0x40
CONFIGURE_FIFO_OFF = 0x20
CONFIGURE_POLL_OFF = 0x10
VERSION_82077 = 0x90


def command_of(first: int) -> int | None:
    """The command that begins with this byte; None for an invalid one."""
    if first in _EXACT:
        return first
    return next((code for code, flags in _FLAGS.items() if first & ~flags & 0xFF == code), None)
