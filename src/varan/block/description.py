"""What there is to say about drives and block nodes, in the protocol's words."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from varan.api.values import (
    BlockdevCacheInfo,
    BlockdevDetectZeroesOptions,
    BlockDeviceInfo,
    BlockDirtyInfo,
    BlockInfo,
    ImageInfo,
)
from varan.block import bitmaps
from varan.block.base import BlockError
from varan.block.keys import missing_key
from varan.block.limiting import shown_limits
from varan.block.medium import is_removable
from varan.block.operations.info import image_info
from varan.block.operations.names import reopening_name

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable

    from varan.block.backend import BlockBackend
    from varan.block.base import Node
    from varan.block.dirty import DirtyBitmap
    from varan.block.graph import Graph

T = TypeVar("T")
_ATTEMPTS = 20


def visible(node: Node) -> Node:
    """What filters that nobody asked for stand before at `node`."""
    while node.implicit and (below := node.filtered) is not None:
        node = below
    return node


def below(node: Node) -> Node | None:
    """The image below, or what a filter stands before."""
    backing = node.children.get("backing")
    return node.filtered if backing is None else backing.node


def place_of(backend: BlockBackend) -> str:
    """The device's id or, where it has none, its path in the object tree."""
    return str(backend.device.id or backend.device.path)


async def describe_backends(graph: Graph, backends: Iterable[BlockBackend]) -> list[BlockInfo]:
    """Drives and their media. Raises BlockError when an image cannot be looked at."""

    async def describe() -> list[BlockInfo]:
        return [await _describe_backend(backend) for backend in list(backends)]

    return await _undisturbed(graph, describe)


async def describe_nodes(graph: Graph, *, flat: bool) -> list[BlockDeviceInfo]:
    """All nodes, the one that was opened last first; `flat`: without the images below. Raises BlockError."""

    async def describe() -> list[BlockDeviceInfo]:
        return [await _describe_node(node, flat=flat) for node in reversed(list(graph.nodes.values()))]

    return await _undisturbed(graph, describe)


async def _undisturbed(graph: Graph, describe: Callable[[], Awaitable[T]]) -> T:
    """What `describe` returns, which waits for images: anew where others have closed or exchanged some meanwhile."""
    for _ in range(_ATTEMPTS):
        before = list(graph.nodes.values())
        try:
            found = await describe()
        except (BlockError, OSError):
            if before == list(graph.nodes.values()):
                raise
        else:
            if before == list(graph.nodes.values()):
                return found
    return await describe()


async def _describe_backend(backend: BlockBackend) -> BlockInfo:
    info = BlockInfo(device=backend.public_name, type="unknown", removable=is_removable(backend), locked=False)
    if backend.device is not None:
        info.qdev = place_of(backend)
        if backend.may_stand_still:
            info.io_status = backend.io_status
    guest = backend.removable
    if guest is not None:
        with backend.lock:
            info.locked = guest.locked
            if guest.has_tray:
                info.tray_open = guest.tray_open
    if backend.node is not None:
        inserted = info.inserted = await _describe_node(visible(backend.node), backend)
        # A filter that nobody asked for has the settings of the whole.
        inserted.detect_zeroes = BlockdevDetectZeroesOptions(backend.node.options.detect_zeroes)
        for name, value in shown_limits(backend).items():
            setattr(inserted, name, value)
    return info


async def _describe_node(node: Node, backend: BlockBackend | None = None, *, flat: bool = False) -> BlockDeviceInfo:
    """A node, as `backend` has it if one is given."""
    image, depth = await _images(node, flat=flat, all_nodes=backend is None)
    options = node.options
    info = BlockDeviceInfo(
        file=image.filename,
        node_name=node.node_name,
        ro=node.read_only,
        drv=node.driver,
        backing_file_depth=depth,
        encrypted=node.encrypted,
        encryption_key_missing=missing_key(node) is not None,
        detect_zeroes=BlockdevDetectZeroesOptions(options.detect_zeroes),
        bps=0,
        bps_rd=0,
        bps_wr=0,
        iops=0,
        iops_rd=0,
        iops_wr=0,
        image=image,
        cache=BlockdevCacheInfo(
            writeback=backend is None or backend.writeback, direct=options.cache_direct, no_flush=options.cache_no_flush
        ),
        write_threshold=node.write_threshold,
    )
    if dirty := [_describe_bitmap(bitmap) async for bitmap in bitmaps.every(node)]:
        info.dirty_bitmaps = dirty
    backing = node.children.get("backing")
    if backing is not None:
        info.backing_file = reopening_name(backing.node)
    return info


def _describe_bitmap(bitmap: DirtyBitmap) -> BlockDirtyInfo:
    info = BlockDirtyInfo(
        name=bitmap.name,
        count=bitmap.count,
        granularity=bitmap.granularity,
        recording=bitmap.recording,
        busy=bitmap.busy,
        persistent=bitmap.persistent,
    )
    if bitmap.inconsistent:
        info.inconsistent = True
    return info


async def _images(node: Node, *, flat: bool, all_nodes: bool) -> tuple[ImageInfo, int]:
    """The image at `node` with those below it, and how many those are."""
    infos = []
    layer: Node | None = node
    while layer is not None:
        infos.append(await image_info(layer, in_use=True))
        if flat:
            break
        layer = below(layer)
        if layer is not None and not all_nodes:
            layer = visible(layer)
    for above, under in zip(infos[-2::-1], infos[:0:-1], strict=True):
        above["backing-image"] = under
    return msgspec.convert(infos[0], ImageInfo), len(infos) - 1
