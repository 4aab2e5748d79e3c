"""`varan img commit`: move an image's content into its backing file."""

from __future__ import annotations

import os.path

from varan.block.base import BlockError, ErrorKind, Node
from varan.block.operations.backing_file import make_empty
from varan.block.operations.commit import commit
from varan.block.operations.extents import layers
from varan.cli.img import common
from varan.cli.img.grammar import Command, Flag, Line
from varan.cli.img.images import Images
from varan.cli.img.progress import Progress

BASE = Flag("base", ("-b",), "the image of the chain that takes the content (the next one); implies -d", "BASE")
KEEP = Flag("keep", ("-d",), "do not empty the image afterwards")
RATE = Flag("rate", ("-r",), "bytes per second at most", "RATE")


def run(line: Line) -> int:
    """Commit; returns the exit status."""
    name = common.one_image(line)
    cache = line.last("cache")
    quiet = line.has("quiet")
    with Images(line) as images:
        above, base = _chain(images, name, line)
        target = images.open(base[0], base[1], write=True, cache=cache, by_options=False)
        empties = not line.has("keep") and not line.has("base")
        nodes = [images.open(*above[0], write=empties, cache=cache, no_backing=True)]
        nodes += [images.open(file, format, no_backing=True, by_options=False) for file, format in above[1:]]
        with Progress(line.has("progress") and not quiet) as progress:
            commit(nodes, target, rate=common.size(line.last("rate") or "0", "-r"), progress=progress)
        images.close(target)
        if empties:
            images.drive(make_empty(nodes[0]))
    if not quiet:
        print("Image committed.")
    return 0


def _chain(images: Images, name: str, line: Line) -> tuple[list[tuple[str, str | None]], tuple[str, str]]:
    """Names and formats of the images above the base, and of the base. Raises BlockError."""
    top = images.open(name, line.last("format"))
    chain = layers(top)
    if len(chain) < 2:
        raise BlockError(ErrorKind.INVALID, "Image does not have a backing file", where=name)
    index = _find(chain, line.last("base"), name)
    above: list[tuple[str, str | None]] = [(name, line.last("format"))]
    above += [(node.filename, node.driver) for node in chain[1:index]]
    base = (chain[index].filename, chain[index].driver)
    images.close(top)
    return above, base


def _find(chain: list[Node], wanted: str | None, name: str) -> int:
    if wanted is None:
        return 1
    paths = {os.path.realpath(path) for path in (wanted, os.path.join(os.path.dirname(name), wanted))}
    for index, node in enumerate(chain[1:], 1):
        if node.filename == wanted or os.path.realpath(node.filename) in paths:
            return index
    raise BlockError(ErrorKind.NOT_FOUND, f"Did not find '{wanted}' in the backing chain of '{name}'")


COMMAND = Command(
    "commit",
    "FILE",
    "Write the content of an image into its backing file, and empty the image.",
    (
        common.FORMAT,
        common.IMAGE_OPTS,
        common.OBJECT,
        BASE,
        KEEP,
        RATE,
        common.CACHE,
        common.PROGRESS,
        common.QUIET,
    ),
    run,
)
