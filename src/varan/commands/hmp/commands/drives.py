"""Drives that come and go while the machine is there."""

from __future__ import annotations

from dataclasses import replace

from varan.commands import block_core
from varan.commands.block_media import check_free
from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.registry import command
from varan.commands.hmp.session import HmpSession
from varan.core.keyval import Arguments
from varan.errors import DeviceNotFound
from varan.machine.driveoptions import INTERFACES, check_spellings, take_drive, take_policy

_NUMBERS = {"none": 0, "ide": 1, "scsi": 2, "floppy": 3, "pflash": 4, "mtd": 5, "sd": 6, "virtio": 7, "xen": 8}
"""By which this command has always named interfaces."""


@command(
    "drive_add",
    "-n:node place:string options:string",
    help="add a drive, as -drive if=none does, for device_add to use (-n: a block node, as -blockdev does)",
)
async def drive_add(session: HmpSession, place: str, options: str, node: bool = False) -> str:
    """`place` was an address on the PCI bus once, and means nothing."""
    if node:
        given = Arguments(options).rest()
        if "node-name" not in given:
            raise HmpError("'node-name' needs to be specified")
        await block_core.blockdev_add(session.machine, given)
        return ""
    arguments = Arguments(options)
    check_spellings(arguments)
    interface = arguments.take_choice("if", INTERFACES) or "ide"
    policies = [take_policy(arguments, name, interface) for name in ("rerror", "werror")]
    optical = arguments.take_choice("media", ("disk", "cdrom")) == "cdrom"
    for name in ("bus", "unit", "index"):
        arguments.take_number(name)
    drives = session.machine.drives
    free = next(f"none{n}" for n in range(len(drives.backends) + 1) if f"none{n}" not in drives.backends)
    spec = replace(take_drive(arguments, free, optical=optical), rerror=policies[0], werror=policies[1])
    if spec.id in drives.backends:
        raise HmpError(f"Duplicate ID '{spec.id}' for drive")
    if interface != "none":
        raise HmpError(f"Can't hot-add drive to type {_NUMBERS[interface]}")
    await drives.open(spec)
    return "OK\n"


@command("drive_del", "device:string", help="take a drive away; a device that uses it finds no medium any more")
async def drive_del(session: HmpSession, device: str) -> str:
    """A block node goes as by `blockdev-del`."""
    machine = session.machine
    if device in machine.drives.graph.nodes:
        await block_core.blockdev_del(machine, device)
        return ""
    if device not in machine.drives.backends:
        raise DeviceNotFound(device)
    check_free(machine, machine.drives.backends[device])
    await machine.drives.remove(device)
    return ""
