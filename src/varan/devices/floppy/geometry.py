"""Formats of floppy disks, and the drives that take them."""

from __future__ import annotations

from typing import NamedTuple

SECTOR = 512
SIZE_CODE = 2
"""N of the controller's commands for sectors of 512 bytes: 128 << N."""

RATE_500K, RATE_300K, RATE_250K, RATE_1M = range(4)
"""Data rates, as the data rate select register has them."""


class Format(NamedTuple):
    """How a disk is divided. `drive` is the kind of drive that is made for it."""

    drive: str
    sectors: int
    cylinders: int
    heads: int
    rate: int

    @property
    def length(self) -> int:
        """Bytes of the whole disk."""
        return self.sectors * self.cylinders * self.heads * SECTOR


FORMATS = (
    Format("144", 18, 80, 2, RATE_500K),
    *(Format("144", sectors, 80, 2, RATE_500K) for sectors in (20, 21, 22, 23, 24)),
    *(Format("144", 21, cylinders, 2, RATE_500K) for cylinders in (82, 83)),
    *(Format("288", sectors, 80, 2, RATE_1M) for sectors in (36, 39, 40, 44, 48)),
    Format("144", 9, 80, 2, RATE_250K),
    *(Format("144", sectors, 80, 2, RATE_250K) for sectors in (10, 12, 13, 14)),
    Format("120", 15, 80, 2, RATE_500K),
    Format("120", 9, 40, 2, RATE_300K),
    Format("120", 9, 40, 1, RATE_300K),
    Format("120", 10, 41, 2, RATE_300K),
    Format("120", 8, 40, 2, RATE_250K),
    Format("120", 8, 40, 1, RATE_250K),
)
"""Those that are recognized by their length. Longer tracks than the standard's are common for images."""

STANDARD = {"144": FORMATS[0], "288": Format("288", 36, 80, 2, RATE_1M), "120": Format("120", 15, 80, 2, RATE_500K)}
"""What each kind of drive is made for."""
CMOS_TYPES = {"120": 2, "144": 4, "288": 5}
"""What a PC's CMOS calls the kinds."""
_TAKES = {"144": ("144",), "288": ("288", "144"), "120": ("120",)}


def find_format(length: int, drive: str) -> Format:
    """The format of an image of `length` bytes in a drive of kind `drive`, by default the drive's standard one."""
    for known in FORMATS:
        if known.length == length and known.drive in _TAKES[drive]:
            return known
    return STANDARD[drive]


def drive_for(length: int, fallback: str) -> str:
    """The kind of drive that an image of `length` bytes is made for."""
    return next((known.drive for known in FORMATS if known.length == length), fallback)
