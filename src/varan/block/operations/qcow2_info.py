"""The members of ImageInfo that only qcow2 images have."""

from __future__ import annotations

from varan.block.base import Node
from varan.block.formats.qcow2 import layout as q
from varan.block.formats.qcow2.node import Qcow2Node
from varan.block.operations.qcow2_node import qcow2
from varan.block.operations.snapshot import snapshots
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

ENCRYPTION_ORDER = (
    "ivgen-alg",
    "hash-alg",
    "cipher-alg",
    "uuid",
    "ivgen-hash-alg",
    "format",
    "cipher-mode",
    "slots",
    "payload-offset",
    "master-key-iters",
)


async def describe(node: Node) -> dict[str, Any]:
    """Cluster size, flags, snapshots and the format's own data. Raises BlockError."""
    image = qcow2(node, "description")
    header = image.metadata.header
    info: dict[str, Any] = {
        "cluster-size": header.cluster_size,
        "format-specific": {"type": "qcow2", "data": await _specific(image)},
        "dirty-flag": bool(header.incompatible & q.INCOMPATIBLE_DIRTY),
    }
    if header.crypt_method != q.CRYPT_NONE:
        info["encrypted"] = True
    if header.snapshots:
        info["snapshots"] = await snapshots(node)
    return info


async def _specific(image: Qcow2Node) -> dict[str, Any]:
    header = image.metadata.header
    modern = header.version >= 3
    data: dict[str, Any] = {
        "compat": "1.1" if modern else "0.10",
        "compression-type": q.COMPRESSION_NAMES[header.compression_type],
    }
    if modern:
        data["lazy-refcounts"] = header.lazy_refcounts
        bitmaps = await bitmap_infos(image)
        if bitmaps:
            data["bitmaps"] = bitmaps
    data["refcount-bits"] = 1 << header.refcount_order
    if header.crypt_method != q.CRYPT_NONE:
        data["encrypt"] = await _encryption(image)
    if header.has_data_file:
        if header.data_file is not None:
            data["data-file"] = header.data_file
        data["data-file-raw"] = header.data_file_raw
    if modern:
        data["corrupt"] = bool(header.incompatible & q.INCOMPATIBLE_CORRUPT)
        data["extended-l2"] = header.extended_l2
    return data


async def _encryption(image: Qcow2Node) -> Mapping[str, object]:
    from varan.block.formats.qcow2.encryption import encryption_info

    info = await encryption_info(image.metadata.header, image.file) or {}
    ordered = {key: info[key] for key in (*ENCRYPTION_ORDER, *info) if key in info}
    slots = ordered.get("slots")
    if isinstance(slots, list):
        order = ("active", "iters", "key-offset", "stripes")
        ordered["slots"] = [{key: slot[key] for key in order if key in slot} for slot in slots]
    return ordered


async def bitmap_infos(image: Qcow2Node) -> list[dict[str, Any]]:
    """Qcow2BitmapInfo of every persistent bitmap. Raises BlockError."""
    header = image.metadata.header
    raw = header.extension(q.EXTENSION_BITMAPS)
    if raw is None or not header.autoclear & q.AUTOCLEAR_BITMAPS:
        return []
    from varan.block.formats.qcow2 import bitmap_directory as directory

    place = directory.parse_extension(raw, header.cluster_size)
    entries = directory.parse(
        await image.metadata.read_bytes(place.offset, place.size), place.count, header.cluster_size
    )
    return [
        {
            "flags": [name for name, on in (("in-use", entry.in_use), ("auto", entry.auto)) if on],
            "name": entry.name,
            "granularity": 1 << entry.granularity_bits,
        }
        for entry in entries
    ]
