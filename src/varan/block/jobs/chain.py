"""Chains of images as jobs see them: who lies below whom, under which name, and from whom it is hidden."""

from __future__ import annotations

import itertools
import os

from varan.block.base import BlockError, ErrorKind, Node
from varan.block.formats.qcow2.node import Qcow2Node
from varan.block.graph import Graph, base_name
from varan.block.naming import is_relative, protocol_of, relative_to
from varan.block.operations.backing_file import change_backing_file
from varan.block.operations.names import reopening_name
from varan.block.request import backing_of, unfiltered


def chain(top: Node, bottom: Node | None = None) -> list[Node]:
    """The images from `top` down to `bottom` (to the lowest when None), without filters."""
    found = []
    node: Node | None = top
    while node is not None:
        image = unfiltered(node)
        found.append(image)
        if bottom is not None and image is unfiltered(bottom):
            break
        node = backing_of(image)
    return found


def contains(images: list[Node], node: Node) -> bool:
    """Whether `node`, or what it is a filter before, is one of the images."""
    return unfiltered(node) in images


def find_by_filename(images: list[Node], filename: str) -> Node | None:
    """The image of that name: as it was opened, or as the image above it names it."""
    for above, image in zip([None, *images], images, strict=False):
        names = {image.filename, base_name(image)}
        if isinstance(above, Qcow2Node) and above.header.backing_file is not None:
            names.add(above.metadata.header.backing_file or "")
        if filename in names or os.path.abspath(filename) in (_path(name) for name in names if name):
            return image
    return None


def _path(name: str) -> str | None:
    """The absolute path that a name stands for; None for one that is no path."""
    return os.path.abspath(name) if protocol_of(name) is None else None


def overlay_of(graph: Graph, image: Node) -> list[Node]:
    """The images that have `image` as their backing file, looking through filters."""
    found: list[Node] = []
    for edge in graph.parents(image):
        if isinstance(edge.owner, Node):
            if edge.role == "backing":
                found.append(edge.owner)
            elif edge.owner.filtered is image:
                found += overlay_of(graph, edge.owner)
    return found


def check_hidden(graph: Graph, images: list[Node]) -> None:
    """Raise BlockError when anybody but the image above each of these (the first excepted) uses it."""
    for above, image in itertools.pairwise(images):
        if any(edge.owner is not above for edge in graph.parents(image)):
            raise BlockError(ErrorKind.IN_USE, "somebody else uses it as well", where=image.filename)


def name_from(overlay: Node, bottom: Node, base: Node) -> str:
    """How `overlay` is to name `base`, which `bottom` has named until now."""
    named = bottom.metadata.header.backing_file if isinstance(bottom, Qcow2Node) else None
    if named is not None and backing_of(bottom) is not None:
        here, there = base_name(overlay), base_name(bottom)
        if not is_relative(named) or relative_to(here, named) == relative_to(there, named):
            return named
    name = reopening_name(unfiltered(base))
    return _path(name) or name


async def link(graph: Graph, overlay: Node, base: Node | None, name: str | None) -> None:
    """Let `overlay` have `base` as its backing file, in its header and now. In a quiet section. Raises BlockError.

    What the overlay holds is safe first; the header is safe when this returns.
    """
    image = unfiltered(overlay)
    await image.flush()
    await change_backing_file(image, name, unfiltered(base).driver if base is not None else None)
    await image.flush()
    await graph.replace(image, "backing", base)
