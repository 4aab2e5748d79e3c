"""What mirrors and backups write to, and the bitmaps that say what."""

from __future__ import annotations

import os
from typing import Any

from varan.api.values import BitmapSyncMode, MirrorSyncMode
from varan.block import bitmaps, registry
from varan.block.base import BlockError, ErrorKind, Node, OpenOptions
from varan.block.dirty import DirtyBitmap
from varan.block.graph import Graph
from varan.block.naming import local_path, relative_to
from varan.block.operations.names import reopening_name
from varan.block.request import unfiltered
from varan.errors import CreateFileFailed, GenericError, InvalidBlockFormat, OpenFileFailed


async def create_target(filename: str, format: str, size: int, below: Node | None) -> None:
    """Make an image of `size` bytes that names `below` as its backing file. Raises VaranError."""
    if format not in registry.names():
        raise InvalidBlockFormat(format, "file format")
    driver = registry.driver(format)
    options = {}
    if below is not None and not can_have_backing(format):
        raise GenericError(f"Backing file not supported for file format '{format}'")
    if below is not None:
        options = {"backing_file": _seen_from(filename, below), "backing_fmt": unfiltered(below).driver}
    try:
        await driver.create(filename, size, options)
    except BlockError as error:
        raise _of_file(CreateFileFailed, filename, error) from error


def can_have_backing(format: str) -> bool:
    """Whether images of that format may have others below them."""
    return any(role.name == "backing" for role in registry.driver(format).child_roles)


def _seen_from(filename: str, below: Node) -> str:
    """How an image of that name is to call `below`: so that it is opened as it is now, whatever its own file says."""
    name = reopening_name(unfiltered(below))
    path = local_path(name)
    if path is None or relative_to(filename, path) == path or os.path.abspath(filename) == os.path.abspath(path):
        return name
    there = relative_to(filename, path)
    same = there is not None and os.path.abspath(there) == os.path.abspath(path)
    return name if same else os.path.abspath(path)


async def open_target(
    graph: Graph,
    filename: str,
    format: str | None,
    name: str | None,
    below: Node | None,
    like: OpenOptions | None = None,
    *,
    show_nothing_below: bool = False,
) -> Node:
    """Open an image to be written, over the very node `below` where that is given (`show_nothing_below`: over nothing).

    Raises VaranError.
    """
    options: dict[str, Any] = {"filename": filename}
    if name is not None:
        options["node-name"] = name
    if format is not None and format not in registry.names():
        raise InvalidBlockFormat(format)
    has_backing = format is not None and can_have_backing(format)
    if (below is not None or show_nothing_below) and has_backing:
        options["backing"] = None
    try:
        node = await graph.open(options, format=format, options=like, user=None)
    except BlockError as error:
        raise _of_file(OpenFileFailed, filename, error) from error
    if below is not None and has_backing:
        try:
            await graph.replace(node, "backing", below)
        except BlockError:
            await graph.close(node)
            raise
    return node


_OF_THE_HOST = (ErrorKind.NOT_FOUND, ErrorKind.PERMISSION, ErrorKind.READ_ONLY, ErrorKind.NO_SPACE, ErrorKind.IO)


def _of_file(kind: type[OpenFileFailed], filename: str, error: BlockError) -> OpenFileFailed:
    """What the host says of a file is told with the file's name; what is wrong in it stands for itself."""
    reason = str(error).removeprefix(f"{error.where}: ")
    return kind(filename, reason) if error.kind in _OF_THE_HOST else kind(filename, whole=reason)


async def find_bitmap(node: Node, name: str) -> DirtyBitmap:
    """The dirty bitmap of a node that a job is to use. Raises VaranError."""
    if not bitmaps.is_taken(node, name):
        raise GenericError(f"Bitmap '{name}' could not be found")
    return await bitmaps.usable(node, name, change=False)


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
    if sync is MirrorSyncMode.NONE:
        raise GenericError("sync mode 'none' does not produce meaningful bitmap outputs")
    if not uses and mode is BitmapSyncMode.NEVER:
        raise GenericError(
            f"Bitmap sync mode 'never' has no meaningful effect when combined with sync mode '{sync.value}'"
        )
    return sync, mode
