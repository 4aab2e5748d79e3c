"""Handlers of schema/block-media.json."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from varan.api.values import BlockdevChangeReadOnlyMode
from varan.commands.registry import handler
from varan.core import paths
from varan.core.qom import Object
from varan.devices.pluggable import PluggableDevice
from varan.errors import DeviceLocked, DeviceNotFound, GenericError
from varan.machine.machine import Machine

if TYPE_CHECKING:
    from varan.block.backend import BlockBackend

_READ_ONLY = {
    BlockdevChangeReadOnlyMode.RETAIN: None,
    BlockdevChangeReadOnlyMode.READ_ONLY: True,
    BlockdevChangeReadOnlyMode.READ_WRITE: False,
}


def find_backend(machine: Machine, device: str | None, id: str | None) -> tuple[BlockBackend, str]:
    """The back end by its name or by its device's id or path, and the word that found it. Raises QmpError."""
    if device is not None and id is None:
        if device not in machine.drives.backends:
            raise DeviceNotFound(device)
        return machine.drives.backends[device], device
    if device is not None or id is None:
        raise GenericError("Need exactly one of 'device' and 'id'")
    return backend_of(machine, id), id


def backend_of(machine: Machine, id: str) -> BlockBackend:
    """The back end of the device of that id or path. Raises QmpError."""
    found: Object | None
    found = paths.find(machine.tree.root, id) if id.startswith("/") else machine.tree.peripheral.children.get(id)
    if not isinstance(found, PluggableDevice):
        raise DeviceNotFound(id)
    for backend in machine.drives:
        if backend.device is found:
            return backend
    raise GenericError("Device does not have a block device backend")


def check_free(machine: Machine, backend: BlockBackend) -> None:
    """Raise DeviceInUse when a job works on the medium."""
    if backend.node is not None:
        jobs = machine.drives.jobs(machine.jobs)
        jobs.check_free(jobs.called(backend.node), backend.node)


@handler("eject")
async def eject(machine: Machine, device: str | None = None, id: str | None = None, force: bool | None = None) -> None:
    """The drive keeps how the medium was opened for the next one."""
    from varan.block import medium

    backend, called = find_backend(machine, device, id)
    medium.check_removable(backend, called)
    check_free(machine, backend)
    medium.open_tray(backend, called, force=bool(force))
    await medium.remove_medium(backend, called, lambda: check_free(machine, backend))


@handler("change")
async def change(machine: Machine, device: str, target: str, arg: str | None = None) -> None:
    """As `blockdev-change-medium`, but an image may get its key later."""
    if device == "vnc":
        raise GenericError("there is no VNC server")
    from varan.block import medium

    backend, called = find_backend(machine, device, None)
    await medium.change_medium(
        machine.drives.graph,
        backend,
        called,
        target,
        format=arg,
        key_later=True,
        check=lambda: check_free(machine, backend),
    )


@handler("blockdev-open-tray")
async def blockdev_open_tray(
    machine: Machine, device: str | None = None, id: str | None = None, force: bool | None = None
) -> None:
    """Success when the guest was asked, whatever it answers."""
    from varan.block import medium

    backend, called = find_backend(machine, device, id)
    with contextlib.suppress(DeviceLocked):
        medium.open_tray(backend, called, force=bool(force))


@handler("blockdev-close-tray")
async def blockdev_close_tray(machine: Machine, device: str | None = None, id: str | None = None) -> None:
    """With or without a medium in it."""
    from varan.block import medium

    backend, called = find_backend(machine, device, id)
    medium.close_tray(backend, called)


@handler("blockdev-remove-medium")
async def blockdev_remove_medium(machine: Machine, id: str) -> None:
    """A node that somebody else holds stays open."""
    from varan.block import medium

    backend = backend_of(machine, id)
    await medium.remove_medium(backend, id, lambda: check_free(machine, backend))


@handler("blockdev-insert-medium")
async def blockdev_insert_medium(machine: Machine, id: str, node_name: str) -> None:
    """The node stays the user's, too."""
    from varan.block import medium

    backend = backend_of(machine, id)
    graph = machine.drives.graph
    if node_name not in graph.nodes:
        raise GenericError(f"Node '{node_name}' not found")
    medium.refuse_in_use(graph, graph.nodes[node_name])
    medium.insert_medium(backend, graph.nodes[node_name])


@handler("blockdev-change-medium")
async def blockdev_change_medium(
    machine: Machine,
    filename: str,
    device: str | None = None,
    id: str | None = None,
    format: str | None = None,
    force: bool | None = None,
    read_only_mode: BlockdevChangeReadOnlyMode | None = None,
) -> None:
    """The new image is open before the old one goes."""
    from varan.block import medium

    backend, called = find_backend(machine, device, id)
    await medium.change_medium(
        machine.drives.graph,
        backend,
        called,
        filename,
        format=format,
        read_only=_READ_ONLY[read_only_mode or BlockdevChangeReadOnlyMode.RETAIN],
        force=bool(force),
        check=lambda: check_free(machine, backend),
    )
