"""The consistency check: every reference in an image is followed and counted, then held against its refcounts.

What the header leads to is counted (L1 tables of the disk and its snapshots, L2 tables, data, the snapshot table,
bitmaps, the encryption header, the refcount structures), each range checked to lie in the file before it is read. A
refcount that is too high is a leak; everything else is a corruption.

Repairs go in an order that a crash can interrupt: entries are mended where that changes no byte of the disk, counts
are corrected before flags that rely on them, and a refcount structure that is beyond mending is built anew beside the
old one and switched to in one header write.
"""

from __future__ import annotations

import struct

from varan.block.base import BlockError, ErrorKind, Node
from varan.block.formats.qcow2 import bitmap_directory, snapshot_table
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.check_refcounts import RefcountCheck
from varan.block.formats.qcow2.check_report import CheckReport, Fix, Image
from varan.block.formats.qcow2.check_walk import CopiedCheck, Root, Walk
from varan.block.formats.qcow2.header import Header
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from varan.block.formats.qcow2.node import Qcow2Node

__all__ = ["CheckReport", "Fix", "check", "check_image"]


FIXES = {"none": Fix.NONE, "leaks": Fix.LEAKS, "all": Fix.ALL}


async def check(node: Qcow2Node, fix: str = "none") -> CheckReport:
    """Check an open image; `fix` is "none", "leaks" or "all". Raises BlockError (see `check_image`)."""
    metadata = node.metadata
    if node.read_only and fix != "none":
        raise BlockError(ErrorKind.READ_ONLY, "the image is open read-only", where=node.filename)
    if not node.read_only:
        await metadata.finish()
    async with metadata.lock:
        report = await check_image(node.file, metadata.header, FIXES[fix])
        if fix != "none":
            await metadata.reload()
            metadata.corrupt = bool(metadata.header.incompatible & q.INCOMPATIBLE_CORRUPT)
    return report


async def check_image(file: Node, header: Header, fix: Fix = Fix.NONE) -> CheckReport:
    """Check the image in `file`, whose `header` is given, and repair what `fix` says.

    Nothing else may use the image meanwhile; who has it open flushes before and reloads after a repair. `header` is
    changed where its refcount table moves, and its dirty and corrupt bits go once the image is sound. Findings are in
    the report; BlockError is raised when the file cannot be read or written, or the check would take too much memory.
    """
    image = Image(file, header, fix)
    report = image.report
    report.total_clusters = image.geometry.clusters(header.size)
    image.count("the header", 0, header.cluster_size)
    walk = Walk(image)
    tables = await walk.run(await _roots(image))
    await _count_bitmaps(image)
    _count_crypto(image)
    refcounts = RefcountCheck(image)
    await refcounts.load_table()
    await walk.mend()
    await _check_refcounts(image, refcounts)
    await CopiedCheck(walk, refcounts).run(tables)
    if fix:
        await file.flush()
        if not report.corruptions and not report.check_errors:
            await _mark_sound(image)
    return report


async def change_refcount_width(file: Node, header: Header, bits: int) -> None:
    """Give a sound image refcounts of `bits` bits: structures counted anew, and switched to in one header write.

    As with `check_image` nothing else may use the image meanwhile. Raises BlockError: CORRUPT when it is not sound,
    UNSUPPORTED when a count is too large.
    """
    image = Image(file, header, Fix.NONE)
    image.count("the header", 0, header.cluster_size)
    walk = Walk(image)
    await walk.run(await _roots(image))
    await _count_bitmaps(image)
    _count_crypto(image)
    refcounts = RefcountCheck(image)
    await refcounts.load_table()
    await walk.mend()
    if image.report.corruptions or image.rebuild:
        raise BlockError(ErrorKind.CORRUPT, "the image has errors: check and repair it first", where=file.filename)
    former = header.refcount_order
    refcounts.set_width(bits)
    try:
        await refcounts.rebuild()
    except BlockError:
        header.refcount_order = former
        raise


async def _roots(image: Image) -> list[Root]:
    """The L1 tables: the disk's, and the snapshots', equal ones as one."""
    header = image.header
    roots = [Root("the disk", header.l1_table_offset, header.l1_size, active=True)]
    if not header.snapshots:
        return roots
    try:
        snapshots, size = await _snapshots(image)
    except BlockError as error:
        if error.kind is not ErrorKind.CORRUPT:
            raise
        image.report.corruption(str(error))
        return roots
    image.count("the snapshot table", header.snapshots_offset, size)
    shared: dict[tuple[int, int], list[snapshot_table.Snapshot]] = {}
    for snapshot in snapshots:
        shared.setdefault((snapshot.l1_offset, snapshot.l1_size), []).append(snapshot)
    for (offset, entries), which in shared.items():
        if entries:
            roots.append(Root(f"snapshot '{which[0].name}' ({which[0].id})", offset, entries, len(which)))
    return roots


async def _snapshots(image: Image) -> tuple[list[snapshot_table.Snapshot], int]:
    header = image.header
    available = max(0, image.length - header.snapshots_offset)
    data = bytes(await image.read(header.snapshots_offset, min(available, q.MAX_SNAPSHOT_TABLE_BYTES)))
    snapshots = snapshot_table.parse(data, header.snapshots, header.cluster_size)
    return snapshots, snapshot_table.table_bytes(data, header.snapshots)


async def _count_bitmaps(image: Image) -> None:
    data = image.header.extension(q.EXTENSION_BITMAPS)
    if data is None or not image.header.autoclear & q.AUTOCLEAR_BITMAPS:
        return
    size = image.header.cluster_size
    try:
        extension = bitmap_directory.parse_extension(data, size)
        if not image.count("the bitmap directory", extension.offset, extension.size):
            return
        raw = bytes(await image.read(extension.offset, extension.size))
        entries = bitmap_directory.parse(raw, extension.count, size)
    except BlockError as error:
        if error.kind is not ErrorKind.CORRUPT:
            raise
        image.report.corruption(str(error))
        return
    for entry in entries:
        await _count_bitmap(image, entry)


async def _count_bitmap(image: Image, entry: bitmap_directory.Entry) -> None:
    what = f"bitmap '{entry.name}'"
    if not image.count(f"{what}: its table", entry.table_offset, entry.table_size * 8):
        return
    table = q.table_from_bytes(await image.read(entry.table_offset, entry.table_size * 8))
    for index, value in enumerate(table):
        offset = value & bitmap_directory.TABLE_OFFSET_MASK
        wrong = value & bitmap_directory.TABLE_RESERVED or (offset and value & bitmap_directory.TABLE_ALL_ONES)
        if wrong or offset % image.header.cluster_size:
            image.report.corruption(f"{what}: entry {index} of its table is not valid (0x{value:x})")
        elif offset:
            image.count(f"{what}: entry {index}", offset, image.header.cluster_size)


def _count_crypto(image: Image) -> None:
    data = image.header.extension(q.EXTENSION_CRYPTO)
    if image.header.crypt_method == q.CRYPT_LUKS and data is not None and len(data) == 16:
        offset, length = struct.unpack(">QQ", data)
        image.count("the encryption header", offset, length)


async def _check_refcounts(image: Image, refcounts: RefcountCheck) -> None:
    """Compare, and rebuild where mending in place will not do."""
    report = image.report
    before = report.corruptions
    await refcounts.compare()
    if not (image.rebuild and image.fix & Fix.ERRORS):
        return
    report.say("Rebuilding the refcount structures")
    wrong = report.corruptions - before + refcounts.faults
    report.corruptions_fixed += wrong
    report.leaks_fixed += report.leaks
    report.corruptions, report.leaks = report.corruptions - wrong, 0
    await refcounts.rebuild()
    await refcounts.compare()


async def _mark_sound(image: Image) -> None:
    """Take the dirty and corrupt bits away."""
    header = image.header
    marks = q.INCOMPATIBLE_DIRTY | q.INCOMPATIBLE_CORRUPT
    if header.version < 3 or not header.incompatible & marks or image.report.leaks:
        return
    header.incompatible &= ~marks
    await image.write(q.AT_FEATURES, struct.pack(">Q", header.incompatible))
    await image.file.flush()
