"""Bitmaps between memory and the image: read from their clusters, and written to new ones.

A set of bitmaps is saved beside the old one and takes its place in one header write, so a crash leaves either.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING

from varan.block.base import BlockError, ErrorKind
from varan.block.dirty import DirtyBitmap
from varan.block.formats.qcow2 import bitmap_directory as directory
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.bitmap_directory import Entry, Extension
from varan.block.formats.qcow2.metadata import Metadata
from varan.block.formats.qcow2.tuning import Structure

if TYPE_CHECKING:
    from collections.abc import Sequence

    Runs = list[tuple[int, int]]


def extension_of(metadata: Metadata) -> Extension | None:
    """Where the directory is; None where there is none, or none that can be trusted. Raises BlockError (CORRUPT)."""
    data = metadata.header.extension(q.EXTENSION_BITMAPS)
    if data is None or not metadata.header.autoclear & q.AUTOCLEAR_BITMAPS:
        return None
    return directory.parse_extension(data, metadata.header.cluster_size)


async def read_directory(metadata: Metadata) -> list[Entry]:
    """The bitmaps that the image has. Raises BlockError of kind CORRUPT."""
    extension = extension_of(metadata)
    if extension is None:
        return []
    _check_inside(metadata, "the bitmap directory", extension.offset, extension.size)
    data = await metadata.read_bytes(extension.offset, extension.size)
    return directory.parse(data, extension.count, metadata.header.cluster_size)


def _check_inside(metadata: Metadata, what: str, offset: int, length: int) -> None:
    if offset + length - metadata.file.length >= metadata.header.cluster_size:
        raise BlockError(ErrorKind.CORRUPT, f"{what} lies outside of the file", where=metadata.file.filename)


async def _read_table(metadata: Metadata, entry: Entry) -> array[int]:
    _check_inside(metadata, f"the table of bitmap '{entry.name}'", entry.table_offset, entry.table_size * 8)
    table = await metadata.read_table(entry.table_offset, entry.table_size)
    for value in set(table):
        offset = value & directory.TABLE_OFFSET_MASK
        wrong = value & directory.TABLE_RESERVED or (offset and value & directory.TABLE_ALL_ONES)
        if wrong or offset % metadata.header.cluster_size:
            raise BlockError(ErrorKind.CORRUPT, f"bitmap '{entry.name}': its table has an entry 0x{value:x}")
    return table


async def load(metadata: Metadata, entry: Entry, size: int) -> DirtyBitmap:
    """The bitmap of a disk of `size` bytes. Raises BlockError of kind CORRUPT."""
    cluster = metadata.header.cluster_size
    bitmap = DirtyBitmap(entry.name, size, 1 << entry.granularity_bits)
    bitmap.enabled, bitmap.persistent = entry.auto, True
    if entry.table_size != directory.table_entries(size, entry.granularity_bits, cluster):
        raise BlockError(ErrorKind.CORRUPT, f"bitmap '{entry.name}' is not for a disk of {size} bytes")
    for index, value in enumerate(await _read_table(metadata, entry)):
        offset = value & directory.TABLE_OFFSET_MASK
        if offset:
            _check_inside(metadata, f"bitmap '{entry.name}'", offset, 1)
            bitmap.load(index * cluster, await metadata.read_bytes(offset, cluster))
        elif value & directory.TABLE_ALL_ONES:
            bitmap.load(index * cluster, b"\xff" * cluster)
    bitmap.changed = False
    return bitmap


def _clusters(metadata: Metadata, offset: int, length: int) -> Runs:
    return [(offset >> metadata.geometry.cluster_bits, metadata.geometry.clusters(length))] if length else []


async def clusters_of(metadata: Metadata, entry: Entry) -> Runs:
    """Runs (first, count) of clusters that a bitmap takes. Raises BlockError of kind CORRUPT."""
    runs = _clusters(metadata, entry.table_offset, entry.table_size * 8)
    for value in await _read_table(metadata, entry):
        if value & directory.TABLE_OFFSET_MASK:
            runs += _clusters(metadata, value & directory.TABLE_OFFSET_MASK, 1)
    return runs


async def write(metadata: Metadata, bitmap: DirtyBitmap) -> Entry:
    """Put a bitmap into new clusters, which nothing refers to yet; its directory entry. The lock is held."""
    cluster = metadata.header.cluster_size
    bits = bitmap.bits
    table = array("Q")
    zero, ones = bytes(cluster), b"\xff" * cluster
    for at in range(0, len(bits), cluster):
        piece = bytes(bits[at : at + cluster])
        if piece == zero[: len(piece)]:
            table.append(0)
        elif piece == ones:
            table.append(directory.TABLE_ALL_ONES)
        else:
            table.append(await _place(metadata, piece))
    offset = await _place(metadata, q.table_to_bytes(table)) if table else 0
    flags = directory.AUTO if bitmap.enabled else 0
    return Entry(bitmap.name, offset, len(table), flags, bitmap.granularity.bit_length() - 1)


async def _place(metadata: Metadata, data: bytes) -> int:
    """Write bytes to clusters of their own; where."""
    size = metadata.header.cluster_size
    clusters = metadata.geometry.clusters(len(data))
    offset = await metadata.refcounts.allocate(clusters) * size
    await metadata.write_bytes(offset, data.ljust(clusters * size, b"\0"))
    return offset


async def replace_directory(metadata: Metadata, entries: Sequence[Entry], dropped: Runs) -> None:
    """Make `entries` the image's bitmaps; the former directory, and the clusters in `dropped`, are given back then.

    The lock is held. Raises BlockError.
    """
    header = metadata.header
    former = extension_of(metadata)
    data = directory.serialize(list(entries))
    offset = await _place(metadata, data) if entries else 0
    await metadata.commit_locked(closing=True)
    if entries:
        header.set_extension(q.EXTENSION_BITMAPS, Extension(len(entries), len(data), offset).encode())
        header.autoclear |= q.AUTOCLEAR_BITMAPS
    else:
        header.set_extension(q.EXTENSION_BITMAPS, None)
        header.autoclear &= ~q.AUTOCLEAR_BITMAPS
    _make_fit(metadata)
    await metadata.write_header()
    await metadata.file.flush()
    metadata.guard.protect(offset, len(data) if entries else 0, Structure.BITMAP_DIRECTORY)
    if former is not None:
        dropped = dropped + _clusters(metadata, former.offset, former.size)
    for first, count in dropped:
        metadata.guard.release(first * header.cluster_size, count * header.cluster_size)
        metadata.refcounts.release(first, count)


def _make_fit(metadata: Metadata) -> None:
    """The names of features are a courtesy, which gives way where clusters are smallest. Raises BlockError."""
    try:
        metadata.header.serialize()
    except BlockError as error:
        if error.kind is not ErrorKind.NO_SPACE:
            raise
        metadata.header.set_extension(q.EXTENSION_FEATURE_NAMES, None)
        metadata.header.serialize()


async def rewrite_flags(metadata: Metadata, entries: Sequence[Entry]) -> None:
    """Write the directory in its place, where only flags of it have changed. Raises BlockError."""
    extension = extension_of(metadata)
    if extension is not None:
        await metadata.write_bytes(extension.offset, directory.serialize(list(entries)))
        await metadata.file.flush()
