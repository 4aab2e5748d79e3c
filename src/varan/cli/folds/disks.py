"""-drive and -blockdev."""

from __future__ import annotations

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
    "ide": "IDE controllers",
    "scsi": "SCSI controllers",
    "floppy": "floppy disk controllers",
    "sd": "memory card readers",
    "mtd": "flash devices",
    "pflash": "flash devices",
    "xen": "Xen guests",
}
_CACHE = {
    "none": (True, True, False),
    "directsync": (True, False, False),
    "writethrough": (False, False, False),
    "writeback": (False, True, False),
    "unsafe": (False, True, True),
}
"""Of a cache mode: past the host's cache, with a write cache, flushes do nothing."""
_ACTIONS = ("ignore", "report", "stop")
_BEARING_ERRORS = ("none", "virtio", "ide", "scsi")
"""Interfaces whose devices can wait for an error to be mended."""
_LIMITS = {
    **{
        f"{old}{suffix.replace('-', '_')}": f"{kind}{suffix}"
        for kind, old in OLD_NAMES.items()
        for suffix in ("", "-max")
    },
    "iops_size": "iops-size",
}
"""Older names of limits, and what throttle groups call them."""
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
    arguments = Arguments(value)
    for old, new in _SPELLINGS.items():
        if old in arguments and new in arguments:
            raise UsageError(f"'{new}' and its alias '{old}' can't be used at the same time")
    if "driver" in arguments and "format" in arguments:
        raise UsageError("Cannot specify both 'driver' and 'format'")
    interface = arguments.take_choice("if", INTERFACES) or "ide"
    policies = [_policy(arguments, name, interface) for name in ("rerror", "werror")]
    media = arguments.take_choice("media", ("disk", "cdrom"))
    if interface in _ABSENT:
        raise UsageError(
            f"if={interface} is not supported yet: there are no {_ABSENT[interface]}; if=virtio makes a virtio disk"
        )
    if media == "cdrom":
        raise UsageError("media=cdrom is not supported yet: there are no optical drives")
    index = arguments.take_number("index")
    number = _number(builder, interface, index)
    spec = replace(_drive(arguments, f"{interface}{number}"), rerror=policies[0], werror=policies[1])
    if any(other.id == spec.id for other in builder.drives):
        raise UsageError(f"Duplicate ID '{spec.id}' for drive")
    builder.drives.append(replace(spec, origin=f"-drive {value}"))
    if interface == "virtio":
        builder.drive_numbers.add(number)
        builder.disk_devices.append(DeviceSpec("virtio-blk-pci", settings={"drive": spec.id}, origin=f"-drive {value}"))
    else:
        builder.unplugged_drives += 1


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


def _number(builder: Builder, interface: str, index: int | None) -> int:
    """Which drive of its interface it is."""
    if interface == "none":
        return builder.unplugged_drives if index is None else index
    if index is None:
        return next(number for number in range(len(builder.drive_numbers) + 1) if number not in builder.drive_numbers)
    if index in builder.drive_numbers:
        raise UsageError(f"drive with bus=0, unit={index} (index={index}) exists")
    return index


def _drive(arguments: Arguments, id: str) -> DriveSpec:
    id = arguments.take("id") or id
    serial = arguments.take("serial") or ""
    arguments.take_choice("aio", ("threads", "native", "io_uring"))
    format = arguments.take("format") or arguments.take("driver")
    if format in HELP_WORDS:
        raise UsageError("'varan img --help' lists the formats")
    options: dict[str, Any] = {}
    writeback = True
    mode = arguments.take_choice("cache", tuple(_CACHE))
    if mode is not None:
        options["cache.direct"], writeback, options["cache.no-flush"] = _CACHE[mode]
    switch = arguments.take_bool("cache.writeback")
    writeback = writeback if switch is None else switch
    limits, group = _limits(arguments)
    for name in ("readonly", "read-only"):
        if (given := arguments.take_bool(name)) is not None:
            options["read-only"] = given
    file = arguments.take("file")
    if file:
        options["filename"] = file
    copy_on_read = arguments.take_bool("copy-on-read")
    options |= arguments.rest()
    spec = DriveSpec(id, None, None, writeback, serial, limits=limits, throttle_group=group)
    if not file and "file.filename" not in options and "file.driver" not in options and format is None:
        return replace(spec, retained=options)
    if copy_on_read:
        above: dict[str, Any] = {key: options.pop(key) for key in ("detect-zeroes", "discard") if key in options}
        inner = {f"file.{key}": value for key, value in options.items()}
        inner |= {"file.driver": format} if format else {}
        return replace(spec, source={"driver": "copy-on-read", **above, **inner}, copy_on_read=True)
    return replace(spec, source=options, format=format)


def _limits(arguments: Arguments) -> tuple[dict[str, int], str | None]:
    """Limits by the names that throttle groups have for them, and the group."""
    names = [f"{kind}{suffix}" for kind in OLD_NAMES for suffix in ("", "-max", "-max-length")]
    wanted = {**{f"throttling.{name}": name for name in (*names, "iops-size")}, **_LIMITS}
    limits = {}
    for spelling, name in wanted.items():
        if (value := arguments.take_number(spelling)) is not None:
            limits[name] = value
    return limits, arguments.take("throttling.group") or arguments.take("group")
