"""`varan img info`: describe an image, and with --backing-chain those below it."""

from __future__ import annotations

from varan.block.base import BlockError, ErrorKind, Node
from varan.block.operations.info import image_info
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
        print("\n\n".join("\n".join(_human(info)) for info in infos))
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


def _human(info: dict[str, Any]) -> list[str]:
    size, actual = info["virtual-size"], info.get("actual-size")
    lines = [
        f"image: {info['filename']}",
        f"file format: {info['format']}",
        f"virtual size: {text.human_size(size)} ({size} bytes)",
        f"disk size: {'unavailable' if actual is None else text.human_size(actual)}",
    ]
    if info.get("encrypted"):
        lines.append("encrypted: yes")
    if "cluster-size" in info:
        lines.append(f"cluster_size: {info['cluster-size']}")
    if info.get("dirty-flag"):
        lines.append("cleanly shut down: no")
    lines += _backing(info)
    if info.get("snapshots"):
        lines += ["Snapshot list:", *text.snapshot_table(info["snapshots"])]
    if info.get("format-specific"):
        lines += ["Format specific information:", *text.nested(info["format-specific"]["data"], 1)]
    return lines


def _backing(info: dict[str, Any]) -> list[str]:
    name, full = info.get("backing-filename"), info.get("full-backing-filename")
    if name is None:
        return []
    place = "" if full == name else " (cannot determine actual path)" if full is None else f" (actual path: {full})"
    lines = [f"backing file: {name}{place}"]
    if "backing-filename-format" in info:
        lines.append(f"backing file format: {info['backing-filename-format']}")
    return lines


COMMAND = Command(
    "info",
    "FILE",
    "Describe an image.",
    (common.FORMAT, common.IMAGE_OPTS, common.OBJECT, common.OUTPUT, CHAIN, common.SHARE),
    run,
)
