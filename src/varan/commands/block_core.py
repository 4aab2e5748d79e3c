"""Handlers of schema/block-core.json."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from varan.commands.registry import handler
from varan.errors import (
    DeviceHasNoMedium,
    DeviceInUse,
    DeviceIsReadOnly,
    GenericError,
    InvalidParameterValue,
    NodeNotFound,
    Unsupported,
)
from varan.machine.machine import Machine

if TYPE_CHECKING:
    from varan.block.base import Node


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


@handler("block_resize")
async def block_resize(machine: Machine, size: int, device: str | None = None, node_name: str | None = None) -> None:
    """Returns when the guest can see it."""
    from varan.block.base import BlockError, ErrorKind
    from varan.block.resizing import resize

    node, called = _find(machine, device, node_name)
    if size < 0:
        raise InvalidParameterValue("size", "a >0 size")
    if machine.drives.jobs(machine.jobs).busy(node):
        raise DeviceInUse(called)
    try:
        await resize(machine.drives.graph, node, size)
    except BlockError as error:
        if error.kind is ErrorKind.READ_ONLY:
            raise DeviceIsReadOnly(called, "Image is read-only") from None
        if error.kind is ErrorKind.IN_USE:
            raise DeviceInUse(called) from None
        if error.kind is ErrorKind.UNSUPPORTED:
            raise Unsupported(error.reason) from None
        raise


def _find(machine: Machine, device: str | None, node_name: str | None) -> tuple[Node, str]:
    """The drive's medium, else the node, and the name that found it. Raises QmpError."""
    drives = machine.drives
    if device in drives.backends:
        node = drives.backends[device].node
        if node is None:
            raise DeviceHasNoMedium(device)
        return node, device
    if node_name not in drives.graph.nodes:
        raise NodeNotFound(device or "", node_name or "")
    return drives.graph.nodes[node_name], node_name
