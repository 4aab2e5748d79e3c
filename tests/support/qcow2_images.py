"""qcow2 images in memory: created, opened without a graph, checked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.support.recording_file import RecordingFile
from varan.block.base import Edge, Node, OpenOptions, Permission, no_secrets
from varan.block.formats.qcow2.check import check_image
from varan.block.formats.qcow2.check_report import CheckReport
from varan.block.formats.qcow2.create import create
from varan.block.formats.qcow2.node import Qcow2Node
from varan.block.formats.qcow2.opening import read_header


async def image_bytes(directory: Path, size: int, **options: str) -> bytes:
    """A new image's bytes."""
    path = directory / "new.qcow2"
    path.unlink(missing_ok=True)
    await create(str(path), size, options, no_secrets)
    return path.read_bytes()


def edge(node: Node, role: str) -> Edge:
    """A hold that allows everything."""
    return Edge(node, role, Permission.ALL, Permission.ALL)


async def open_image(
    file: Node,
    *,
    backing: Node | None = None,
    data_file: Node | None = None,
    read_only: bool = False,
    **options: Any,
) -> Qcow2Node:
    """An open node over `file`, with no graph around."""
    discard = bool(options.pop("discard", True))
    opened = OpenOptions(read_only=read_only, discard=discard, inline=True, driver_options=options)
    node = Qcow2Node(opened, await read_header(file), file)
    node.children["file"] = edge(file, "file")
    if backing is not None:
        node.children["backing"] = edge(backing, "backing")
    if data_file is not None:
        node.children["data-file"] = edge(data_file, "data-file")
    await node.children_ready()
    return node


async def check_bytes(content: bytes | bytearray) -> CheckReport:
    """What a check says of an image's bytes."""
    file = RecordingFile(bytes(content))
    return await check_image(file, await read_header(file))
