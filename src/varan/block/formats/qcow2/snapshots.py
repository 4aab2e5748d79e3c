"""Internal snapshots: made, applied, deleted, listed and read.

A snapshot is an L1 table of its own; what it leads to is shared with the disk, counted once more, and flagged as
not to be written in place. Counts go up before anything relies on them and down only after nothing does. While
counts and flags disagree the image carries the dirty bit (version 3), so that whoever opens it after a crash repairs
it first; data are safe in either case, because a count is never too low.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from varan.block.base import BlockError, ErrorKind
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2 import references, snapshot_table
from varan.block.formats.qcow2.metadata import Metadata
from varan.block.formats.qcow2.snapshot_table import NO_ICOUNT, Snapshot
from varan.block.formats.qcow2.tuning import Structure

if TYPE_CHECKING:
    from varan.block.formats.qcow2.node import Qcow2Node

EVERYTHING = 1 << 62
SECOND = 1_000_000_000
REFUSALS = (ErrorKind.UNSUPPORTED, ErrorKind.NOT_FOUND, ErrorKind.INVALID)
"""Errors that come before anything was changed, or after it was undone."""


async def list_snapshots(node: Qcow2Node) -> list[Snapshot]:
    """The image's snapshots, oldest first. Raises BlockError of kind CORRUPT."""
    return (await _read(node.metadata))[0]


async def _read(metadata: Metadata) -> tuple[list[Snapshot], int]:
    """The snapshots, and the bytes that their table takes."""
    header = metadata.header
    if not header.snapshots:
        return [], 0
    available = max(0, metadata.file.length - header.snapshots_offset)
    data = await metadata.read_bytes(header.snapshots_offset, min(available, q.MAX_SNAPSHOT_TABLE_BYTES))
    snapshots = snapshot_table.parse(data, header.snapshots, header.cluster_size)
    return snapshots, snapshot_table.table_bytes(data, header.snapshots)


def find(snapshots: list[Snapshot], wanted: str) -> Snapshot:
    """The snapshot with the id `wanted`, else the first of that name. Raises BlockError of kind NOT_FOUND."""
    for snapshot in snapshots:
        if snapshot.id == wanted:
            return snapshot
    for snapshot in snapshots:
        if snapshot.name == wanted:
            return snapshot
    raise BlockError(ErrorKind.NOT_FOUND, f"there is no snapshot '{wanted}'")


def describe(snapshot: Snapshot) -> dict[str, object]:
    """A SnapshotInfo, as `info` shows it."""
    info: dict[str, object] = {
        "id": snapshot.id,
        "name": snapshot.name,
        "vm-state-size": snapshot.vm_state_size,
        "date-sec": snapshot.date,
        "date-nsec": snapshot.date_nanoseconds,
        "vm-clock-sec": snapshot.vm_clock // SECOND,
        "vm-clock-nsec": snapshot.vm_clock % SECOND,
    }
    return info if snapshot.icount == NO_ICOUNT else info | {"icount": snapshot.icount}


async def attach(node: Qcow2Node) -> None:
    """Guard the snapshots' metadata against guest writes. Raises BlockError of kind CORRUPT."""
    metadata = node.metadata
    snapshots, length = await _read(metadata)
    guard = metadata.guard
    guard.protect(metadata.header.snapshots_offset, length, Structure.SNAPSHOT_TABLE)
    for snapshot in snapshots:
        guard.protect(snapshot.l1_offset, snapshot.l1_size * 8, Structure.INACTIVE_L1)
        if guard.wanted & Structure.INACTIVE_L2:
            for entry in await _snapshot_l1(metadata, snapshot):
                if entry & q.OFFSET_MASK:
                    guard.protect(entry & q.OFFSET_MASK, metadata.geometry.cluster_size, Structure.INACTIVE_L2)


def resize_allowed(node: Qcow2Node, length: int) -> None:
    """Raises BlockError where snapshots forbid another size: those of version 2 do not say which was theirs."""
    header = node.metadata.header
    if header.version < 3 and header.snapshots and length != header.size:
        message = "a version 2 image with snapshots cannot be resized"
        raise BlockError(ErrorKind.UNSUPPORTED, message, where=node.filename)


def _check(node: Qcow2Node) -> None:
    metadata = node.metadata
    if node.read_only:
        raise BlockError(ErrorKind.READ_ONLY, "the image is open read-only", where=node.filename)
    metadata.check_writable()
    if metadata.header.has_data_file:
        message = "an image with an external data file cannot have internal snapshots"
        raise BlockError(ErrorKind.UNSUPPORTED, message, where=node.filename)


@asynccontextmanager
async def _alone(node: Qcow2Node) -> AsyncIterator[Metadata]:
    """The metadata lock with no write under way and nothing unwritten; the dirty bit is set meanwhile."""
    metadata = node.metadata
    async with node.writer.exclusive(0, EVERYTHING):
        await _settle(metadata)
        was_dirty = bool(metadata.header.incompatible & q.INCOMPATIBLE_DIRTY)
        mark = metadata.header.version >= 3 and not was_dirty
        if mark:
            await metadata.set_incompatible(q.INCOMPATIBLE_DIRTY, True)
        refusal: BlockError | None = None
        try:
            yield metadata
        except BlockError as error:
            if error.kind not in REFUSALS:
                raise
            refusal = error
        await _settle(metadata)
        if mark:
            await metadata.set_incompatible(q.INCOMPATIBLE_DIRTY, False)
        if refusal is not None:
            raise refusal


async def _settle(metadata: Metadata) -> None:
    """Write everything, what is released included."""
    for _ in range(4):  # what one commit releases, the next one counts
        await metadata.commit_locked(closing=True)
        if not metadata.any_dirty:
            break


async def create(
    node: Qcow2Node, name: str, *, date: int, vm_clock: int = 0, vm_state_size: int = 0, icount: int = NO_ICOUNT
) -> Snapshot:
    """Keep the disk as it is now under `name`; `date` (since 1970) and `vm_clock` are in nanoseconds.

    The first `vm_state_size` bytes of the machine state area belong to the snapshot, and are the disk's no more.
    Raises BlockError.
    """
    _check(node)
    async with _alone(node) as metadata:
        snapshots, length = await _read(metadata)
        l1 = array("Q", (entry & ~q.COPIED for entry in metadata.l1))
        snapshot = Snapshot(
            id=_next_id(snapshots),
            name=name,
            l1_offset=0,
            l1_size=len(l1),
            date=date // SECOND,
            date_nanoseconds=date % SECOND,
            vm_clock=vm_clock,
            vm_state_size=vm_state_size,
            disk_size=metadata.header.size,
            icount=icount,
        )
        snapshot_table.serialize([*snapshots, snapshot], metadata.header.size)  # whether it fits
        await references.add(metadata, l1)
        snapshot.l1_offset = await _write_l1(metadata, l1)
        await metadata.commit_locked(closing=True)
        await references.set_flags(metadata, l1)
        await references.set_root_flags(metadata)
        await metadata.commit_locked(closing=True)
        await _write_table(metadata, [*snapshots, snapshot], length)
        metadata.guard.protect(snapshot.l1_offset, len(l1) * 8, Structure.INACTIVE_L1)
    if vm_state_size:
        await _drop_vm_state(node, vm_state_size)
    return snapshot


def _next_id(snapshots: list[Snapshot]) -> str:
    numbers = [int(snapshot.id) for snapshot in snapshots if snapshot.id.isascii() and snapshot.id.isdigit()]
    return str(max(numbers, default=0) + 1)


async def _drop_vm_state(node: Qcow2Node, size: int) -> None:
    from varan.block.formats.qcow2 import zeroing

    cluster = node.metadata.geometry.cluster_size
    start = node.vmstate_offset
    end = min(start + -(-size // cluster) * cluster, len(node.metadata.l1) * node.metadata.geometry.l2_coverage)
    await zeroing.drop(node, start, end, hide_backing=False)
    await node.flush()


async def _write_l1(metadata: Metadata, l1: array[int]) -> int:
    """Put an L1 table into clusters of its own; where. Nothing refers to it yet."""
    size = metadata.geometry.cluster_size
    clusters = metadata.geometry.clusters(max(len(l1), 1) * 8)
    offset = await metadata.refcounts.allocate(clusters) * size
    await metadata.write_bytes(offset, q.table_to_bytes(l1).ljust(clusters * size, b"\0"))
    return offset


async def _write_table(metadata: Metadata, snapshots: list[Snapshot], old_length: int) -> None:
    """Put a new snapshot table in place of the old one, in one header write. Everything it names is durable."""
    header, geometry = metadata.header, metadata.geometry
    data = snapshot_table.serialize(snapshots, header.size)
    offset = 0
    if data:
        clusters = geometry.clusters(len(data))
        offset = await metadata.refcounts.allocate(clusters) * geometry.cluster_size
        await metadata.write_bytes(offset, data.ljust(clusters * geometry.cluster_size, b"\0"))
    await metadata.commit_locked(closing=True)
    await metadata.write_bytes(q.AT_SNAPSHOTS, struct.pack(">IQ", len(snapshots), offset))
    await metadata.file.flush()
    old_offset = header.snapshots_offset
    header.snapshots, header.snapshots_offset = len(snapshots), offset
    metadata.guard.protect(offset, len(data), Structure.SNAPSHOT_TABLE)
    _give_back(metadata, old_offset, old_length)


async def rewrite_table(node: Qcow2Node) -> None:
    """Write the table anew, with what each entry can say today. Raises BlockError."""
    _check(node)
    async with node.metadata.lock:
        snapshots, length = await _read(node.metadata)
        await _write_table(node.metadata, snapshots, length)
        await _settle(node.metadata)


def _give_back(metadata: Metadata, offset: int, length: int) -> None:
    """Free clusters of metadata that nothing refers to any more."""
    if length:
        metadata.guard.release(offset, length)
        metadata.refcounts.release(offset >> metadata.geometry.cluster_bits, metadata.geometry.clusters(length))


async def delete(node: Qcow2Node, wanted: str) -> None:
    """Forget a snapshot, by id or name. Raises BlockError."""
    _check(node)
    find(await list_snapshots(node), wanted)
    async with _alone(node) as metadata:
        snapshots, length = await _read(metadata)
        snapshot = find(snapshots, wanted)
        l1 = await _snapshot_l1(metadata, snapshot)
        await _write_table(metadata, [each for each in snapshots if each is not snapshot], length)
        await references.release(metadata, l1)
        _give_back(metadata, snapshot.l1_offset, snapshot.l1_size * 8)
        await _settle(metadata)
        await _guard_anew(node)
        await references.set_flags(metadata, metadata.l1)
        await references.set_root_flags(metadata)


async def _snapshot_l1(metadata: Metadata, snapshot: Snapshot) -> array[int]:
    if snapshot.l1_offset + snapshot.l1_size * 8 - metadata.file.length >= metadata.geometry.cluster_size:
        raise BlockError(ErrorKind.CORRUPT, f"the L1 table of snapshot '{snapshot.name}' is outside of the file")
    l1 = await metadata.read_table(snapshot.l1_offset, snapshot.l1_size)
    return array("Q", (entry & ~q.COPIED for entry in l1))


async def apply(node: Qcow2Node, wanted: str) -> None:
    """Make the disk what it was when a snapshot (by id or name) was taken, its size included. Raises BlockError."""
    _check(node)
    find(await list_snapshots(node), wanted)
    async with _alone(node) as metadata:
        snapshot = find(await list_snapshots(node), wanted)
        l1 = await _snapshot_l1(metadata, snapshot)
        size = snapshot.disk_bytes(metadata.header.size)
        if size > q.MAX_IMAGE_BYTES or metadata.geometry.l1_entries(size) * 8 > q.MAX_L1_BYTES:
            raise BlockError(ErrorKind.INVALID, f"snapshot '{snapshot.name}' has a disk of {size} bytes")
        await references.add(metadata, l1)
        await metadata.commit_locked(closing=True)
        await references.set_flags(metadata, l1)
        await metadata.commit_locked(closing=True)
        l1.extend([0] * (metadata.geometry.l1_entries(size) - len(l1)))
        await _switch(metadata, l1, size)
        await _guard_anew(node)
        await references.set_flags(metadata, metadata.l1)
        await references.set_root_flags(metadata)
    node.set_length(size & ~(q.SECTOR - 1))
    if node.recorder is not None:
        node.recorder.mark(0, node.length)


async def _switch(metadata: Metadata, l1: array[int], size: int) -> None:
    """Make `l1` the disk's table, and give back what the former one referred to."""
    header = metadata.header
    former, former_offset = metadata.l1, header.l1_table_offset
    offset = await _write_l1(metadata, l1)
    await metadata.commit_locked(closing=True)
    await metadata.write_bytes(q.AT_SIZE, struct.pack(">QIIQ", size, header.crypt_method, len(l1), offset))
    await metadata.file.flush()
    header.size, header.l1_size, header.l1_table_offset = size, len(l1), offset
    metadata.l1 = l1
    metadata.l1_dirty.clear()
    await references.release(metadata, former)
    _give_back(metadata, former_offset, len(former) * 8)
    await _settle(metadata)


async def _guard_anew(node: Qcow2Node) -> None:
    """Forget about metadata that were given back. Nothing is unwritten."""
    metadata = node.metadata
    metadata.guard.build(metadata.header, metadata.l1, metadata.refcounts.table)
    await attach(node)
    if node.bitmaps is not None:
        await node.bitmaps.protect()


async def load(node: Qcow2Node, id: str | None, name: str | None) -> Snapshot:
    """Let a node that is open read-only show a snapshot: one with this id and this name, where they are given.

    Raises BlockError.
    """
    if not node.read_only:
        raise BlockError(ErrorKind.INVALID, "a snapshot is only read from an image that is open read-only")
    for snapshot in await list_snapshots(node):
        if (id is None or snapshot.id == id) and (name is None or snapshot.name == name):
            break
    else:
        raise BlockError(ErrorKind.NOT_FOUND, f"there is no snapshot '{name or id}'", where=node.filename)
    metadata = node.metadata
    l1 = await _snapshot_l1(metadata, snapshot)
    size = snapshot.disk_bytes(metadata.header.size)
    l1.extend([0] * (min(metadata.geometry.l1_entries(size), q.MAX_L1_BYTES // 8) - len(l1)))
    metadata.l1 = l1
    node.set_length(size & ~(q.SECTOR - 1))
    return snapshot
