"""`varan img measure`: how large a converted image would be."""

from __future__ import annotations

from varan.block.operations.measure import Measurement, measure_node, measure_size
from varan.cli.img import common
from varan.cli.img.create import check_options, find_driver
from varan.cli.img.grammar import Command, Flag, Line
from varan.cli.img.images import Images, format_options
from varan.cli.img.snapshots import SNAPSHOT, load_snapshot
from varan.cli.img.text import json_text
from varan.cli.option import UsageError

SIZE = Flag("size", ("-s", "--size"), "for an image of SIZE bytes without content", "SIZE")
TARGET_FORMAT = Flag("target-format", ("-O",), "format of the new image (raw)", "FMT")


def run(line: Line) -> int:
    """Print the sizes; returns the exit status."""
    json = common.wants_json(line)
    format = line.last("target-format") or "raw"
    size = line.last("size")
    if size is not None and line.operands:
        raise UsageError("--size N cannot be used together with a filename")
    if size is None and len(line.operands) != 1:
        raise UsageError("either --size N or one filename must be specified")
    options = format_options(line.all("options"))
    check_options(find_driver(format, ""), options, "")
    if size is not None:
        _print(measure_size(format, common.size(size, "--size"), options), json)
        return 0
    with Images(line) as images:
        node = images.open(line.operands[0], line.last("format"))
        load_snapshot(images, node, line.last("snapshot"))
        _print(images.drive(measure_node(format, node, options)), json)
    return 0


def _print(sizes: Measurement, json: bool) -> None:
    if json:
        values = {"required": sizes.required, "fully-allocated": sizes.fully_allocated}
        print(json_text(values if sizes.bitmaps is None else {"bitmaps": sizes.bitmaps} | values))
        return
    print(f"required size: {sizes.required}")
    print(f"fully allocated size: {sizes.fully_allocated}")
    if sizes.bitmaps is not None:
        print(f"bitmaps size: {sizes.bitmaps}")


COMMAND = Command(
    "measure",
    "[FILE]",
    "Tell how many bytes a new image would take, with the content of FILE or of SIZE bytes without content.",
    (
        TARGET_FORMAT,
        SIZE,
        common.FORMAT,
        common.IMAGE_OPTS,
        common.OBJECT,
        common.OUTPUT,
        common.OPTIONS,
        SNAPSHOT,
        common.SHARE,
    ),
    run,
)
