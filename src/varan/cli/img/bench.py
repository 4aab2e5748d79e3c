"""`varan img bench`: time simple sequential requests."""

from __future__ import annotations

import time

from varan.block.base import BlockError
from varan.cli.img import common
from varan.cli.img.grammar import Command, Flag, Line
from varan.cli.img.images import Images
from varan.cli.option import UsageError

FLAGS = (
    common.FORMAT,
    common.IMAGE_OPTS,
    common.OBJECT,
    Flag("count", ("-c",), "how many requests (75000)", "COUNT"),
    Flag("depth", ("-d",), "how many at a time (64)", "DEPTH"),
    Flag("flush-interval", ("--flush-interval",), "with -w: flush after so many", "COUNT"),
    Flag("aio", ("-i",), "threads, native (with -t none or directsync) or io_uring: all are served alike", "MODE"),
    Flag("native", ("-n",), "the same as -i native"),
    Flag("no-drain", ("--no-drain",), "with --flush-interval: do not wait for requests under way"),
    Flag("offset", ("-o",), "where the first one goes (0)", "OFFSET"),
    Flag("pattern", ("--pattern",), "with -w: the byte to write (0)", "BYTE"),
    Flag("buffer-size", ("-s",), "bytes of each (4096)", "SIZE"),
    Flag("step", ("-S",), "from one to the next (its size)", "SIZE"),
    common.CACHE,
    Flag("write", ("-w",), "write, which overwrites the image's content"),
    common.QUIET,
    common.SHARE,
)
_MAX = (1 << 31) - 1


def run(line: Line) -> int:
    """Send the requests and print how long that took; returns the exit status."""
    name = common.one_image(line)
    size = common.size(line.last("buffer-size") or "4096", "buffer size")
    step = common.size(line.last("step") or str(size), "step size") or size
    writes, depth = line.has("write"), common.number(line, "depth", 64, 1, _MAX)
    flush = common.number(line, "flush-interval", 0, 0, _MAX)
    if flush and not writes:
        raise UsageError("--flush-interval is only available in write tests")
    if flush and flush < depth:
        raise UsageError("flush interval can't be smaller than depth")
    if not 0 < size <= _MAX:
        raise UsageError("invalid buffer size")
    _check_aio(line)
    import asyncio

    from varan.block.operations.bench import BenchPlan, bench

    plan = BenchPlan(
        count=common.number(line, "count", 75000, 0, _MAX),
        size=size,
        step=step,
        offset=common.size(line.last("offset") or "0", "offset"),
        depth=depth,
        writes=writes,
        pattern=common.number(line, "pattern", 0, 0, 255),
        flush_interval=flush,
    )
    with Images(line) as images:
        node = images.open(name, line.last("format"), write=writes, cache=line.last("cache"))
        if not line.has("quiet"):
            print(
                f"Sending {plan.count} {'write' if writes else 'read'} requests, {size} bytes each, "
                f"{depth} in parallel (starting at offset {plan.offset}, step size {step})"
            )
            if flush:
                print(f"Sending flush every {flush} requests")
        started = time.perf_counter()
        try:
            asyncio.run(bench(node, plan))
        except* BlockError as group:
            raise group.exceptions[0] from None
        seconds = time.perf_counter() - started
        if not line.has("quiet"):
            print(f"Run completed in {seconds:.3f} seconds.")
    return 0


def _check_aio(line: Line) -> None:
    """Refuse what QEMU's back ends would. Raises UsageError."""
    aio = "native" if line.has("native") else line.last("aio") or "threads"
    if aio not in ("threads", "native", "io_uring"):
        raise UsageError(f"Invalid aio option: {aio}")
    direct, _, _ = common.check_cache_mode(line.last("cache") or "writeback")
    if aio == "native" and not direct:
        raise UsageError("aio=native was specified, but it requires a cache mode that is direct (-t none)")


COMMAND = Command("bench", "FILE", "Time simple sequential requests.", FLAGS, run)
