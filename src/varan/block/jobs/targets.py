"""What mirrors and backups write to, and the bitmaps that say what."""

from __future__ import annotations

from typing import Any

from varan.api.values import BitmapSyncMode, MirrorSyncMode
from varan.block import registry
from varan.block.base import BlockError, Node
from varan.block.dirty import DirtyBitmap
from varan.block.formats.qcow2.bitmaps import bitmaps_of
from varan.block.formats.qcow2.node import Qcow2Node
from varan.block.graph import Graph
from varan.block.request import unfiltered
from varan.errors import GenericError


async def create_target(filename: str, format: str, size: int, below: Node | None) -> None:
    """Make an image of `size` bytes that names `below` as its backing file. Raises BlockError."""
    driver = registry.driver(format)
    options = {}
    if below is not None and any(role.name == "backing" for role in driver.child_roles):
        options = {"backing_file": below.filename, "backing_fmt": unfiltered(below).driver}
    try:
        await driver.create(filename, size, options)
    except BlockError as error:
        raise BlockError(error.kind, f"Could not create '{filename}': {_reason(error)}") from error


async def open_target(graph: Graph, filename: str, format: str | None, name: str | None, below: Node | None) -> Node:
    """Open an image to be written, over the very node `below` where that is given. Raises BlockError."""
    options: dict[str, Any] = {"filename": filename}
    if name is not None:
        options["node-name"] = name
    has_backing = format is not None and any(role.name == "backing" for role in registry.driver(format).child_roles)
    if below is not None and has_backing:
        options["backing"] = None
    try:
        node = await graph.open(options, format=format, user=None)
    except BlockError as error:
        raise BlockError(error.kind, f"Could not open '{filename}': {_reason(error)}") from error
    if below is not None and has_backing:
        try:
            await graph.replace(node, "backing", below)
        except BlockError:
            await graph.close(node)
            raise
    return node


def _reason(error: BlockError) -> str:
    return str(error).removeprefix(f"{error.where}: ")


def find_bitmap(node: Node, name: str) -> DirtyBitmap:
    """The dirty bitmap of a node. Raises GenericError."""
    bitmap = None
    if isinstance(node, Qcow2Node) and name in bitmaps_of(node).names:
        if bitmaps_of(node).is_inconsistent(name):
            raise GenericError(f"Bitmap '{name}' is inconsistent and cannot be used")
        bitmap = bitmaps_of(node).in_memory(name)
    if bitmap is None:
        raise GenericError(f"Bitmap '{name}' could not be found")
    return bitmap


def bitmap_use(
    sync: MirrorSyncMode, bitmap: DirtyBitmap | None, mode: BitmapSyncMode | None
) -> tuple[MirrorSyncMode, BitmapSyncMode]:
    """What is copied and what becomes of the bitmap, from what was asked for. Raises GenericError."""
    uses = sync in (MirrorSyncMode.INCREMENTAL, MirrorSyncMode.BITMAP)
    if uses and bitmap is None:
        raise GenericError(f"must provide a valid bitmap name for '{sync.value}' sync mode")
    if bitmap is None:
        if mode is not None:
            raise GenericError("Cannot specify bitmap sync mode without a bitmap")
        return sync, BitmapSyncMode.NEVER
    if sync is MirrorSyncMode.INCREMENTAL:
        if mode not in (None, BitmapSyncMode.ON_SUCCESS):
            raise GenericError("Bitmap sync mode must be 'on-success' when using sync mode 'incremental'")
        return MirrorSyncMode.BITMAP, BitmapSyncMode.ON_SUCCESS
    if mode is None:
        raise GenericError("Bitmap sync mode must be given when providing a bitmap")
    if not uses:
        raise GenericError(f"a bitmap is of no use in '{sync.value}' sync mode")
    return sync, mode
