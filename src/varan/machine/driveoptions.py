"""A drive's options as `-drive` and `drive_add` take them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from varan.api.values import BlockdevOnError
from varan.block.throttle import OLD_NAMES
from varan.core.identifiers import IDENTIFIER
from varan.core.keyval import Arguments
from varan.errors import VaranError
from varan.machine.spec import DriveSpec

_HELP_WORDS = frozenset({"help", "?"})
INTERFACES = ("none", "virtio", "ide", "scsi", "floppy", "sd", "mtd", "pflash", "xen")
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


class DriveOptionError(VaranError):
    """Options that contradict each other, or say what cannot be."""


def check_spellings(arguments: Arguments) -> None:
    """Raise DriveOptionError when something is said twice, in two spellings."""
    for old, new in _SPELLINGS.items():
        if old in arguments and new in arguments:
            raise DriveOptionError(f"'{new}' and its alias '{old}' can't be used at the same time")
    if "driver" in arguments and "format" in arguments:
        raise DriveOptionError("Cannot specify both 'driver' and 'format'")


def take_policy(arguments: Arguments, name: str, interface: str) -> BlockdevOnError:
    """What -drive's `rerror` or `werror` says."""
    word = arguments.take(name)
    if word is None:
        return BlockdevOnError.AUTO
    if interface not in _BEARING_ERRORS:
        raise DriveOptionError(f"{name} is not supported by this bus type")
    # Reads want for no space.
    choices, kind = (_ACTIONS, "read") if name == "rerror" else ((*_ACTIONS, "enospc"), "write")
    if word not in choices:
        raise DriveOptionError(f"'{word}' invalid {kind} error action")
    return BlockdevOnError(word)


def take_drive(arguments: Arguments, id: str, *, optical: bool = False) -> DriveSpec:
    """The drive that the rest of `arguments` describes, all of them taken; `id` unless they name another.

    Raises DriveOptionError, KeyvalError.
    """
    id = arguments.take("id") or id
    if not IDENTIFIER.fullmatch(id):
        raise DriveOptionError(
            f"Parameter 'id' expects an identifier (letters, digits, '-', '.', '_', a letter first), not '{id}'"
        )
    snapshot = arguments.take_bool("snapshot") is True
    serial = arguments.take("serial") or ""
    aio = arguments.take_choice("aio", ("threads", "native", "io_uring"))
    format = arguments.take("format") or arguments.take("driver")
    if format in _HELP_WORDS:
        raise DriveOptionError("'varan img --help' lists the formats")
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
        raise DriveOptionError("Can't specify 'file' and 'filename' options at the same time")
    if file:
        options["filename"] = file
    copy_on_read = arguments.take_bool("copy-on-read")
    options |= arguments.rest()
    if aio == "native" and options.get("cache.direct") not in (True, "on"):
        raise DriveOptionError("aio=native was specified, but it requires cache.direct=on, which was not specified.")
    if copy_on_read and options.get("read-only"):
        raise DriveOptionError(
            "copy-on-read=on and readonly=on contradict each other: what is read would have to be written"
        )
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
        snapshot=snapshot,
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
            raise DriveOptionError(f"Invalid interval length: {text}")
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
