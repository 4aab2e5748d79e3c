"""A program that does to a list of images, in bounded memory, all that may be done to images, and says how it went.

Arguments: what to do ("look" or "change") and the image files. One line for each image on standard output:
"NAME ok" or "NAME block-error"; anything else, a crash included, is a fault.
"""

from __future__ import annotations

import resource
import sys
import time
import traceback
from pathlib import Path

from varan.block import blocking
from varan.block.base import BlockError, Node, OpenOptions
from varan.block.blocking import BlockingImage
from varan.block.drive import run_now
from varan.block.graph import Graph
from varan.block.operations import snapshot
from varan.block.operations.bitmap import Action, change
from varan.block.operations.check import check
from varan.block.operations.convert import ConvertOptions, convert
from varan.block.operations.info import image_info
from varan.block.operations.map import image_map

MEMORY = 1 << 30
LONGEST_FILE = 1 << 30
SECONDS = 20.0
MEBIBYTE = 1 << 20


async def walk(node: Node) -> None:
    """Up to a few thousand entries of the image's map."""
    count = 0
    async for _ in image_map(node, 0, 64 * MEBIBYTE):
        count += 1
        if count > 5000:
            break


def look(path: Path) -> bool:
    """Everything that does not change the image; whether something was refused."""
    refused = False
    graph = Graph(inline=True)
    try:
        node = run_now(graph.open(str(path), format="qcow2", options=OpenOptions(read_only=True)))
    except BlockError:
        return True
    target = path.with_suffix(".copy")
    for step in (
        lambda: run_now(image_info(node)),
        lambda: run_now(check(node)),
        lambda: run_now(walk(node)),
        lambda: run_now(snapshot.snapshots(node)),
        lambda: read_all(node),
        lambda: copy(node, target),
        lambda: run_now(graph.close_all()),
    ):
        try:
            step()
        except BlockError:
            refused = True
    target.unlink(missing_ok=True)
    return refused


def read_all(node: Node) -> None:
    """The first and last bytes."""
    buffer = memoryview(bytearray(min(node.length, 2 * MEBIBYTE)))
    run_now(node.read(0, [buffer]))
    run_now(node.read(node.length - len(buffer), [buffer]))


def copy(node: Node, target: Path) -> None:
    """Convert what is small enough."""
    if node.length > 8 * MEBIBYTE:
        return
    blocking.create(str(target), node.length, format="raw")
    graph = Graph(inline=True)
    try:
        written = run_now(graph.open(str(target), format="raw"))
        convert([node], written, ConvertOptions(target_is_zero=True))
    finally:
        run_now(graph.close_all())


def change_all(path: Path) -> bool:
    """Everything that changes the image; whether something was refused."""
    refused = False
    try:
        image = blocking.open(str(path), format="qcow2", discard=True)
    except BlockError:
        return True
    last = max(image.length - 70_000, 0)
    for step in (
        lambda: image.write(100, b"x" * min(9000, image.length - 100)),
        lambda: image.write(last, b"y" * (image.length - last)),
        lambda: image.write_zeroes(0, min(300_000, image.length), unmap=True),
        lambda: image.discard(0, min(100_000, image.length)),
        lambda: image.flush(),
        lambda: drive(image, snapshot.create(image._image.node, "new")),
        lambda: drive(image, snapshot.apply(image._image.node, "first")),
        lambda: drive(image, snapshot.delete(image._image.node, "first")),
        lambda: drive(image, change(image._image.node, "newer", [Action("add")])),
        lambda: drive(image, change(image._image.node, "dirt", [Action("clear")])),
        lambda: image.resize(image.length + (1 << 20)),
        lambda: image.resize(65536),
        lambda: image.close(),
    ):
        try:
            step()
        except BlockError:
            refused = True
    return refused


def drive(image: BlockingImage, coroutine: object) -> None:
    """Run an operation on the image's own loop."""
    image._run(coroutine)  # type: ignore[arg-type]


def repair(path: Path) -> bool:
    """Repair everything."""
    graph = Graph(inline=True)
    try:
        options = OpenOptions(driver_options={"repairing": True})
        run_now(check(run_now(graph.open(str(path), format="qcow2", options=options)), "all"))
    except BlockError:
        return True
    finally:
        try:
            run_now(graph.close_all())
        except BlockError:
            pass
    return False


ACTIONS = {"look": look, "change": change_all, "repair": repair}


def main() -> int:
    """See the module."""
    # Memory and file size bounded as an operator would.
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    action = ACTIONS[sys.argv[1]]
    for name in sys.argv[2:]:
        began = time.process_time()
        try:
            verdict = "block-error" if action(Path(name)) else "ok"
        except BaseException:
            verdict = "fault " + traceback.format_exc().replace("\n", " | ")
        seconds = time.process_time() - began
        print(name, verdict if seconds < SECONDS else f"slow: {seconds:.1f} s", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
