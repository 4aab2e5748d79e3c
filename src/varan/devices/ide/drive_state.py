"""What a drive has of declared state, and the phases of its commands."""

from __future__ import annotations

from typing import Annotated

import msgspec

from varan.core.state import State
from varan.devices.fields import Byte, Word
from varan.devices.ide import registers as r

MOST_BUFFERED = 1 << 16
"""Bytes of data that a drive holds for the data port."""
IDLE, DATA_IN, DATA_OUT, PACKET, FETCH, STORE, TRANSFER_WAIT, TRANSFER, FLUSH, VERIFY = range(10)
"""Phases: nothing; the guest reads or writes the data port, or a packet there; data come from, or go to, the back end
for the data port; data wait for the bus master, or move; a flush; a read without data."""
PENDING = (FETCH, STORE, TRANSFER, FLUSH, VERIFY)
"""Those in which the drive is busy with its back end."""


class DriveState(State, kw_only=True):
    """The registers. Those that 48-bit commands write twice have their previous content in the high byte."""

    features: Word = 0
    count: Word = 1
    lba_low: Word = 1
    lba_mid: Word = 0
    lba_high: Word = 0
    status: Byte = r.DRDY | r.DSC
    error: Byte = r.DIAGNOSTIC_PASSED
    interrupt: bool = False
    """Whether the drive asks for one."""
    write_cache: bool = True
    phase: Annotated[int, msgspec.Meta(ge=0, le=VERIFY)] = IDLE
    command: Byte = 0
    """Under way."""
    buffer: Annotated[bytearray, msgspec.Meta(max_length=MOST_BUFFERED)] = msgspec.field(default_factory=bytearray)
    """What goes through the data port."""
    position: Annotated[int, msgspec.Meta(ge=0, le=MOST_BUFFERED)] = 0
    """How much of it has."""
    end: Annotated[int, msgspec.Meta(ge=0, le=MOST_BUFFERED)] = 0
    """How much goes before the drive says something."""
