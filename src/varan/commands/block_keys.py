"""Handlers of schema/block-keys.json."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varan.commands.registry import handler
from varan.errors import (
    DeviceHasNoMedium,
    DeviceNotEncrypted,
    DeviceNotFound,
    GenericError,
    InvalidPassword,
    NodeNotFound,
)
from varan.machine.machine import Machine

if TYPE_CHECKING:
    from varan.block.base import Node


@handler("block_passwd")
async def block_passwd(
    machine: Machine, password: str, device: str | None = None, node_name: str | None = None
) -> None:
    """The guest does not start by itself afterwards: that is `cont`."""
    from varan.block import keys
    from varan.block.base import BlockError, ErrorKind

    node, called = _find(machine, device, node_name)
    try:
        await keys.unlock(node, password.encode())
    except BlockError as error:
        if error.kind is ErrorKind.UNSUPPORTED:
            raise DeviceNotEncrypted(called) from None
        if error.kind is ErrorKind.ENCRYPTED:
            raise InvalidPassword from None
        raise


def _find(machine: Machine, device: str | None, node_name: str | None) -> tuple[Node, str]:
    """The node, and the word that found it. Raises QmpError."""
    drives = machine.drives
    if (device is None) == (node_name is None):
        raise GenericError("Need exactly one of 'device' and 'node-name'")
    if node_name is not None:
        if node_name not in drives.graph.nodes:
            raise NodeNotFound(node_name)
        return drives.graph.nodes[node_name], node_name
    assert device is not None
    if device not in drives.backends:
        raise DeviceNotFound(device)
    node = drives.backends[device].node
    if node is None:
        raise DeviceHasNoMedium(device)
    return node, device
