"""Opening and closing an image: what is checked, repaired and loaded at first, and what is finished at last."""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind, Node
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2 import tuning
from varan.block.formats.qcow2.buffers import read_padded
from varan.block.formats.qcow2.compression import Compression
from varan.block.formats.qcow2.header import Header, HeaderError, parse_header
from varan.block.formats.qcow2.metadata import Metadata
from varan.block.formats.qcow2.writer import Writer
from varan.block.lazy import asyncio
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

    from varan.block.formats.qcow2.node import Qcow2Node


async def read_header(file: Node) -> Header:
    """The header of the image in `file`. Raises BlockError."""
    first = bytearray(min(max(file.length, 0), 1 << q.MIN_CLUSTER_BITS))
    await read_padded(file, 0, [memoryview(first)])
    if len(first) < q.HEADER_LENGTH_V2 or first[:4] != q.MAGIC:
        raise BlockError(ErrorKind.INVALID, "Image is not in qcow2 format", where=file.filename)
    cluster_bits = int.from_bytes(first[20:24], "big")
    length = 1 << cluster_bits if q.MIN_CLUSTER_BITS < cluster_bits <= q.MAX_CLUSTER_BITS else len(first)
    data = bytearray(min(file.length, length))
    await read_padded(file, 0, [memoryview(data)])
    try:
        return parse_header(bytes(data))
    except HeaderError as error:
        error.where = file.filename
        raise


def _drop_unused_tables(node: Qcow2Node, seconds: int) -> None:
    """From now on, every so many seconds, as long as the node is open. Tools, which end soon, need no such thing."""
    if not seconds or node.options.inline:
        return
    loop = asyncio.get_running_loop()

    def drop() -> None:
        node.metadata.drop_unused()
        node.cleaning = loop.call_later(seconds, drop)

    node.cleaning = loop.call_later(seconds, drop)


async def prepare(node: Qcow2Node) -> None:
    """Load the tables, look at the feature bits, and attach what the image has. Raises BlockError."""
    header, metadata = node.header, node.metadata
    options = node.options.driver_options
    seconds = tuning.clean_interval(options)
    _check_bits(node)
    _take_data_file(node)
    if header.crypt_method != q.CRYPT_NONE:
        from varan.block.formats.qcow2 import encryption

        encrypt: dict[str, Any] = {key: value for key, value in options.items() if key.startswith("encrypt.")}
        node.cipher = await encryption.open_cipher(header, node.file, encrypt, node.options.secret)
    await metadata.load(writable=not node.read_only)
    node.writer = Writer(node)
    node.compression = Compression(node)
    if "lazy-refcounts" in options:
        metadata.lazy = bool(options["lazy-refcounts"]) and header.version >= 3
    _pass_discards(node)
    if not node.read_only:
        await _take_over(node)
    if header.snapshots and not node.read_only:
        from varan.block.formats.qcow2 import snapshots

        await snapshots.attach(node)
    if header.extension(q.EXTENSION_BITMAPS) is not None:
        from varan.block.formats.qcow2 import bitmaps

        await bitmaps.attach(node)
    _drop_unused_tables(node, seconds)


def _check_bits(node: Qcow2Node) -> None:
    header = node.header
    repairing = node.options.driver_options.get("repairing")
    if header.incompatible & q.INCOMPATIBLE_CORRUPT and not node.read_only and not repairing:
        message = "qcow2: Image is corrupt; cannot be opened read/write"
        raise BlockError(ErrorKind.CORRUPT, message, where=node.filename)


def _take_data_file(node: Qcow2Node) -> None:
    edge = node.children.get("data-file")
    if node.header.has_data_file:
        if edge is None:
            raise BlockError(ErrorKind.INVALID, "'data-file' is required for this image", where=node.filename)
        node.data_file = node.metadata.data_file = edge.node
    elif edge is not None:
        raise BlockError(ErrorKind.INVALID, "'data-file' can only be set for images with an external data file")


async def _take_over(node: Qcow2Node) -> None:
    """Make the image safe to write to: no feature bits whose meaning would be violated, no stale refcounts."""
    header, metadata = node.header, node.metadata
    known = q.AUTOCLEAR_KNOWN
    if header.version >= 3 and header.autoclear & ~known:
        header.autoclear &= known
        await metadata.write_header()
    if node.options.driver_options.get("repairing"):
        return
    if metadata.guard.conflict:
        await metadata.mark_corrupt()
    elif header.incompatible & q.INCOMPATIBLE_DIRTY:
        from varan.block.formats.qcow2 import check

        await check.check(node, fix="all")


def _pass_discards(node: Qcow2Node) -> None:
    options = node.options.driver_options
    if not options.get("pass-discard-request", node.options.discard):
        return
    size = node.metadata.geometry.cluster_size
    metadata: Metadata = node.metadata

    async def discard(runs: list[tuple[int, int]]) -> None:
        for first, count in runs:
            await node.file.discard(first * size, count * size)

    metadata.freed = discard


async def reopen(node: Qcow2Node) -> None:
    """Begin anew from what the file says, in the node's new mode. Raises BlockError."""
    if node.cleaning is not None:
        node.cleaning.cancel()
    node.compression.close()
    node.close_hooks.clear()
    if node.bitmaps is not None:
        node.bitmaps.leave()
        node.bitmaps = None
    node.header = await read_header(node.file)
    node.metadata = Metadata(node.header, node.file, node.file, node.options.driver_options)
    node.set_length(node.header.size & ~(q.SECTOR - 1))
    await prepare(node)


async def finish(node: Qcow2Node) -> None:
    """Leave a clean image: hooks, metadata, whole sectors. Raises BlockError; what must be released is."""
    if node.cleaning is not None:
        node.cleaning.cancel()
    if not hasattr(node, "writer"):
        return
    try:
        if not node.read_only and not node.metadata.corrupt:
            for hook in node.close_hooks:
                await hook()
            if node.compression.wrote and node.file.length % q.SECTOR:
                await node.file.truncate(-(-node.file.length // q.SECTOR) * q.SECTOR, exact=False)
            await node.metadata.finish()
    finally:
        node.compression.close()
