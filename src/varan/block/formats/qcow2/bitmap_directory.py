"""Persistent dirty bitmaps on disk: the header extension, the directory, and each bitmap's table of clusters.

A bitmap's packed bits are cut into clusters; its table has an entry for each: an offset, or none, bit 0 then telling
whether the cluster would be all ones or all zeros.
"""

from __future__ import annotations

import struct

from varan.block.base import BlockError, ErrorKind
from varan.light import record

_EXTENSION = struct.Struct(">IIQQ")
EXTENSION_BYTES = _EXTENSION.size
_ENTRY = struct.Struct(">QIIBBHI")
ENTRY_BYTES = _ENTRY.size

MAX_BITMAPS = 65535
MAX_DIRECTORY_BYTES = 1024 * MAX_BITMAPS
MAX_NAME = 1023
MAX_TABLE_ENTRIES = 1 << 27
MAX_BITS_BYTES = 512 << 20
MIN_GRANULARITY_BITS = 9
MAX_GRANULARITY_BITS = 31

IN_USE = 1
"""Being written to: not saved since, and therefore not to be trusted."""
AUTO = 2
"""Recording is on."""
EXTRA_DATA_COMPATIBLE = 4
"""May be used although there is extra data that is not understood."""
KNOWN_FLAGS = 7

TYPE_DIRTY = 1

TABLE_OFFSET_MASK = 0x00FF_FFFF_FFFF_FE00
TABLE_RESERVED = 0xFF00_0000_0000_01FE
TABLE_ALL_ONES = 1


@record(frozen=True, slots=True)
class Extension:
    """The header extension: where the directory lies."""

    count: int
    size: int
    """Bytes."""
    offset: int

    def encode(self) -> bytes:
        """The 24 bytes on disk."""
        return _EXTENSION.pack(self.count, 0, self.size, self.offset)


def parse_extension(data: bytes, cluster_size: int) -> Extension:
    """The extension, checked. Raises BlockError of kind CORRUPT."""
    if len(data) != EXTENSION_BYTES:
        raise _corrupt(f"the header extension has {len(data)} bytes, not {EXTENSION_BYTES}")
    count, reserved, size, offset = _EXTENSION.unpack(data)
    if reserved:
        raise _corrupt("the reserved field of the header extension is not zero")
    if not 0 < count <= MAX_BITMAPS:
        raise _corrupt(f"{count} is not a number of bitmaps")
    if not offset or offset % cluster_size or offset >= 1 << 63:
        raise _corrupt(f"the directory's offset 0x{offset:x} is not that of a cluster")
    if not count * ENTRY_BYTES <= size <= MAX_DIRECTORY_BYTES:
        raise _corrupt(f"a directory of {size} bytes does not fit {count} bitmaps")
    return Extension(count, size, offset)


@record(slots=True)
class Entry:
    """A bitmap as the directory has it. `table_size` is in entries."""

    name: str
    table_offset: int
    table_size: int
    flags: int
    granularity_bits: int
    kind: int = TYPE_DIRTY
    extra: bytes = b""

    @property
    def in_use(self) -> bool:
        return bool(self.flags & IN_USE)

    @property
    def auto(self) -> bool:
        return bool(self.flags & AUTO)

    def encode(self) -> bytes:
        """The entry with its padding."""
        name = self.name.encode(errors="surrogateescape")
        fixed = _ENTRY.pack(
            self.table_offset,
            self.table_size,
            self.flags,
            self.kind,
            self.granularity_bits,
            len(name),
            len(self.extra),
        )
        entry = fixed + self.extra + name
        return entry.ljust(-(-len(entry) // 8) * 8, b"\0")


def parse(data: bytes, count: int, cluster_size: int) -> list[Entry]:
    """The directory in `data`, which has to hold exactly `count` entries. Raises BlockError of kind CORRUPT."""
    found: list[Entry] = []
    names: set[str] = set()
    at = 0
    while at < len(data):
        entry, length = _parse_entry(data, at, len(found))
        if entry.name in names:
            raise _corrupt(f"there are two bitmaps '{entry.name}'")
        _check_table(entry, cluster_size)
        names.add(entry.name)
        found.append(entry)
        at += length
        if len(found) > count:
            break
    if len(found) != count:
        raise _corrupt(f"the directory does not have {count} entries")
    return found


def _parse_entry(data: bytes, at: int, index: int) -> tuple[Entry, int]:
    if at + ENTRY_BYTES > len(data):
        raise _corrupt(f"the directory ends inside entry {index}")
    offset, size, flags, kind, granularity, name_size, extra_size = _ENTRY.unpack_from(data, at)
    extra_at = at + ENTRY_BYTES
    name_at = extra_at + extra_size
    end = name_at + name_size
    if end > len(data):
        raise _corrupt(f"the directory ends inside entry {index}")
    if not 0 < name_size <= MAX_NAME:
        raise _corrupt(f"bitmap {index} has a name of {name_size} bytes")
    name = data[name_at:end].decode(errors="surrogateescape")
    return Entry(name, offset, size, flags, granularity, kind, data[extra_at:name_at]), -(-(end - at) // 8) * 8


def _check_table(entry: Entry, cluster_size: int) -> None:
    what = f"bitmap '{entry.name}'"
    if entry.table_offset % cluster_size or entry.table_offset >= 1 << 56:
        raise _corrupt(f"{what}: its table's offset 0x{entry.table_offset:x} is not that of a cluster")
    if entry.table_size > MAX_TABLE_ENTRIES or entry.table_size * cluster_size > MAX_BITS_BYTES + cluster_size:
        raise _corrupt(f"{what}: a table of {entry.table_size} entries is too large")
    if entry.table_size and not entry.table_offset:
        raise _corrupt(f"{what}: it has no table")
    if not MIN_GRANULARITY_BITS <= entry.granularity_bits <= MAX_GRANULARITY_BITS:
        raise _corrupt(f"{what}: 2^{entry.granularity_bits} bytes is not a granularity")
    if entry.flags & ~KNOWN_FLAGS:
        raise _corrupt(f"{what}: unknown flags 0x{entry.flags:x}")


def usable(entry: Entry) -> bool:
    """Whether the bitmap is of a kind that is understood here; others are kept but not loaded."""
    return entry.kind == TYPE_DIRTY and (not entry.extra or bool(entry.flags & EXTRA_DATA_COMPATIBLE))


def serialize(entries: list[Entry]) -> bytes:
    """The directory. Raises BlockError (NO_SPACE) when it is too large."""
    data = b"".join(entry.encode() for entry in entries)
    if len(entries) > MAX_BITMAPS or len(data) > MAX_DIRECTORY_BYTES:
        raise BlockError(ErrorKind.NO_SPACE, "the bitmap directory is full")
    return data


def table_entries(size: int, granularity_bits: int, cluster_size: int) -> int:
    """Table entries that the bitmap of a disk of `size` bytes has."""
    granules = (size + (1 << granularity_bits) - 1) >> granularity_bits
    return -(-granules // (8 * cluster_size))


def _corrupt(message: str) -> BlockError:
    return BlockError(ErrorKind.CORRUPT, f"bitmaps: {message}")
