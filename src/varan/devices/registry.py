"""The types that users may ask for, by name; a type's module is imported when it is asked for."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from typing import TypeVar

from varan.core.qom import Object
from varan.devices.backends.userobject import UserObject
from varan.devices.pluggable import PluggableDevice

T = TypeVar("T", bound=Object)

DRIVERS: dict[str, str] = {
    "floppy": "floppy.floppy",
    "i6300esb": "watchdog.i6300esb",
    "ib700": "watchdog.ib700",
    "ide-cd": "ide.device",
    "ide-hd": "ide.device",
    "isa-debugcon": "char.isa_debugcon",
    "isa-serial": "char.isa_serial",
    "pci-bridge": "pci.bridge",
    "pvpanic": "panic.pvpanic",
    "pvpanic-pci": "panic.pvpanic_pci",
    "virtio-balloon-device": "virtio.balloon_types",
    "virtio-balloon-pci": "virtio.balloon_types",
    "virtio-balloon-pci-non-transitional": "virtio.balloon_types",
    "virtio-balloon-pci-transitional": "virtio.balloon_types",
    "virtio-blk-device": "virtio.blk_types",
    "virtio-blk-pci": "virtio.blk_types",
    "virtio-blk-pci-non-transitional": "virtio.blk_types",
    "virtio-blk-pci-transitional": "virtio.blk_types",
    "virtio-keyboard-device": "virtio.input_types",
    "virtio-keyboard-pci": "virtio.input_types",
    "virtio-mmio": "virtio.mmio_device",
    "virtio-mouse-device": "virtio.input_types",
    "virtio-mouse-pci": "virtio.input_types",
    "virtio-net-device": "virtio.net_types",
    "virtio-net-pci": "virtio.net_types",
    "virtio-net-pci-non-transitional": "virtio.net_types",
    "virtio-net-pci-transitional": "virtio.net_types",
    "virtio-rng-device": "virtio.rng_types",
    "virtio-rng-pci": "virtio.rng_types",
    "virtio-rng-pci-non-transitional": "virtio.rng_types",
    "virtio-rng-pci-transitional": "virtio.rng_types",
    "virtio-serial-device": "virtio.serial_types",
    "virtio-serial-pci": "virtio.serial_types",
    "virtio-serial-pci-non-transitional": "virtio.serial_types",
    "virtio-serial-pci-transitional": "virtio.serial_types",
    "virtio-tablet-device": "virtio.input_types",
    "virtio-tablet-pci": "virtio.input_types",
    "virtconsole": "virtio.serial_port",
    "virtserialport": "virtio.serial_port",
}
"""The module below `varan.devices` that has each type of `-device` and `device_add`."""

ALIASES: dict[str, str] = {
    f"virtio-{kind}": f"virtio-{kind}-pci"
    for kind in ("balloon", "blk", "keyboard", "mouse", "net", "rng", "serial", "tablet")
}
"""Shorter names that `-device` and `device_add` take too."""

OBJECTS: dict[str, str] = {
    "filter-dump": "backends.filter_dump",
    "iothread": "backends.iothread",
    "memory-backend-file": "backends.memory",
    "memory-backend-memfd": "backends.memory",
    "memory-backend-ram": "backends.memory",
    "rng-builtin": "backends.rng",
    "rng-random": "backends.rng",
    "secret": "backends.secret",
    "throttle-group": "backends.throttle",
}
"""Likewise those of `-object` and `object-add`."""

BASES: dict[str, str] = {
    "device": "pluggable",
    "ide-device": "ide.device",
    "isa-device": "isa",
    "pci-device": "pci.device",
    "virtio-device": "virtio.backend",
    "virtio-input-device": "virtio.input_types",
    "virtio-input-pci": "virtio.input_types",
    "virtio-pci": "virtio.pci",
}
"""Abstract types of devices, likewise."""

FIXED: dict[str, str] = {
    "PIIX4_PM": "acpi.piix4pm",
    "isa-fdc": "floppy.isa_fdc",
}
"""Types of the board's own devices that have settings, likewise."""


def find(name: str) -> type[PluggableDevice] | None:
    """The type of devices called `name`, None when there is none."""
    module = DRIVERS.get(name) or BASES.get(name) or FIXED.get(name)
    return _load(module, name, PluggableDevice) if module is not None else None


def find_driver(name: str) -> type[PluggableDevice] | None:
    """The type that `-device` means by `name`, a shorter name perhaps; None when there is none."""
    return find(ALIASES.get(name, name))


def find_object(name: str) -> type[UserObject] | None:
    """The type of user-made objects called `name`, None when there is none."""
    module = OBJECTS.get(name)
    return _load(module, name, UserObject) if module is not None else None


def _load(module: str, name: str, kind: type[T]) -> type[T]:
    for candidate in vars(importlib.import_module(f"varan.devices.{module}")).values():
        if isinstance(candidate, type) and issubclass(candidate, kind) and candidate.type_name == name:
            return candidate
    raise LookupError(f"varan.devices.{module} has no type '{name}'")


def all_types() -> dict[str, type[Object]]:
    """Every type of the tree by name, all modules of devices imported."""
    for module in {*DRIVERS.values(), *OBJECTS.values(), *BASES.values(), *FIXED.values()}:
        importlib.import_module(f"varan.devices.{module}")
    return {cls.type_name: cls for cls in _types_below(Object)}


def _types_below(cls: type[Object]) -> Iterator[type[Object]]:
    if "type_name" in vars(cls):
        yield cls
    for derived in cls.__subclasses__():
        yield from _types_below(derived)


def type_chain(cls: type[Object]) -> Iterator[type[Object]]:
    """`cls` and the types it derives from, itself first."""
    for base in cls.__mro__:
        if issubclass(base, Object) and "type_name" in vars(base):
            yield base
