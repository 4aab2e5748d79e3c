"""-drive and -blockdev."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from varan.api.values import BlockdevOnError
from varan.block.throttle import OLD_NAMES
from varan.cli.builder import Builder
from varan.cli.folds.common import HELP_WORDS
from varan.cli.folds.devices import json_object
from varan.cli.option import UsageError
from varan.core.keyval import Arguments
from varan.machine.spec import BlockdevSpec, DeviceSpec, DriveSpec

INTERFACES = ("none", "virtio", "ide", "scsi", "floppy", "sd", "mtd", "pflash", "xen")
_ABSENT = {
    "scsi": "SCSI controllers",
    "sd": "memory card readers",
    "mtd": "flash devices",
    "pflash": "flash devices",
    "xen": "Xen guests",
}
_CACHE = {
    "none": (True, True, False),
    "off": (True, True, False),
    "directsync": (True, False, False),
    "writethrough": (False, False, False),
    "writeback": (False, True, False),
    "unsafe": (False, True, True),
}
"""Of a cache mode: past the host's cache, with a write cache, flushes do nothing."""
_ACTIONS = ("ignore", "report", "stop")
_BEARING_ERRORS = ("none", "virtio", "ide", "scsi")
"""Interfaces whose devices can wait for an error to be mended."""
IDE_BUSES, IDE_UNITS = 2, 2
FLOPPY_UNITS = 2
_LIMITS = {
    **{
        f"{old}{suffix.replace('-', '_')}": f"{kind}{suffix}"
        for kind, old in OLD_NAMES.items()
        for suffix in ("", "-max")
    },
    "iops_size": "iops-size",
}
"""Older names of limits, and what throttle groups call them."""
_LONGEST_INTERVAL = 0xFFFFFFFF
"""Seconds that `stats-intervals` may say."""
_SPELLINGS = {
    "readonly": "read-only",
    "group": "throttling.group",
    **{old: f"throttling.{name}" for old, name in _LIMITS.items()},
}


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
    _add_drive(builder, Arguments(f"index=2,media=cdrom,file={file}"), f"-cdrom {value}")


def fold_floppy(unit: int) -> Callable[[Builder, str], None]:
    """-fda FILE and -fdb FILE: floppy disk drive number `unit`"""

    def fold(builder: Builder, value: str) -> None:
        file = value.replace(",", ",,")
        _add_drive(builder, Arguments(f"if=floppy,index={unit},file={file}"), f"-fd{'ab'[unit]} {value}")

    return fold


def _add_drive(builder: Builder, arguments: Arguments, origin: str) -> None:
    for old, new in _SPELLINGS.items():
        if old in arguments and new in arguments:
            raise UsageError(f"'{new}' and its alias '{old}' can't be used at the same time")
    if "driver" in arguments and "format" in arguments:
        raise UsageError("Cannot specify both 'driver' and 'format'")
    interface = arguments.take_choice("if", INTERFACES) or "ide"
    policies = [_policy(arguments, name, interface) for name in ("rerror", "werror")]
    optical = arguments.take_choice("media", ("disk", "cdrom")) == "cdrom"
    if interface in _ABSENT:
        raise UsageError(
            f"if={interface} is not supported yet: there are no {_ABSENT[interface]}; if=virtio makes a virtio disk"
        )
    number = _number(builder, interface, arguments)
    snapshot = arguments.take_bool("snapshot")
    spec = _drive(arguments, _default_id(interface, number, optical), optical)
    spec = replace(spec, rerror=policies[0], werror=policies[1], origin=origin)
    if any(other.id == spec.id for other in builder.drives):
        raise UsageError(f"Duplicate ID '{spec.id}' for drive")
    builder.drives.append(spec)
    builder.drive_numbers.setdefault(interface, set()).add(number)
    if snapshot is not None:
        builder.snapshots[spec.id] = snapshot
    if interface == "virtio":
        builder.disk_devices.append(DeviceSpec("virtio-blk-pci", settings={"drive": spec.id}, origin=origin))
    elif interface == "floppy":
        settings = {"unit": str(number), "drive": spec.id}
        builder.board_disks.append(DeviceSpec("floppy", settings=settings, origin=origin))
    elif interface == "ide":
        bus, unit = divmod(number, IDE_UNITS)
        settings = {"drive": spec.id, "unit": str(unit)}
        driver = "ide-cd" if optical else "ide-hd"
        builder.board_disks.append(DeviceSpec(driver, bus=f"ide.{bus}", settings=settings, origin=origin))


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


def _policy(arguments: Arguments, name: str, interface: str) -> BlockdevOnError:
    """What -drive's `rerror` or `werror` says."""
    word = arguments.take(name)
    if word is None:
        return BlockdevOnError.AUTO
    if interface not in _BEARING_ERRORS:
        raise UsageError(f"{name} is not supported by this bus type")
    # Reads want for no space.
    choices, kind = (_ACTIONS, "read") if name == "rerror" else ((*_ACTIONS, "enospc"), "write")
    if word not in choices:
        raise UsageError(f"'{word}' invalid {kind} error action")
    return BlockdevOnError(word)


def _default_id(interface: str, number: int, optical: bool) -> str:
    if interface != "ide":
        return f"{interface}{number}"
    bus, unit = divmod(number, IDE_UNITS)
    return f"ide{bus}-{'cd' if optical else 'hd'}{unit}"


def _drive(arguments: Arguments, id: str, optical: bool) -> DriveSpec:
    id = arguments.take("id") or id
    serial = arguments.take("serial") or ""
    aio = arguments.take_choice("aio", ("threads", "native", "io_uring"))
    format = arguments.take("format") or arguments.take("driver")
    if format in HELP_WORDS:
        raise UsageError("'varan img --help' lists the formats")
    options: dict[str, Any] = {"read-only": True} if optical else {}
    writeback = True
    mode = arguments.take_choice("cache", tuple(_CACHE))
    if mode is not None:
        options["cache.direct"], writeback, options["cache.no-flush"] = _CACHE[mode]
    switch = arguments.take_bool("cache.writeback")
    writeback = writeback if switch is None else switch
    limits, group = _limits(arguments)
    accounts = [arguments.take_bool(f"stats-account-{what}") is not False for what in ("invalid", "failed")]
    intervals = _intervals(arguments)
    for name in ("readonly", "read-only"):
        if (given := arguments.take_bool(name)) is not None:
            options["read-only"] = given
    file = arguments.take("file")
    if file and "file.filename" in arguments:
        raise UsageError("Can't specify 'file' and 'filename' options at the same time")
    if file:
        options["filename"] = file
    copy_on_read = arguments.take_bool("copy-on-read")
    options |= arguments.rest()
    if aio == "native" and options.get("cache.direct") not in (True, "on"):
        raise UsageError("aio=native was specified, but it requires cache.direct=on, which was not specified.")
    if copy_on_read and options.get("read-only"):
        raise UsageError("copy-on-read=on and readonly=on contradict each other: what is read would have to be written")
    spec = DriveSpec(
        id,
        None,
        None,
        writeback,
        serial,
        limits=limits,
        throttle_group=group,
        account_invalid=accounts[0],
        account_failed=accounts[1],
        intervals=intervals,
    )
    if not file and "file.filename" not in options and "file.driver" not in options and format is None:
        return replace(spec, retained=options)
    if copy_on_read:
        above: dict[str, Any] = {key: options.pop(key) for key in ("detect-zeroes", "discard") if key in options}
        inner = {f"file.{key}": value for key, value in options.items()}
        inner |= {"file.driver": format} if format else {}
        return replace(spec, source={"driver": "copy-on-read", **above, **inner}, copy_on_read=True)
    return replace(spec, source=options, format=format)


def _intervals(arguments: Arguments) -> tuple[int, ...]:
    """What `stats-intervals.0`, `stats-intervals.1`... say, in seconds."""
    intervals: list[int] = []
    while (text := arguments.take(f"stats-intervals.{len(intervals)}")) is not None:
        if not text.isascii() or not text.isdigit() or not 0 < int(text[:20]) <= _LONGEST_INTERVAL:
            raise UsageError(f"Invalid interval length: {text}")
        intervals.append(int(text))
    return tuple(intervals)


def _limits(arguments: Arguments) -> tuple[dict[str, int], str | None]:
    """Limits by the names that throttle groups have for them, and the group."""
    names = [f"{kind}{suffix}" for kind in OLD_NAMES for suffix in ("", "-max", "-max-length")]
    wanted = {**{f"throttling.{name}": name for name in (*names, "iops-size")}, **_LIMITS}
    limits = {}
    for spelling, name in wanted.items():
        if (value := arguments.take_number(spelling)) is not None:
            limits[name] = value
    return limits, arguments.take("throttling.group") or arguments.take("group")
