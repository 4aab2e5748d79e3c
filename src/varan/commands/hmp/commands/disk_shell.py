"""qemu-io: the commands of `varan io` on a machine's disks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varan.commands.block_media import backend_of
from varan.commands.hmp.registry import command
from varan.commands.hmp.session import HmpSession
from varan.errors import NodeNotFound
from varan.machine.machine import Machine

if TYPE_CHECKING:
    from varan.block.backend import BlockBackend


@command(
    "qemu-io",
    "-d:by_device device:string command:string",
    help="do a command of varan io on a drive or a node (-d: on the disk of the device with that id)",
)
async def qemu_io(session: HmpSession, device: str, command: str, by_device: bool = False) -> str:
    """`qemu-io DISK help` lists the commands. Requests that a breakpoint stops go on after the command."""
    from varan.block.shell.hosted import HostedSession

    machine = session.machine
    backend = backend_of(machine, device) if by_device else _find(machine, device)
    return await HostedSession(machine.drives.graph, backend).run(command)


def _find(machine: Machine, name: str) -> BlockBackend:
    """The drive, or a back end for the node, of that name. Raises NodeNotFound."""
    drives = machine.drives
    if name not in drives.backends and name not in drives.graph.nodes:
        raise NodeNotFound(name)
    return drives.find(name)
