"""Handlers of schema/block-query.json."""

from __future__ import annotations

import asyncio
import contextlib
import itertools

from varan.api.events import BlockWriteThreshold
from varan.api.values import BlockDeviceInfo, BlockInfo, BlockStats, XDbgBlockGraph
from varan.commands.block_media import backend_of
from varan.commands.registry import handler
from varan.errors import GenericError
from varan.machine.machine import Machine


@handler("query-block")
async def query_block(machine: Machine) -> list[BlockInfo]:
    """Drives in the order they came, then disks that were given nodes."""
    if not any(True for _ in machine.drives):
        return []
    from varan.block.description import describe_backends

    return await describe_backends(machine.drives.graph, machine.drives)


@handler("query-named-block-nodes")
async def query_named_block_nodes(machine: Machine, flat: bool | None = None) -> list[BlockDeviceInfo]:
    """The one that was opened last comes first."""
    from varan.block.description import describe_nodes

    return await describe_nodes(machine.drives.graph, flat=bool(flat))


@handler("query-blockstats")
async def query_blockstats(machine: Machine, query_nodes: bool | None = None) -> list[BlockStats]:
    """In the order of `query-block`, or in the order in which nodes were opened."""
    from varan.block.counters import count_backend, count_node

    if query_nodes:
        return [count_node(node) for node in machine.drives.graph.nodes.values()]
    return [count_backend(backend) for backend in machine.drives]


@handler("block-latency-histogram-set")
async def block_latency_histogram_set(
    machine: Machine,
    id: str,
    boundaries: list[int] | None = None,
    boundaries_read: list[int] | None = None,
    boundaries_write: list[int] | None = None,
    boundaries_flush: list[int] | None = None,
) -> None:
    """An empty list makes a histogram of one bin."""
    statistics = backend_of(machine, id).statistics
    from varan.block.statistics import FLUSH, READ, WRITE

    wanted = {}
    for kind, own in ((READ, boundaries_read), (WRITE, boundaries_write), (FLUSH, boundaries_flush)):
        chosen = boundaries if own is None else own
        if chosen is not None:
            if any(above <= below for below, above in itertools.pairwise([0, *chosen])):
                raise GenericError(f"Device '{id}' set {kind.name.lower()} boundaries fail")
            wanted[kind] = chosen
    if not wanted:
        statistics.drop_histograms()
    for kind, chosen in wanted.items():
        statistics.draw_histogram(kind, chosen)


@handler("block-set-write-threshold")
async def block_set_write_threshold(machine: Machine, node_name: str, write_threshold: int) -> None:
    """The node may be one that somebody else has opened."""
    node = machine.drives.graph.nodes.get(node_name)
    if node is None:
        raise GenericError(f"Device '{node_name}' not found")
    loop = asyncio.get_running_loop()

    def passed(threshold: int, by: int) -> None:
        event = BlockWriteThreshold(node_name=node_name, amount_exceeded=by, write_threshold=threshold)
        with contextlib.suppress(RuntimeError):  # The loop has closed: nobody listens.
            loop.call_soon_threadsafe(machine.events.emit, event)

    node.watch_writes(write_threshold, passed)


@handler("x-debug-query-block-graph")
async def x_debug_query_block_graph(machine: Machine) -> XDbgBlockGraph:
    """Back ends come first."""
    from varan.block.picture import picture

    return picture(machine.drives.graph, machine.drives)
