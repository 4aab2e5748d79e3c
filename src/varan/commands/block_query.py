"""Handlers of schema/block-query.json."""

from __future__ import annotations

from varan.api.values import BlockDeviceInfo, BlockInfo, BlockStats
from varan.commands.registry import handler
from varan.machine.machine import Machine


@handler("query-block")
async def query_block(machine: Machine) -> list[BlockInfo]:
    """Drives in the order they came, then disks that were given nodes."""
    backends = list(machine.drives)
    if not backends:
        return []
    from varan.block.description import describe_backend

    return [await describe_backend(backend) for backend in backends]


@handler("query-named-block-nodes")
async def query_named_block_nodes(machine: Machine, flat: bool | None = None) -> list[BlockDeviceInfo]:
    """The one that was opened last comes first."""
    from varan.block.description import describe_node

    nodes = reversed(machine.drives.graph.nodes.values())
    return [await describe_node(node, flat=bool(flat)) for node in list(nodes)]


@handler("query-blockstats")
async def query_blockstats(machine: Machine, query_nodes: bool | None = None) -> list[BlockStats]:
    """In the order of `query-block`, or in the order in which nodes were opened."""
    from varan.block.counters import count_backend, count_node

    if query_nodes:
        return [count_node(node) for node in machine.drives.graph.nodes.values()]
    return [count_backend(backend) for backend in machine.drives]
