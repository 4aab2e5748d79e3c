"""-drive and -blockdev."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from varan.cli.builder import Builder
from varan.cli.folds.devices import json_object
from varan.cli.option import UsageError
from varan.core.keyval import Arguments
from varan.machine.driveoptions import INTERFACES, DriveOptionError, check_spellings, take_drive, take_policy
from varan.machine.spec import BlockdevSpec, DeviceSpec

_ABSENT = {
    "scsi": "SCSI controllers",
    "sd": "memory card readers",
    "mtd": "flash devices",
    "pflash": "flash devices",
    "xen": "Xen guests",
}
IDE_BUSES, IDE_UNITS = 2, 2
FLOPPY_UNITS = 2
DEFAULT_CDROM = 2
"""Its number among the IDE drives: master of the second channel."""


def fold_blockdev(builder: Builder, value: str) -> None:
    """-blockdev [driver=]DRIVER,node-name=NAME[,option=value]..., or the same as a JSON object"""
    options: dict[str, Any] = json_object(value) if value.startswith("{") else Arguments(value, "driver").rest()
    if not options.get("driver"):
        raise UsageError("Parameter 'driver' is missing")
    builder.blockdevs.append(BlockdevSpec(options, f"-blockdev {value}"))


def fold_drive(builder: Builder, value: str) -> None:
    """-drive [file=FILE][,if=INTERFACE][,format=FORMAT]..."""
    _add_drive(builder, Arguments(value), f"-drive {value}")


def fold_disk(unit: int) -> Callable[[Builder, str], None]:
    """-hda FILE to -hdd FILE: IDE disk number `unit`"""

    def fold(builder: Builder, value: str) -> None:
        file = value.replace(",", ",,")
        _add_drive(builder, Arguments(f"index={unit},media=disk,file={file}"), f"-hd{'abcd'[unit]} {value}")

    return fold


def fold_cdrom(builder: Builder, value: str) -> None:
    """-cdrom FILE"""
    file = value.replace(",", ",,")
    _add_drive(builder, Arguments(f"index={DEFAULT_CDROM},media=cdrom,file={file}"), f"-cdrom {value}")


def fold_floppy(unit: int) -> Callable[[Builder, str], None]:
    """-fda FILE and -fdb FILE: floppy disk drive number `unit`"""

    def fold(builder: Builder, value: str) -> None:
        file = value.replace(",", ",,")
        _add_drive(builder, Arguments(f"if=floppy,index={unit},file={file}"), f"-fd{'ab'[unit]} {value}")

    return fold


def add_default_drives(builder: Builder) -> None:
    """What a PC has unless it is told otherwise: an empty optical drive and an empty floppy drive."""
    if not builder.default_drives or builder.machine == "none":
        return
    drivers = {device.driver for device in builder.devices}
    if DEFAULT_CDROM not in builder.drive_numbers.get("ide", ()) and not drivers & {"ide-cd", "ide-hd"}:
        _add_drive(builder, Arguments(f"index={DEFAULT_CDROM},media=cdrom"), "the default CD-ROM drive")
    if 0 not in builder.drive_numbers.get("floppy", ()) and not drivers & {"floppy", "isa-fdc"}:
        _add_drive(builder, Arguments("if=floppy,index=0"), "the default floppy drive")


def _add_drive(builder: Builder, arguments: Arguments, origin: str) -> None:
    try:
        _fold(builder, arguments, origin)
    except DriveOptionError as error:
        raise UsageError(str(error)) from None


def _fold(builder: Builder, arguments: Arguments, origin: str) -> None:
    check_spellings(arguments)
    interface = arguments.take_choice("if", INTERFACES) or "ide"
    policies = [take_policy(arguments, name, interface) for name in ("rerror", "werror")]
    optical = arguments.take_choice("media", ("disk", "cdrom")) == "cdrom"
    if interface in _ABSENT:
        raise UsageError(
            f"if={interface} is not supported yet: there are no {_ABSENT[interface]}; if=virtio makes a virtio disk"
        )
    number = _number(builder, interface, arguments)
    chosen = "snapshot" in arguments
    spec = take_drive(arguments, _default_id(interface, number, optical), optical=optical)
    spec = replace(spec, rerror=policies[0], werror=policies[1], origin=origin)
    if any(other.id == spec.id for other in builder.drives):
        raise UsageError(f"Duplicate ID '{spec.id}' for drive")
    builder.drives.append(spec)
    builder.drive_numbers.setdefault(interface, set()).add(number)
    if chosen:
        builder.snapshots[spec.id] = spec.snapshot
    if interface == "virtio":
        builder.disk_devices.append(DeviceSpec("virtio-blk-pci", settings={"drive": spec.id}, origin=origin))
    elif interface == "floppy":
        settings = {"unit": str(number), "drive": spec.id}
        builder.board_disks.append(DeviceSpec("floppy", settings=settings, origin=origin, on_board=True))
    elif interface == "ide":
        bus, unit = divmod(number, IDE_UNITS)
        settings = {"drive": spec.id, "unit": str(unit)}
        driver = "ide-cd" if optical else "ide-hd"
        builder.board_disks.append(
            DeviceSpec(driver, bus=f"ide.{bus}", settings=settings, origin=origin, on_board=True)
        )


def _number(builder: Builder, interface: str, arguments: Arguments) -> int:
    """Which drive of its interface it is, from `index`, or `bus` and `unit`, or the first that is free."""
    bus, unit, index = (arguments.take_number(name) for name in ("bus", "unit", "index"))
    taken = builder.drive_numbers.get(interface, set())
    units = IDE_UNITS if interface == "ide" else 0
    if index is not None and (bus is not None or unit is not None):
        raise UsageError("index cannot be used with bus and unit")
    if units and unit is not None and unit >= units:
        raise UsageError(f"unit {unit} too big (max is {units - 1})")
    if index is not None or unit is not None:
        number = index if index is not None else (bus or 0) * units + (unit or 0)
        if number in taken and interface != "none":
            bus, unit = divmod(number, units) if units else (0, number)
            raise UsageError(f"drive with bus={bus}, unit={unit} (index={number}) exists")
    else:
        number = (bus or 0) * units
        while number in taken:
            number += 1
    most = {"ide": IDE_BUSES * IDE_UNITS, "floppy": FLOPPY_UNITS}.get(interface, number + 1)
    if number >= most:
        bus, unit = divmod(number, units) if units else (0, number)
        raise UsageError(f"machine type does not support if={interface},bus={bus},unit={unit}")
    return number


def fold_snapshot(builder: Builder, value: str) -> None:
    """-snapshot"""
    builder.snapshot = True


def _default_id(interface: str, number: int, optical: bool) -> str:
    if interface != "ide":
        return f"{interface}{number}"
    bus, unit = divmod(number, IDE_UNITS)
    return f"ide{bus}-{'cd' if optical else 'hd'}{unit}"
