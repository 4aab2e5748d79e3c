"""Handlers of schema/block-core.json."""

from __future__ import annotations

from typing import Any

from varan.commands.registry import handler
from varan.errors import GenericError
from varan.machine.machine import Machine


@handler("blockdev-add")
async def blockdev_add(machine: Machine, arguments: dict[str, Any]) -> None:
    """Returns when the node is open."""
    name = arguments.get("node-name")
    if isinstance(name, str) and name in machine.drives.graph.nodes:
        raise GenericError(f"Duplicate nodes with node-name='{name}'")
    await machine.drives.add_node(arguments)


@handler("blockdev-del")
async def blockdev_del(machine: Machine, node_name: str) -> None:
    """What only the node needs is closed with it."""
    graph = machine.drives.graph
    if node_name not in graph.nodes:
        raise GenericError(f"Failed to find node with node-name='{node_name}'")
    node = graph.nodes[node_name]
    if not graph.holds(node):
        raise GenericError(f"Node {node_name} is not owned by the monitor")
    if graph.parents(node):
        raise GenericError(f"Node {node_name} is in use")
    await graph.close(node)


@handler("blockdev-reopen")
async def blockdev_reopen(machine: Machine, options: list[Any]) -> None:
    """Requests wait while the nodes change."""
    from varan.block.reopening import reopen_nodes

    await reopen_nodes(machine.drives.graph, options)
