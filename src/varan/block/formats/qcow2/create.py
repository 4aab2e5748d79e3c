"""Making new images, with every option there is."""

from __future__ import annotations

import os
import struct

from varan.block import registry
from varan.block.base import BlockError, ErrorKind, Node
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.header import Header, default_feature_names
from varan.block.formats.qcow2.node import Qcow2Node
from varan.block.formats.qcow2.resize import preallocate, truncate
from varan.block.graph import Graph
from varan.block.naming import plain_path, relative_to
from varan.core.sizes import parse_size
from varan.light import TYPE_CHECKING, record

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from varan.block.formats.qcow2.encryption import NewEncryption

_ON = {"on": True, "yes": True, "true": True, "y": True, "off": False, "no": False, "false": False, "n": False}
_COMPAT = {"0.10": 2, "v2": 2, "1.1": 3, "v3": 3}


@record(slots=True)
class Wish:
    """Options of `create`, checked."""

    size: int
    version: int = 3
    cluster_bits: int = 16
    refcount_order: int = 4
    lazy_refcounts: bool = False
    preallocation: str = "off"
    backing_file: str | None = None
    backing_format: str | None = None
    data_file: str | None = None
    data_file_raw: bool = False
    extended_l2: bool = False
    compression: int = q.COMPRESSION_ZLIB
    encrypted: bool = False


def invalid(message: str, where: str = "") -> BlockError:
    """The error for an option that makes no sense."""
    return BlockError(ErrorKind.INVALID, message, where=where)


def _flag(options: Mapping[str, str], name: str) -> bool:
    text = options.get(name, "off")
    if text not in _ON:
        raise invalid(f"Parameter '{name}' expects 'on' or 'off'")
    return _ON[text]


def _power(options: Mapping[str, str], name: str, default: str, low: int, high: int) -> int:
    """The binary logarithm of an option that is a power of two."""
    value = parse_size(options.get(name, default))
    if value is None or value & (value - 1) or not low <= value <= high:
        raise invalid(f"'{name}' must be a power of two between {low} and {high}")
    return value.bit_length() - 1


def understand(size: int, options: Mapping[str, str]) -> Wish:
    """The options of `create` checked, one by one and together. Raises BlockError (INVALID, UNSUPPORTED)."""
    compat = options.get("compat", "1.1")
    if compat not in _COMPAT:
        raise invalid(f"Invalid compatibility level: '{compat}'")
    compression = options.get("compression_type", "zlib")
    methods = {name: method for method, name in q.COMPRESSION_NAMES.items()}
    if compression not in methods:
        raise invalid(f"there is no compression type '{compression}'")
    wish = Wish(
        size=-(-size // q.SECTOR) * q.SECTOR,
        version=_COMPAT[compat],
        cluster_bits=_power(options, "cluster_size", "65536", 512, 2 << 20),
        refcount_order=_power(options, "refcount_bits", "16", 1, 64),
        lazy_refcounts=_flag(options, "lazy_refcounts"),
        preallocation=options.get("preallocation", "off"),
        backing_file=options.get("backing_file") or None,
        backing_format=options.get("backing_fmt") or None,
        data_file=options.get("data_file") or None,
        data_file_raw=_flag(options, "data_file_raw"),
        extended_l2=_flag(options, "extended_l2"),
        compression=methods[compression],
        encrypted="encryption" in options or any(name.startswith("encrypt.") for name in options),
    )
    _check_together(wish)
    return wish


def _check_together(wish: Wish) -> None:
    if wish.preallocation not in ("off", "metadata", "falloc", "full"):
        raise invalid(f"there is no preallocation mode '{wish.preallocation}'")
    if wish.version < 3:
        newer = {
            "lazy refcounts": wish.lazy_refcounts,
            "refcount widths other than 16 bits": wish.refcount_order != 4,
            "external data files": wish.data_file is not None,
            "extended L2 entries": wish.extended_l2,
            "compression types other than zlib": wish.compression != q.COMPRESSION_ZLIB,
        }
        for feature, wanted in newer.items():
            if wanted:
                raise invalid(f"{feature} need compatibility level 1.1 or above")
    if wish.data_file_raw and wish.data_file is None:
        raise invalid("data_file_raw requires data_file")
    if wish.data_file_raw and wish.backing_file is not None:
        raise invalid("Backing file and data_file_raw cannot be used at the same time")
    if wish.data_file_raw and wish.preallocation == "off":
        wish.preallocation = "metadata"
    if wish.backing_file is not None and wish.preallocation != "off" and not wish.extended_l2:
        raise invalid("Backing file and preallocation can only be used at the same time if extended_l2 is enabled")
    if wish.backing_format is not None and wish.backing_file is None:
        raise invalid("Backing format cannot be used without backing file")
    if wish.extended_l2 and wish.cluster_bits < 14:
        raise invalid("Extended L2 entries are only supported with cluster sizes of at least 16384 bytes")
    entries = q.Geometry(wish.cluster_bits, 1 << wish.refcount_order, wish.extended_l2).l1_entries(wish.size)
    if wish.size > q.MAX_IMAGE_BYTES or entries * 8 > q.MAX_L1_BYTES:
        raise invalid("The image size is too large (try using a larger cluster size)")


async def create(filename: str, size: int, options: dict[str, str], secret: Callable[[str], bytes]) -> None:
    """Make an image at `filename`. What was made is removed when that fails. Raises BlockError."""
    wish = understand(size, options)
    plan: NewEncryption | None = None
    if wish.encrypted:
        from varan.block.formats.qcow2.encryption import new_encryption

        plan = await new_encryption(options, secret)
    made: list[str] = []
    graph = Graph(secret=secret, inline=True)
    try:
        await _make_file(filename, 0, made)
        if wish.data_file is not None:
            await _make_file(_data_file_name(filename, wish.data_file), wish.size, made)
        await _write_empty(graph, filename, wish)
        await _complete(graph, filename, wish, plan)
    except BaseException:
        await _abandon(graph)
        for path in made:
            os.unlink(path)
        raise


async def _abandon(graph: Graph) -> None:
    try:
        await graph.close_all()
    except BlockError:
        pass


async def _make_file(filename: str, size: int, made: list[str]) -> None:
    protocol = registry.protocol_for(filename)
    path = plain_path(filename)
    fresh = protocol == "file" and not os.path.lexists(path)
    await registry.driver(protocol).create(filename, size, {})
    if fresh:
        made.append(path)


def _data_file_name(filename: str, data_file: str) -> str:
    name = relative_to(filename, data_file)
    if name is None:
        raise invalid(f"the data file '{data_file}' is relative to no directory", filename)
    return name


async def _write_empty(graph: Graph, filename: str, wish: Wish) -> None:
    """A valid image of no bytes: header, one cluster of refcount table, one refcount block."""
    size = 1 << wish.cluster_bits
    header = Header(
        version=wish.version,
        cluster_bits=wish.cluster_bits,
        refcount_order=wish.refcount_order,
        refcount_table_offset=size,
        refcount_table_clusters=1,
        header_length=q.HEADER_LENGTH if wish.version >= 3 else q.HEADER_LENGTH_V2,
        compression_type=wish.compression,
    )
    if wish.compression != q.COMPRESSION_ZLIB:
        header.incompatible |= q.INCOMPATIBLE_COMPRESSION
    if wish.extended_l2:
        header.incompatible |= q.INCOMPATIBLE_EXTENDED_L2
    if wish.lazy_refcounts:
        header.compatible |= q.COMPATIBLE_LAZY_REFCOUNTS
    if wish.data_file is not None:
        header.incompatible |= q.INCOMPATIBLE_DATA_FILE
        header.data_file = wish.data_file
        if wish.data_file_raw:
            header.autoclear |= q.AUTOCLEAR_DATA_FILE_RAW
    block = bytearray(size)
    bits = 1 << wish.refcount_order
    for cluster in range(3):
        if bits < 8:
            block[cluster * bits // 8] |= 1 << cluster * bits % 8
        else:
            block[(cluster + 1) * bits // 8 - 1] = 1
    data = header.serialize().ljust(size, b"\0") + struct.pack(">Q", 2 * size).ljust(size, b"\0") + bytes(block)
    protocol = await _open_protocol(graph, filename)
    await protocol.write(0, [memoryview(data)])
    await graph.close(protocol)


async def _open_protocol(graph: Graph, filename: str) -> Node:
    return await graph.open({"driver": registry.protocol_for(filename), "filename": filename, "cache.no-flush": True})


async def _complete(graph: Graph, filename: str, wish: Wish, plan: NewEncryption | None) -> None:
    """Bring an empty image to its size, and give it backing file, encryption and names."""
    source: dict[str, Any] = {"driver": "qcow2", "file": {"driver": registry.protocol_for(filename)}, "backing": None}
    source["file"]["filename"] = filename
    source["lazy-refcounts"] = False
    # Nobody relies on the image before it is complete: it is put on stable storage once, when it is closed.
    source["cache.no-flush"] = True
    node = await graph.open(source)
    assert isinstance(node, Qcow2Node)
    metadata = node.metadata
    header = metadata.header
    if wish.size:
        await truncate(node, wish.size, "off" if wish.backing_file is not None else wish.preallocation)
        if wish.backing_file is not None and wish.preallocation != "off":
            await preallocate(node, 0, wish.size, wish.preallocation)
    if plan is not None:
        await _write_crypto(node, plan)
    header.backing_file = wish.backing_file
    header.backing_format = wish.backing_format
    if wish.version >= 3:
        _add_feature_names(header)
    await metadata.commit()
    await metadata.write_header()
    for file in {node.file, node.data_file}:
        file.options.cache_no_flush = False
    await graph.close(node)


def _add_feature_names(header: Header) -> None:
    """They are a courtesy: with the smallest clusters there may be no room for them."""
    header.set_extension(q.EXTENSION_FEATURE_NAMES, default_feature_names())
    try:
        header.serialize()
    except BlockError:
        header.set_extension(q.EXTENSION_FEATURE_NAMES, None)


async def _write_crypto(node: Qcow2Node, plan: NewEncryption) -> None:
    """Put the encryption header (LUKS) in clusters of its own, and note method and place in the header."""
    metadata = node.metadata
    metadata.header.crypt_method = plan.method
    if not plan.area_length:
        return
    length = plan.area_length
    async with metadata.lock:
        first = await metadata.refcounts.allocate(metadata.geometry.clusters(length))
    offset = first << metadata.geometry.cluster_bits
    await metadata.write_bytes(offset, plan.start)
    metadata.header.set_extension(q.EXTENSION_CRYPTO, struct.pack(">QQ", offset, length))
