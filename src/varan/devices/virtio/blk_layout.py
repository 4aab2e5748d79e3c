"""The virtio block device's numbers and structures (VIRTIO 1.2, 5.2)."""

from __future__ import annotations

import struct
from typing import NamedTuple

SECTOR = 512
"""Bytes in which offsets and the capacity are counted, whatever the block size."""

# Features
F_SEG_MAX = 1 << 2
F_GEOMETRY = 1 << 4
F_RO = 1 << 5
F_BLK_SIZE = 1 << 6
F_FLUSH = 1 << 9
F_TOPOLOGY = 1 << 10
F_CONFIG_WCE = 1 << 11
F_MQ = 1 << 12
F_DISCARD = 1 << 13
F_WRITE_ZEROES = 1 << 14

# Requests
T_IN = 0
T_OUT = 1
T_FLUSH = 4
T_GET_ID = 8
T_DISCARD = 11
T_WRITE_ZEROES = 13

# How they ended
S_OK = 0
S_IOERR = 1
S_UNSUPP = 2

HEADER = struct.Struct("<IIQ")
"""Type, reserved, sector."""
SEGMENT = struct.Struct("<QII")
"""Of discard and write zeroes: sector, number of sectors, flags."""
SEGMENT_UNMAP = 1
MOST_SEGMENTS = 16
"""Segments of one discard or write zeroes request."""
MOST_SECTORS = ((1 << 31) - 1) // SECTOR
"""Sectors of one segment, unless a device allows fewer."""
ID_BYTES = 20

WRITEBACK_OFFSET = 32
"""Of the cache mode in the configuration space."""
_CONFIG = struct.Struct("<QII HBB I BBHI BxH III IIB3x")


class DiskShape(NamedTuple):
    """What the configuration space says of a disk. Sizes in bytes."""

    logical_block: int = SECTOR
    physical_block: int = SECTOR
    min_io: int = 0
    opt_io: int = 0
    cylinders: int = 0
    heads: int = 0
    sectors: int = 0


def geometry(length: int) -> tuple[int, int, int]:
    """Cylinders, heads and sectors that a disk of `length` bytes pretends to have."""
    return min(max(length // SECTOR // (16 * 63), 2), 16383), 16, 63


def pack_config(
    shape: DiskShape,
    length: int,
    *,
    most_buffers: int,
    queues: int,
    writeback: bool,
    discard_granularity: int,
    most_discarded: int,
    most_zeroed: int,
) -> bytes:
    """The configuration space (5.2.4)."""
    exponent = (shape.physical_block // shape.logical_block).bit_length() - 1
    block = shape.logical_block
    return _CONFIG.pack(
        length // SECTOR,
        0,
        most_buffers,
        shape.cylinders,
        shape.heads,
        shape.sectors,
        block,
        exponent,
        0,
        shape.min_io // block,
        shape.opt_io // block,
        writeback,
        queues,
        most_discarded,
        MOST_SEGMENTS,
        discard_granularity // SECTOR,
        most_zeroed,
        MOST_SEGMENTS,
        1,
    )
