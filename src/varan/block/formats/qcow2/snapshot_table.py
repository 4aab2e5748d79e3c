"""The snapshot table on disk: parsed within bounds, and written again with nothing lost.

An entry is a fixed part, extra data (whose first 24 bytes are known: long VM state size, disk size, instruction
count; more is kept as it is), the id, the name, and padding to eight bytes.
"""

from __future__ import annotations

import struct

from varan.block.base import BlockError, ErrorKind
from varan.block.formats.qcow2 import layout as q
from varan.light import record

_FIXED = struct.Struct(">QIHHIIQII")
ENTRY_BYTES = _FIXED.size
MAX_EXTRA = 1024
MAX_TEXT = 0xFFFF
KNOWN_EXTRA = 24
NO_ICOUNT = (1 << 64) - 1
"""The instruction count of snapshots that have none."""


@record(slots=True)
class Snapshot:
    """An internal snapshot. Sizes in bytes, `l1_size` in entries, times in nanoseconds (`date` since 1970)."""

    id: str
    name: str
    l1_offset: int
    l1_size: int
    date: int
    """Seconds since 1970."""
    date_nanoseconds: int
    vm_clock: int
    vm_state_size: int = 0
    disk_size: int | None = None
    """None: an old entry, which does not say (the size of the image then)."""
    icount: int = NO_ICOUNT
    extra: bytes = b""
    """Extra data past what is known here."""
    extra_size: int = KNOWN_EXTRA
    """How much extra data the entry has on disk."""

    def disk_bytes(self, image_size: int) -> int:
        """The disk's size when the snapshot was taken."""
        return image_size if self.disk_size is None else self.disk_size


def parse(data: bytes, count: int, cluster_size: int) -> list[Snapshot]:
    """The `count` entries at the start of `data`. Raises BlockError of kind CORRUPT."""
    if count > q.MAX_SNAPSHOTS:
        raise _corrupt(f"{count} snapshots are more than the {q.MAX_SNAPSHOTS} allowed")
    found = []
    at = 0
    for index in range(count):
        snapshot, length = _parse_entry(data, at, index)
        if snapshot.l1_size * 8 > q.MAX_L1_BYTES:
            raise _corrupt(f"the L1 table of snapshot {index} has too many entries ({snapshot.l1_size})")
        if snapshot.l1_offset % cluster_size:
            raise _corrupt(f"the L1 table of snapshot {index} lies at 0x{snapshot.l1_offset:x}, which is no cluster")
        found.append(snapshot)
        at += length
    return found


def _parse_entry(data: bytes, at: int, index: int) -> tuple[Snapshot, int]:
    if at + ENTRY_BYTES > len(data):
        raise _corrupt(f"it ends inside entry {index}")
    l1_offset, l1_size, id_size, name_size, date, nanoseconds, clock, state, extra_size = _FIXED.unpack_from(data, at)
    if extra_size > MAX_EXTRA:
        raise _corrupt(f"snapshot {index} has {extra_size} bytes of extra data, more than {MAX_EXTRA}")
    extra_at = at + ENTRY_BYTES
    id_at = extra_at + extra_size
    name_at = id_at + id_size
    end = name_at + name_size
    if end > len(data):
        raise _corrupt(f"it ends inside entry {index}")
    extra = data[extra_at:id_at]
    return Snapshot(
        id=data[id_at:name_at].decode(errors="surrogateescape"),
        name=data[name_at:end].decode(errors="surrogateescape"),
        l1_offset=l1_offset,
        l1_size=l1_size,
        date=date,
        date_nanoseconds=nanoseconds,
        vm_clock=clock,
        vm_state_size=_long(extra, 0) if extra_size >= 8 else state,
        disk_size=_long(extra, 8) if extra_size >= 16 else None,
        icount=_long(extra, 16) if extra_size >= KNOWN_EXTRA else NO_ICOUNT,
        extra=extra[KNOWN_EXTRA:],
        extra_size=extra_size,
    ), -(-(end - at) // 8) * 8


def _long(extra: bytes, at: int) -> int:
    return int.from_bytes(extra[at : at + 8], "big")


def serialize(snapshots: list[Snapshot], image_size: int) -> bytes:
    """The table. Entries get the extra data that is known now. Raises BlockError (NO_SPACE) when it is too large."""
    parts = []
    for snapshot in snapshots:
        name, ident = _encoded(snapshot.name), _encoded(snapshot.id)
        extra = struct.pack(">QQQ", snapshot.vm_state_size, snapshot.disk_bytes(image_size), snapshot.icount)
        extra += snapshot.extra
        fixed = _FIXED.pack(
            snapshot.l1_offset,
            snapshot.l1_size,
            len(ident),
            len(name),
            snapshot.date,
            snapshot.date_nanoseconds,
            snapshot.vm_clock,
            snapshot.vm_state_size if snapshot.vm_state_size < 1 << 32 else 0,
            len(extra),
        )
        entry = fixed + extra + ident + name
        parts.append(entry.ljust(-(-len(entry) // 8) * 8, b"\0"))
    table = b"".join(parts)
    if len(snapshots) > q.MAX_SNAPSHOTS or len(table) > q.MAX_SNAPSHOT_TABLE_BYTES:
        raise BlockError(ErrorKind.NO_SPACE, "the snapshot table is full")
    return table


def table_bytes(data: bytes, count: int) -> int:
    """Bytes that `count` entries take at the start of `data`."""
    at = 0
    for index in range(count):
        at += _parse_entry(data, at, index)[1]
    return at


def _encoded(text: str) -> bytes:
    data = text.encode(errors="surrogateescape")
    if len(data) > MAX_TEXT:
        raise BlockError(ErrorKind.INVALID, "a snapshot's name is longer than 65535 bytes")
    return data


def _corrupt(message: str) -> BlockError:
    return BlockError(ErrorKind.CORRUPT, f"snapshot table: {message}")
