"""What a floppy disk controller remembers."""

from __future__ import annotations

import enum
from typing import Annotated

import msgspec
from msgspec import Meta

from varan.core.state import State
from varan.devices.fields import Byte
from varan.devices.floppy import fdc_layout as f

Bytes16 = Annotated[list[Byte], Meta(max_length=16)]


class Phase(enum.Enum):
    """What the controller is at (5.0)."""

    COMMAND = "command"
    EXECUTION = "execution"
    RESULT = "result"


class Stage(enum.Enum):
    """What a transfer waits for."""

    MEDIUM = "medium"
    HOST = "host"


class DriveState(msgspec.Struct):
    """One drive as the controller and its own electronics know it."""

    track: Byte = 0
    """Where the heads are."""
    present: Byte = 0
    """Where the controller believes that they are."""
    changed: bool = True
    """The disk has been changed since the heads last moved."""


class TransferState(msgspec.Struct):
    """A command that moves data, while it is executed."""

    command: Byte
    drive: Annotated[int, Meta(ge=0, lt=f.DRIVES)]
    multitrack: bool
    cylinder: Byte
    head: Annotated[int, Meta(ge=0, le=1)]
    sector: Byte
    last: Byte
    """The last sector of a track."""
    stage: Stage = Stage.MEDIUM
    buffer: Annotated[bytes, Meta(max_length=f.MOST_BUFFERED)] = b""
    """Read and not yet taken, or given and not yet written."""
    moved: Annotated[int, Meta(ge=0, le=f.MOST_BUFFERED)] = 0
    """Bytes of the current buffer that the host has taken."""
    ending: bool = False
    """The terminal count was reached."""
    ended: bool = False
    """The last sector of the cylinder is done."""
    fill: Byte = 0
    """What sectors are formatted with."""
    entries: Byte = 0
    """Sectors that are still to be formatted or verified."""


def _drives() -> list[DriveState]:
    return [DriveState() for _ in range(f.DRIVES)]


class FdcState(State, kw_only=True):
    """The controller's registers and what it is doing."""

    dor: Byte = 0
    tdr: Byte = 0
    dsr: Byte = 2
    phase: Phase = Phase.COMMAND
    fifo: Bytes16 = msgspec.field(default_factory=list)
    """The command so far, or results that were not read yet."""
    interrupt: bool = False
    senses: Annotated[list[tuple[Byte, Byte]], Meta(max_length=f.DRIVES)] = msgspec.field(default_factory=list)
    """Status register 0 and cylinder for SENSE INTERRUPT, the next one first."""
    seeking: Byte = 0
    """Drives whose seek has not been asked about."""
    specify: tuple[Byte, Byte] = (0, 0)
    configure: Byte = 0
    precompensation: Byte = 0
    locked: bool = False
    perpendicular: Byte = 0
    last_sector: Byte = 0
    drives: Annotated[list[DriveState], Meta(min_length=f.DRIVES, max_length=f.DRIVES)] = msgspec.field(
        default_factory=_drives
    )
    rotation: Byte = 0
    """Sectors that have passed by READ ID."""
    transfer: TransferState | None = None
