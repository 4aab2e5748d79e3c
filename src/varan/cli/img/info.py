"""`varan img info`: describe an image, and with --backing-chain those below it."""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind, Node
from varan.block.operations.info import image_info
from varan.block.operations.text import image_text
from varan.cli.img import common, text
from varan.cli.img.grammar import Command, Flag, Line
from varan.cli.img.images import Images
from varan.light import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import Any

ORDER = (
    "snapshots",
    "backing-filename-format",
    "virtual-size",
    "filename",
    "cluster-size",
    "format",
    "actual-size",
    "format-specific",
    "encrypted",
    "full-backing-filename",
    "backing-filename",
    "dirty-flag",
)
"""Of the members in JSON output."""
CHAIN = Flag("backing-chain", ("--backing-chain",), "describe the backing files too")


def run(line: Line) -> int:
    """Print the description; returns the exit status."""
    json = common.wants_json(line)
    name = common.one_image(line)
    chain = line.has("backing-chain")
    with Images(line) as images:
        infos = _collect(images, name, line.last("format"), chain)
    if json:
        ordered = [{key: info[key] for key in (*ORDER, *info) if key in info} for info in infos]
        print(text.json_text(ordered if chain else ordered[0]))
    else:
        print("\n\n".join("\n".join(image_text(info)) for info in infos))
    return 0


def _collect(images: Images, name: str, format: str | None, chain: bool) -> list[dict[str, Any]]:
    infos = []
    seen: set[Any] = set()
    by_options: bool | None = None
    next_name: str | None = name
    while next_name is not None:
        node = images.open(next_name, format, no_backing=True, by_options=by_options, describe=True)
        identity = _identity(node)
        if identity is not None and identity in seen:
            raise BlockError(ErrorKind.INVALID, f"backing file '{next_name}' creates an infinite loop", where=name)
        seen.add(identity)
        info = images.drive(image_info(node))
        infos.append(info)
        images.close(node)
        next_name, format, by_options = info.get("full-backing-filename"), info.get("backing-filename-format"), False
        if not chain:
            break
    return infos


def _identity(node: Node) -> Any:
    file = node.children.get("file")
    return file.node.identity() if file is not None else node.identity()


COMMAND = Command(
    "info",
    "FILE",
    "Describe an image.",
    (common.FORMAT, common.IMAGE_OPTS, common.OBJECT, common.OUTPUT, CHAIN, common.SHARE),
    run,
)
