"""The block drivers there are: a driver is added by one file that defines `DRIVER` (or `DRIVERS`, by name)."""

from __future__ import annotations

import os
import stat

from varan.block.base import BlockError, Driver, ErrorKind
from varan.block.naming import protocol_of
from varan.light import load

_MODULES: dict[str, str] = {
    "blkdebug": "varan.block.filters.blkdebug",
    "copy-on-read": "varan.block.filters.copy_on_read",
    "file": "varan.block.transports.file",
    "host_cdrom": "varan.block.transports.file",
    "host_device": "varan.block.transports.file",
    "luks": "varan.block.formats.luks",
    "null-aio": "varan.block.transports.null",
    "null-co": "varan.block.transports.null",
    "preallocate": "varan.block.filters.preallocate",
    "qcow2": "varan.block.formats.qcow2.driver",
    "raw": "varan.block.formats.raw",
    "throttle": "varan.block.filters.throttle",
}
_PROBED = {"qcow2": b"QFI\xfb", "luks": b"LUKS\xba\xbe"}
"""Formats that an image's first bytes may speak for, in the order they are asked, and what such images begin with (so
that drivers are loaded only where they may have something to say). What none claims is raw."""

PROBE_LENGTH = 2048
"""Bytes of an image that `probe` wants to see (fewer where the image is smaller)."""


def names() -> list[str]:
    """Every driver's name."""
    return sorted(_MODULES)


def driver(name: str) -> type[Driver]:
    """The driver called `name`. Raises BlockError (INVALID) when there is none."""
    module = _MODULES.get(name)
    if module is None:
        raise BlockError(ErrorKind.INVALID, f"unknown driver '{name}'")
    loaded = load(module)
    table: dict[str, type[Driver]] | None = getattr(loaded, "DRIVERS", None)
    found: type[Driver] = table[name] if table is not None else loaded.DRIVER
    return found


def protocol_for(filename: str) -> str:
    """The protocol driver that a file name means: its prefix, `host_device` for a device, `file` otherwise.

    Raises BlockError (INVALID) for an unknown prefix.
    """
    prefix = protocol_of(filename)
    if prefix is None:
        return _path_driver(filename)
    if prefix not in _MODULES or not driver(prefix).is_protocol:
        raise BlockError(ErrorKind.INVALID, f"unknown protocol '{prefix}'", where=filename)
    return prefix


def _path_driver(path: str) -> str:
    try:
        mode = os.stat(path).st_mode
    except (OSError, ValueError):
        return "file"
    return "host_device" if stat.S_ISBLK(mode) or stat.S_ISCHR(mode) else "file"


def formats() -> list[str]:
    """The names of drivers that are neither protocols nor filters."""
    return [name for name in names() if not (driver(name).is_protocol or driver(name).is_filter)]


def probe(header: bytes, filename: str) -> str:
    """The format of an image that begins with `header`: the surest claim, `raw` where nobody claims it."""
    best, score = "raw", 0
    for name, magic in _PROBED.items():
        claim = 0 if not header.startswith(magic) else driver(name).probe(header, filename)
        if claim > score:
            best, score = name, claim
    return best
