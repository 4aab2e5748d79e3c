"""The numbers of the qcow2 format: field positions, bit masks, and the geometry that follows from a header.

All integers on disk are big-endian. A guest offset is looked up in two levels: the L1 table (one per image, entries
point to L2 tables) and L2 tables of one cluster each. Host clusters are counted in refcount blocks of one cluster,
which the refcount table points to. Tables are kept in memory as `array("Q")` in host byte order.
"""

from __future__ import annotations

import sys
from array import array

from varan.light import record

MAGIC = b"QFI\xfb"
HEADER_LENGTH_V2 = 72
HEADER_LENGTH_V3 = 104
HEADER_LENGTH = 112
"""What new version 3 images have: with the compression type, padded to eight bytes."""

MIN_CLUSTER_BITS = 9
MAX_CLUSTER_BITS = 21
MAX_L1_BYTES = 32 << 20
MAX_REFCOUNT_TABLE_BYTES = 8 << 20
MAX_SNAPSHOTS = 65536
MAX_SNAPSHOT_TABLE_BYTES = 1024 * MAX_SNAPSHOTS
MAX_BACKING_NAME = 1023
MAX_IMAGE_BYTES = (1 << 63) - (1 << 21)

OFFSET_MASK = 0x00FF_FFFF_FFFF_FE00
"""Bits 9 to 55 of an L1 or standard L2 entry: the host offset."""
COPIED = 1 << 63
"""The refcount of what the entry points to is exactly one: it may be written in place."""
COMPRESSED = 1 << 62
ZERO = 1
"""Standard L2 entries, version 3: reads as zeros whatever the offset says."""
L1_RESERVED = 0x7F00_0000_0000_01FF
L2_RESERVED = 0x3F00_0000_0000_01FE
REFCOUNT_TABLE_MASK = 0xFFFF_FFFF_FFFF_FE00

SUBCLUSTERS = 32
"""Of a cluster with extended L2 entries."""
ALL_SUBCLUSTERS = (1 << SUBCLUSTERS) - 1
SECTOR = 512

INCOMPATIBLE_DIRTY = 1 << 0
"""Refcounts may be stale (lazy refcounts)."""
INCOMPATIBLE_CORRUPT = 1 << 1
INCOMPATIBLE_DATA_FILE = 1 << 2
INCOMPATIBLE_COMPRESSION = 1 << 3
INCOMPATIBLE_EXTENDED_L2 = 1 << 4
INCOMPATIBLE_KNOWN = 0x1F
COMPATIBLE_LAZY_REFCOUNTS = 1 << 0
AUTOCLEAR_BITMAPS = 1 << 0
AUTOCLEAR_DATA_FILE_RAW = 1 << 1
AUTOCLEAR_KNOWN = 3

CRYPT_NONE = 0
CRYPT_AES = 1
CRYPT_LUKS = 2

COMPRESSION_ZLIB = 0
COMPRESSION_ZSTD = 1
COMPRESSION_NAMES = {COMPRESSION_ZLIB: "zlib", COMPRESSION_ZSTD: "zstd"}

EXTENSION_END = 0
EXTENSION_BACKING_FORMAT = 0xE279_2ACA
EXTENSION_FEATURE_NAMES = 0x6803_F857
EXTENSION_BITMAPS = 0x2385_2875
EXTENSION_CRYPTO = 0x0537_BE77
EXTENSION_DATA_FILE = 0x4441_5441

# Positions of header fields that are rewritten alone.
AT_SIZE = 24
AT_L1 = 36
"""L1 size (4 bytes, entries), then its offset (8)."""
AT_REFCOUNT_TABLE = 48
"""Refcount table offset (8), then its size (4, clusters)."""
AT_SNAPSHOTS = 60
"""Number of snapshots (4), then the table's offset (8)."""
AT_FEATURES = 72
"""Incompatible, compatible, autoclear (8 each)."""
AT_REFCOUNT_ORDER = 96


@record(frozen=True, slots=True)
class Geometry:
    """What follows from cluster size, refcount width and the kind of L2 entry."""

    cluster_bits: int
    refcount_bits: int = 16
    extended_l2: bool = False

    @property
    def cluster_size(self) -> int:
        """Bytes."""
        return 1 << self.cluster_bits

    @property
    def words_per_entry(self) -> int:
        """64-bit words of an L2 entry."""
        return 2 if self.extended_l2 else 1

    @property
    def l2_entries(self) -> int:
        """Entries of an L2 table."""
        return self.cluster_size // (8 * self.words_per_entry)

    @property
    def l2_coverage(self) -> int:
        """Guest bytes that one L2 table maps."""
        return self.l2_entries << self.cluster_bits

    @property
    def subcluster_size(self) -> int:
        """Bytes of the smallest unit of mapping: a subcluster, or a cluster."""
        return self.cluster_size // SUBCLUSTERS if self.extended_l2 else self.cluster_size

    @property
    def refcounts_per_block(self) -> int:
        """Entries of a refcount block."""
        return self.cluster_size * 8 // self.refcount_bits

    @property
    def refcount_max(self) -> int:
        """Largest count an entry holds."""
        return (1 << self.refcount_bits) - 1

    def l1_entries(self, size: int) -> int:
        """L1 entries that an image of `size` bytes needs."""
        return -(-size // self.l2_coverage)

    def clusters(self, length: int) -> int:
        """Clusters that `length` bytes take."""
        return -(-length // self.cluster_size)

    def compressed_extent(self, entry: int) -> tuple[int, int]:
        """(host offset, longest possible length in bytes) of a compressed cluster's data."""
        shift = 62 - (self.cluster_bits - 8)
        offset = entry & ((1 << shift) - 1)
        sectors = ((entry >> shift) & ((1 << (self.cluster_bits - 8)) - 1)) + 1
        return offset, sectors * SECTOR - (offset & (SECTOR - 1))

    def compressed_entry(self, offset: int, length: int) -> int:
        """The L2 entry of a cluster whose compressed data are `length` bytes at `offset`."""
        shift = 62 - (self.cluster_bits - 8)
        sectors = (offset + length - 1) // SECTOR - offset // SECTOR
        return COMPRESSED | sectors << shift | offset

    @property
    def compressed_offset_limit(self) -> int:
        """First host offset that the entry of a compressed cluster cannot name."""
        return 1 << min(62 - (self.cluster_bits - 8), 56)


def table_from_bytes(data: bytes | bytearray | memoryview) -> array[int]:
    """64-bit big-endian entries in host order."""
    table = array("Q")
    table.frombytes(data)
    if sys.byteorder == "little":
        table.byteswap()
    return table


def table_to_bytes(table: array[int]) -> bytes:
    """The inverse; `table` is left as it is."""
    if sys.byteorder == "little":
        table = table[:]
        table.byteswap()
    return table.tobytes()


def zero_table(entries: int) -> array[int]:
    """A table of zeros."""
    return array("Q", bytes(entries * 8))
