"""The packets of an optical drive that reads (SFF-8020i, 10; Multi-Media Commands MMC-3, 6).

Each handler takes the packet and replies, begins a read, finishes, or raises CheckCondition.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from varan.devices.ide.atapi import AtapiDrive

BLOCK = 2048
LARGEST_CD = 80 * 60 * 75
"""Blocks of a CD; what has more is a DVD."""
PREGAP = 150
"""Frames before block 0, in addresses by minute, second and frame."""
KILOBYTES_A_SECOND = 706
"""Four times the speed of audio."""

# Sense keys, and additional codes with their qualifiers.
NOT_READY, MEDIUM_ERROR, ILLEGAL_REQUEST, UNIT_ATTENTION = 2, 3, 5, 6
UNREADABLE = 0x1100
INVALID_COMMAND = 0x2000
OUT_OF_RANGE = 0x2100
INVALID_FIELD = 0x2400
MEDIUM_CHANGED = 0x2800
POWERED_ON = 0x2900
NO_SAVED_VALUES = 0x3900
NO_MEDIUM_TRAY_CLOSED = 0x3A01
NO_MEDIUM_TRAY_OPEN = 0x3A02
LOCKED = 0x5302

TEST_UNIT_READY = 0x00
REQUEST_SENSE = 0x03
INQUIRY = 0x12
START_STOP = 0x1B
PREVENT_ALLOW = 0x1E
READ_CAPACITY = 0x25
READ_10 = 0x28
SEEK_10 = 0x2B
READ_TOC = 0x43
GET_CONFIGURATION = 0x46
GET_EVENT = 0x4A
READ_DISC_INFORMATION = 0x51
MODE_SENSE_10 = 0x5A
READ_12 = 0xA8
SET_CD_SPEED = 0xBB
MECHANISM_STATUS = 0xBD
READ_CD = 0xBE

UNATTENDED = (INQUIRY, REQUEST_SENSE, GET_CONFIGURATION, GET_EVENT)
"""Done even when the guest has to be told something first."""

DATA_TRACK = 0x14
LEAD_OUT = 0xAA
PROFILE_CD, PROFILE_DVD = 0x0008, 0x0010


class CheckCondition(Exception):
    """The packet fails: sense key, additional code and qualifier."""

    def __init__(self, key: int, code: int) -> None:
        super().__init__(f"sense {key:x} {code:04x}")
        self.sense = key << 16 | code


class MediaEvent(enum.IntEnum):
    """What GET EVENT STATUS NOTIFICATION tells of the medium (MMC-3, table 75)."""

    NONE = 0
    EJECT_REQUEST = 1
    NEW_MEDIUM = 2
    REMOVAL = 3


def absent(drive: AtapiDrive) -> CheckCondition:
    """There is no medium that could be read."""
    return CheckCondition(NOT_READY, NO_MEDIUM_TRAY_OPEN if drive.state.tray_open else NO_MEDIUM_TRAY_CLOSED)


def carry_out(drive: AtapiDrive, packet: bytes) -> None:
    """Do what the packet says. Raises CheckCondition."""
    state, operation = drive.state, packet[0]
    if operation != REQUEST_SENSE:
        state.sense = 0
    if state.attention and operation not in UNATTENDED:
        code, state.attention = state.attention, 0
        raise CheckCondition(UNIT_ATTENTION, code)
    handler = _HANDLERS.get(operation)
    if handler is None:
        raise CheckCondition(ILLEGAL_REQUEST, INVALID_COMMAND)
    if operation in _WANT_MEDIUM and not drive.ready:
        raise absent(drive)
    handler(drive, packet)


def _word(packet: bytes, at: int) -> int:
    return packet[at] << 8 | packet[at + 1]


def _test_unit_ready(drive: AtapiDrive, packet: bytes) -> None:
    drive.finish()


def _request_sense(drive: AtapiDrive, packet: bytes) -> None:
    """The sense of the packet before, in fixed format; what waits to be told counts where there is none."""
    state = drive.state
    if not state.sense and state.attention:
        state.sense, state.attention = UNIT_ATTENTION << 16 | state.attention, 0
    key, code, qualifier = state.sense >> 16, state.sense >> 8 & 0xFF, state.sense & 0xFF
    state.sense = 0
    drive.reply((bytes((0x70, 0, key, 0, 0, 0, 0, 10, 0, 0, 0, 0, code, qualifier)) + bytes(4))[: packet[4]])


def _inquiry(drive: AtapiDrive, packet: bytes) -> None:
    if packet[1] & 0x01:
        raise CheckCondition(ILLEGAL_REQUEST, INVALID_FIELD)
    product = drive.labels.model.removeprefix("VARAN ").encode("ascii", "replace")[:16].ljust(16)
    revision = drive.labels.revision.encode("ascii", "replace")[:4].ljust(4)
    drive.reply((bytes((0x05, 0x80, 0x00, 0x21, 31, 0, 0, 0)) + b"VARAN   " + product + revision)[: packet[4]])


def _start_stop(drive: AtapiDrive, packet: bytes) -> None:
    load, start = bool(packet[4] & 0x02), bool(packet[4] & 0x01)
    if load and not packet[4] & 0xF0:
        if not start and drive.state.locked:
            raise CheckCondition(ILLEGAL_REQUEST, LOCKED)
        drive.move_tray(not start)
    drive.finish()


def _prevent_allow(drive: AtapiDrive, packet: bytes) -> None:
    drive.state.locked = bool(packet[4] & 0x01)
    drive.finish()


def _read_capacity(drive: AtapiDrive, packet: bytes) -> None:
    drive.reply(struct.pack(">II", max(min(drive.blocks, 1 << 32) - 1, 0), BLOCK))


def _read_10(drive: AtapiDrive, packet: bytes) -> None:
    (lba,) = struct.unpack_from(">I", packet, 2)
    _read(drive, lba, _word(packet, 7))


def _read_12(drive: AtapiDrive, packet: bytes) -> None:
    lba, count = struct.unpack_from(">II", packet, 2)
    _read(drive, lba, count)


def _read_cd(drive: AtapiDrive, packet: bytes) -> None:
    """Of a data track only the user data."""
    (lba,) = struct.unpack_from(">I", packet, 2)
    count = int.from_bytes(packet[6:9], "big")
    kind = packet[9] & 0xF8
    if kind == 0 or not count:
        drive.finish()
    elif kind == 0x10 and not packet[10] & 0x07:
        _read(drive, lba, count)
    else:
        raise CheckCondition(ILLEGAL_REQUEST, INVALID_FIELD)


def _read(drive: AtapiDrive, lba: int, count: int) -> None:
    if lba + count > drive.blocks:
        raise CheckCondition(ILLEGAL_REQUEST, OUT_OF_RANGE)
    drive.read(lba, count)


def _seek(drive: AtapiDrive, packet: bytes) -> None:
    (lba,) = struct.unpack_from(">I", packet, 2)
    if lba >= drive.blocks:
        raise CheckCondition(ILLEGAL_REQUEST, OUT_OF_RANGE)
    drive.finish()


def _address(lba: int, msf: bool) -> bytes:
    """A block's address, as a number or as minute, second and frame."""
    if not msf:
        return struct.pack(">I", min(lba, 0xFFFFFFFF))
    minute, frames = divmod(lba + PREGAP, 60 * 75)
    return bytes((0, min(minute, 255), frames // 75, frames % 75))


def _read_toc(drive: AtapiDrive, packet: bytes) -> None:
    """One data track from block 0 to the end."""
    msf, track = bool(packet[1] & 0x02), packet[6]
    form = packet[2] & 0x0F or packet[9] >> 6
    if form == 0:
        entries = b""
        if track <= 1:
            entries = bytes((0, DATA_TRACK, 1, 0)) + _address(0, msf)
        elif track != LEAD_OUT:
            raise CheckCondition(ILLEGAL_REQUEST, INVALID_FIELD)
        entries += bytes((0, DATA_TRACK, LEAD_OUT, 0)) + _address(drive.blocks, msf)
    elif form == 1:
        entries = bytes((0, DATA_TRACK, 1, 0)) + _address(0, msf)
    elif form == 2:
        # First and last track, lead-out, the track itself; the form has addresses by minute, second and frame.
        places = {0xA0: bytes((0, 1, 0, 0)), 0xA1: bytes((0, 1, 0, 0)), 0xA2: _address(drive.blocks, True)}
        places[1] = _address(0, True)
        entries = b"".join(bytes((1, DATA_TRACK, 0, point, 0, 0, 0)) + place for point, place in places.items())
    else:
        raise CheckCondition(ILLEGAL_REQUEST, INVALID_FIELD)
    drive.reply((struct.pack(">HBB", len(entries) + 2, 1, 1) + entries)[: _word(packet, 7)])


def _features(drive: AtapiDrive) -> dict[int, tuple[int, bytes]]:
    """Number -> (version, persistent and current bits with length left out; data) of MMC-3, 5.3."""
    cd = drive.ready and drive.blocks <= LARGEST_CD
    dvd = drive.ready and not cd
    profiles = struct.pack(">HBBHBB", PROFILE_DVD, dvd, 0, PROFILE_CD, cd, 0)
    return {
        0x0000: (0x03, profiles),
        0x0001: (0x07, struct.pack(">I", 2) + bytes((1, 0, 0, 0))),
        0x0003: (0x03, bytes((0x29, 0, 0, 0))),
        0x0010: (0x01 if drive.ready else 0, struct.pack(">IHBB", BLOCK, 1, 0, 0)),
        0x001E: (0x08 | cd, bytes(4)),
        0x001F: (0x00 | dvd, b""),
    }


def _get_configuration(drive: AtapiDrive, packet: bytes) -> None:
    wanted, first = packet[1] & 0x03, _word(packet, 2)
    if wanted == 3:
        raise CheckCondition(ILLEGAL_REQUEST, INVALID_FIELD)
    body = b""
    for number, (flags, data) in _features(drive).items():
        if (number == first) if wanted == 2 else (number >= first and (wanted == 0 or flags & 1)):
            body += struct.pack(">HBB", number, flags, len(data)) + data
    profile = 0 if not drive.ready else PROFILE_CD if drive.blocks <= LARGEST_CD else PROFILE_DVD
    drive.reply((struct.pack(">IHH", len(body) + 4, 0, profile) + body)[: _word(packet, 7)])


def _get_event(drive: AtapiDrive, packet: bytes) -> None:
    """Polled, and of the media class only."""
    if not packet[1] & 0x01:
        raise CheckCondition(ILLEGAL_REQUEST, INVALID_FIELD)
    if not packet[4] & 0x10:
        drive.reply(bytes((0, 2, 0x80, 0x10))[: _word(packet, 7)])
        return
    state = drive.state
    event, state.event = state.event, MediaEvent.NONE
    status = (0x01 if state.tray_open else 0) | (0x02 if drive.ready else 0)
    drive.reply(bytes((0, 6, 0x04, 0x10, event, status, 0, 0))[: _word(packet, 7)])


def _read_disc_information(drive: AtapiDrive, packet: bytes) -> None:
    """One finished session with one track."""
    if packet[1] & 0x07:
        raise CheckCondition(ILLEGAL_REQUEST, INVALID_FIELD)
    drive.reply((bytes((0, 32, 0x0E, 1, 1, 1, 1, 0x20)) + bytes(26))[: _word(packet, 7)])


def _mode_sense(drive: AtapiDrive, packet: bytes) -> None:
    control, page = packet[2] >> 6, packet[2] & 0x3F
    if control == 3:
        raise CheckCondition(ILLEGAL_REQUEST, NO_SAVED_VALUES)
    pages = {0x01: _recovery_page(), 0x2A: _capabilities_page(drive)}
    if page != 0x3F and page not in pages:
        raise CheckCondition(ILLEGAL_REQUEST, INVALID_FIELD)
    body = b""
    for number, data in pages.items():
        if page in (0x3F, number):
            # Nothing can be changed.
            body += bytes((number, len(data))) + (bytes(len(data)) if control == 1 else data)
    medium = 0x71 if drive.state.tray_open else 0x01 if drive.ready else 0x70
    drive.reply((struct.pack(">HB", len(body) + 6, medium) + bytes(5) + body)[: _word(packet, 7)])


def _recovery_page() -> bytes:
    return bytes((0x00, 0x05, 0, 0, 0, 0))


def _capabilities_page(drive: AtapiDrive) -> bytes:
    """MMC-3, 5.2.3.4: reads CD-R, CD-RW and DVD-ROM, has a tray that can be locked and moved."""
    mechanism = 0x29 | (0x02 if drive.state.locked else 0)
    speed = KILOBYTES_A_SECOND
    return struct.pack(">BBBBBBHHHHBBHHBB", 0x0B, 0, 0, 0, mechanism, 0, speed, 0, 512, speed, 0, 0, 0, 0, 0, 0)


def _mechanism_status(drive: AtapiDrive, packet: bytes) -> None:
    door = 0x10 if drive.state.tray_open else 0
    drive.reply(bytes((0, door, 0, 0, 0, 1, 0, 0))[: _word(packet, 8)])


def _set_speed(drive: AtapiDrive, packet: bytes) -> None:
    drive.finish()


_WANT_MEDIUM = (
    TEST_UNIT_READY,
    READ_CAPACITY,
    READ_10,
    READ_12,
    READ_CD,
    SEEK_10,
    READ_TOC,
    READ_DISC_INFORMATION,
)

_HANDLERS: dict[int, Callable[[AtapiDrive, bytes], None]] = {
    TEST_UNIT_READY: _test_unit_ready,
    REQUEST_SENSE: _request_sense,
    INQUIRY: _inquiry,
    START_STOP: _start_stop,
    PREVENT_ALLOW: _prevent_allow,
    READ_CAPACITY: _read_capacity,
    READ_10: _read_10,
    SEEK_10: _seek,
    READ_TOC: _read_toc,
    GET_CONFIGURATION: _get_configuration,
    GET_EVENT: _get_event,
    READ_DISC_INFORMATION: _read_disc_information,
    MODE_SENSE_10: _mode_sense,
    READ_12: _read_12,
    SET_CD_SPEED: _set_speed,
    MECHANISM_STATUS: _mechanism_status,
    READ_CD: _read_cd,
}
