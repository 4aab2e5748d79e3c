"""The types that `-device` and `device_add` know, by name; a type's module is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

from varan.core.qom import Object
from varan.devices.pluggable import PluggableDevice

DRIVERS: dict[str, str] = {
    "ib700": "watchdog.ib700",
    "isa-debugcon": "char.isa_debugcon",
    "isa-serial": "char.isa_serial",
    "pvpanic": "panic.pvpanic",
}
"""The module below `varan.devices` that has each type which users may ask for."""

BASES: dict[str, str] = {
    "device": "pluggable",
    "isa-device": "isa",
}
"""Abstract types, likewise."""


def find(name: str) -> type[PluggableDevice] | None:
    """The type called `name`, None when there is none."""
    module = DRIVERS.get(name) or BASES.get(name)
    if module is None:
        return None
    for candidate in vars(importlib.import_module(f"varan.devices.{module}")).values():
        if isinstance(candidate, type) and issubclass(candidate, PluggableDevice) and candidate.type_name == name:
            return candidate
    raise LookupError(f"varan.devices.{module} has no type '{name}'")


def load_all() -> None:
    """Import every module that has types."""
    for module in {*DRIVERS.values(), *BASES.values()}:
        importlib.import_module(f"varan.devices.{module}")


def type_chain(cls: type[Object]) -> Iterator[type[Object]]:
    """`cls` and the types it derives from, itself first."""
    for base in cls.__mro__:
        if issubclass(base, Object) and "type_name" in vars(base):
            yield base
