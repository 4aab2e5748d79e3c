"""Dirty bitmaps by name, as people ask for them: on any node, kept in the image where its format can."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator

from varan.block.base import Node
from varan.block.dirty import DEFAULT_GRANULARITY, MIN_GRANULARITY, DirtyBitmap
from varan.block.formats.qcow2.bitmap_directory import MAX_BITMAPS, MAX_NAME
from varan.block.formats.qcow2.bitmaps import Bitmaps, bitmaps_of
from varan.block.formats.qcow2.node import Qcow2Node
from varan.block.recording import recorder_of
from varan.block.request import unfiltered
from varan.errors import GenericError

_SMALLEST_DEFAULT = 4096
_WORD = 8
"""Bytes: what the sum of a bitmap is taken over is made of such words."""


def _stored(node: Node) -> Bitmaps | None:
    return bitmaps_of(node) if isinstance(node, Qcow2Node) else None


def is_taken(node: Node, name: str) -> bool:
    """Whether the node has a bitmap of that name."""
    stored = _stored(node)
    return (node.recorder is not None and name in node.recorder.bitmaps) or (
        stored is not None and name in stored.names
    )


async def find(node: Node, name: str) -> DirtyBitmap:
    """The bitmap of that name, whatever state it is in. Raises GenericError, BlockError."""
    if node.recorder is not None and name in node.recorder.bitmaps:
        return node.recorder.bitmaps[name]
    stored = _stored(node)
    if stored is None or name not in stored.names:
        raise GenericError(f"Dirty bitmap '{name}' not found")
    if stored.is_inconsistent(name):
        return stored.placeholder(name)
    return await stored.get(name)


async def every(node: Node) -> AsyncIterator[DirtyBitmap]:
    """All bitmaps of a node, the newest first. Those that cannot be relied on say so. Raises BlockError."""
    recorded = list(node.recorder.bitmaps) if node.recorder is not None else []
    stored = _stored(node)
    others = [name for name in stored.names if name not in recorded] if stored is not None else []
    for name in reversed([*others, *recorded]):
        yield await find(node, name)


def check(node: Node, bitmap: DirtyBitmap, *, change: bool = True, consistent: bool = True) -> None:
    """Raise GenericError unless a bitmap can be used, and changed, now."""
    if bitmap.busy:
        raise GenericError(f"Bitmap '{bitmap.name}' is currently in use by another operation and cannot be used")
    if change and bitmap.persistent and node.read_only:
        raise GenericError(f"Bitmap '{bitmap.name}' is readonly and cannot be modified")
    if consistent and bitmap.inconsistent:
        raise GenericError(f"Bitmap '{bitmap.name}' is inconsistent and cannot be used")


async def usable(node: Node, name: str, *, change: bool = True) -> DirtyBitmap:
    """The bitmap of that name, which can be used, and changed, now. Raises GenericError, BlockError."""
    bitmap = await find(node, name)
    check(node, bitmap, change=change)
    return bitmap


def add(
    node: Node,
    name: str,
    *,
    granularity: int | None = None,
    persistent: bool = False,
    enabled: bool = True,
    called: str = "",
) -> DirtyBitmap:
    """A new bitmap, all clean; `called` is the node's name for messages. Raises GenericError, BlockError."""
    if not name:
        raise GenericError("Bitmap name cannot be empty")
    if granularity is not None and (granularity < MIN_GRANULARITY or granularity & (granularity - 1)):
        raise GenericError(f"Granularity must be power of 2 and at least {MIN_GRANULARITY}")
    if persistent:
        _check_storable(node, name, called or node.node_name)
    if is_taken(node, name):
        raise GenericError(f"Bitmap already exists: {name}")
    if len(name.encode(errors="surrogateescape")) > MAX_NAME:
        raise GenericError(f"Bitmap name too long: {name}")
    granularity = granularity or default_granularity(node)
    if persistent:
        assert isinstance(node, Qcow2Node)
        return bitmaps_of(node).add(name, granularity, enabled=enabled)
    bitmap = DirtyBitmap(name, node.length, granularity)
    bitmap.enabled = enabled
    recorder_of(node).add(bitmap)
    return bitmap


def default_granularity(node: Node) -> int:
    """Bytes of a bit unless something else is wanted: the image's clusters, within bounds."""
    image = unfiltered(node)
    if not isinstance(image, Qcow2Node):
        return DEFAULT_GRANULARITY
    return min(max(image.metadata.header.cluster_size, _SMALLEST_DEFAULT), DEFAULT_GRANULARITY)


def _check_storable(node: Node, name: str, called: str) -> None:
    if not isinstance(node, Qcow2Node):
        raise GenericError(f"Can't store persistent bitmaps to {called}: Operation not supported")
    reason = None
    if node.metadata.header.version < 3:
        reason = "Cannot store dirty bitmaps in qcow2 v2 files"
    elif node.read_only:
        reason = "the image is read-only"
    elif len(name.encode(errors="surrogateescape")) > MAX_NAME:
        reason = f"Name length exceeds maximum ({MAX_NAME} characters)"
    elif len(bitmaps_of(node).names) >= MAX_BITMAPS:
        reason = "Maximum number of persistent bitmaps is already reached"
    if reason is not None:
        raise GenericError(f"Can't make bitmap '{name}' persistent in '{called}': {reason}")


async def remove(node: Node, name: str) -> None:
    """Forget a bitmap, in the image as well. Raises GenericError, BlockError."""
    if isinstance(node, Qcow2Node) and name in bitmaps_of(node).names:
        await bitmaps_of(node).remove(name)
    else:
        recorder_of(node).drop(name)


def set_enabled(node: Node, bitmap: DirtyBitmap, enabled: bool) -> None:
    """Record writes, or do not. Raises BlockError."""
    if bitmap.persistent:
        assert isinstance(node, Qcow2Node)
        bitmaps_of(node).set_enabled(bitmap.name, enabled)
    else:
        bitmap.enabled = enabled


def merge(target: DirtyBitmap, source: DirtyBitmap) -> None:
    """Mark dirty in `target` what is dirty in `source`. Raises GenericError."""
    if target.size != source.size:
        raise GenericError(
            "Bitmaps are of different sizes "
            f"(destination size is {target.size}, source size is {source.size}) and can't be merged"
        )
    target.merge(source)


def sha256(bitmap: DirtyBitmap) -> str:
    """The sum of the packed bits, filled up to whole words, as hexadecimal digits."""
    bits = bytes(bitmap.bits)
    return hashlib.sha256(bits.ljust(-(-len(bits) // _WORD) * _WORD, b"\0")).hexdigest()
