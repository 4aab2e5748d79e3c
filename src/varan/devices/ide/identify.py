"""What drives say of themselves (ATA/ATAPI-6, 8.15 and 8.16): 256 words, strings with their bytes swapped."""

from __future__ import annotations

import struct
from dataclasses import dataclass

from varan.version import VERSION

WORDS = 256
MOST_MULTIPLE = 16
"""Sectors of a block of READ and WRITE MULTIPLE."""
MOST_TRIM_BLOCKS = 8
"""Blocks of ranges that DATA SET MANAGEMENT takes at once."""
LARGEST_LBA28 = (1 << 28) - 1
FIRMWARE = VERSION
"""Shown unless a drive is given another revision."""

MWDMA_MODES = 0x07
UDMA_MODES = 0x3F
MWDMA, UDMA = 0x20, 0x40
"""Kinds of transfer mode, in bits 7 to 3 of its number (8.46.11)."""


def is_transfer_mode(mode: int) -> bool:
    """Whether the mode of SET FEATURES is one that drives have here."""
    kind, number = mode & ~7, mode & 7
    return (
        mode in (0, 1)
        or (kind == 0x08 and number <= 4)
        or (kind == MWDMA and number <= 2)
        or (kind == UDMA and number <= 5)
    )


@dataclass(frozen=True, slots=True)
class Labels:
    """Names that a drive goes by: serial number (20 characters), firmware revision (8), model (40), World Wide Name."""

    serial: str
    revision: str
    model: str
    wwn: int = 0


@dataclass(frozen=True, slots=True)
class DiskIdentity:
    """What is constant about a disk."""

    labels: Labels
    sectors: int
    cylinders: int
    heads: int
    sectors_per_track: int
    physical_exponent: int = 0
    """Logical sectors of a physical one, as a power of two."""
    rotation_rate: int = 0
    """Revolutions a minute, 1 for a disk that does not turn, 0 to say nothing."""
    trim: bool = True


class Words:
    """The 256 words while they are written."""

    def __init__(self) -> None:
        self._words = [0] * WORDS

    def __setitem__(self, index: int, value: int) -> None:
        self._words[index] = value & 0xFFFF

    def put_string(self, index: int, text: str, words: int) -> None:
        """Left-justified ASCII, padded with blanks."""
        data = text.encode("ascii", "replace")[: 2 * words].ljust(2 * words)
        self._words[index : index + words] = struct.unpack(f">{words}H", data)

    def put_long(self, index: int, value: int, words: int) -> None:
        """A number of several words, the lowest first."""
        for at in range(words):
            self[index + at] = value >> 16 * at

    def put_labels(self, labels: Labels) -> None:
        """Words 10 to 46, and the World Wide Name."""
        self.put_string(10, labels.serial, 10)
        self.put_string(23, labels.revision, 4)
        self.put_string(27, labels.model, 20)
        for at in range(4):
            self[108 + at] = labels.wwn >> 16 * (3 - at)

    def put_modes(self, mode: int) -> None:
        """DMA modes; `mode` is the one that is set."""
        chosen = 1 << (mode & 7) + 8
        self[63] = MWDMA_MODES | (chosen if mode & ~7 == MWDMA else 0)
        self[64] = 0x0003
        for index in range(65, 69):
            self[index] = 120
        self[88] = UDMA_MODES | (chosen if mode & ~7 == UDMA else 0)

    def image(self) -> bytes:
        """The 512 bytes, with signature and checksum in the last word."""
        data = struct.pack(f"<{WORDS - 1}H", *self._words[:-1]) + b"\xa5"
        return data + bytes((-sum(data) & 0xFF,))


def identify_disk(
    disk: DiskIdentity, *, heads: int, sectors: int, multiple: int, mode: int, write_cache: bool, first: bool
) -> bytes:
    """IDENTIFY DEVICE: `heads` and `sectors` of the translation now, `multiple` as it is set; `first`: device 0."""
    words = Words()
    words.put_labels(disk.labels)
    words[0] = 0x0040
    words[1], words[3], words[6] = disk.cylinders, disk.heads, disk.sectors_per_track
    words[47] = 0x8000 | MOST_MULTIPLE
    words[49] = 0x0F00  # DMA, LBA, IORDY
    words[50] = 0x4000
    words[53] = 0x0007
    cylinders = min(disk.cylinders * disk.heads * disk.sectors_per_track // (heads * sectors), 65535)
    words[54], words[55], words[56] = cylinders, heads, sectors
    words.put_long(57, cylinders * heads * sectors, 2)
    words[59] = 0x0100 | multiple if multiple else 0
    words.put_long(60, min(disk.sectors, LARGEST_LBA28), 2)
    words.put_modes(mode)
    words[80] = 0x0070  # ATA/ATAPI-4 to 6
    has_name = 0x0100 if disk.labels.wwn else 0
    words[82], words[85] = 0x4020, 0x4000 | (0x20 if write_cache else 0)
    words[83], words[86] = 0x7400, 0x3400
    words[84] = words[87] = 0x4040 | has_name
    words[93] = 0x600B if first else 0x6B00
    words.put_long(100, disk.sectors, 4)
    words[106] = 0x4000 | (0x2000 | disk.physical_exponent if disk.physical_exponent else 0)
    if disk.trim:
        words[105], words[169] = MOST_TRIM_BLOCKS, 1
    words[217] = disk.rotation_rate
    return words.image()


def identify_optical(labels: Labels, *, mode: int, first: bool) -> bytes:
    """IDENTIFY PACKET DEVICE of a drive with a removable medium and packets of twelve bytes."""
    words = Words()
    words.put_labels(labels)
    words[0] = 0x85C0  # packet device, type 5, removable, answers to the packet within 50 us
    words[49] = 0x0F00
    words[53] = 0x0006
    words.put_modes(mode)
    words[80] = 0x0070
    words[82], words[85] = 0x4210, 0x4210  # NOP, DEVICE RESET, packets
    words[83] = words[84] = words[87] = 0x4000
    words[93] = 0x600B if first else 0x6B00
    return words.image()
