"""The object tree, devices that come and go, and user-made objects."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from varan.commands import qdev, qom
from varan.commands.hmp.errors import HmpError
from varan.commands.hmp.registry import INFO, command
from varan.commands.hmp.session import HmpSession
from varan.core import paths
from varan.core.keyval import parse
from varan.core.properties import Property
from varan.core.qom import Object
from varan.devices import listing, registry
from varan.devices.bus import Bus, buses_below
from varan.devices.pluggable import PluggableDevice
from varan.machine.spec import DeviceSpec

_HELP = frozenset({"help", "?"})


@command("device_add", "device:rest", help="plug a device in, as -device on the command line does")
async def device_add(session: HmpSession, device: str) -> str:
    """`help` for the drivers, `DRIVER,help` for a driver's settings."""
    settings = {pair.key: pair.value for pair in parse(device, "driver")}
    driver = settings.pop("driver", None)
    if driver in _HELP:
        return f"{listing.drivers()}\n"
    if driver is None:
        raise HmpError("Parameter 'driver' is missing")
    if _HELP & settings.keys():
        return _settings(registry.find_driver(driver), f"'{driver}' is not a valid device model name")
    spec = DeviceSpec(driver, settings.pop("id", None), settings.pop("bus", None), settings)
    await session.machine.peripherals.add(spec, hotplug=True)
    return ""


def _settings(cls: type[Object] | None, otherwise: str) -> str:
    if cls is None or cls.abstract:
        raise HmpError(otherwise)
    return f"{listing.settings(cls)}\n"


@command("device_del", "id:string", help="have a device taken out")
async def device_del(session: HmpSession, id: str) -> str:
    """As the QMP command."""
    await qdev.device_del(session.machine, id)
    return ""


@command("object_add", "object:rest", help="make an object, as -object on the command line does")
async def object_add(session: HmpSession, object: str) -> str:
    """`help` for the types, `TYPE,help` for a type's settings."""
    settings = {pair.key: pair.value for pair in parse(object, "qom-type")}
    kind = settings.pop("qom-type", None)
    if kind in _HELP:
        return f"{listing.object_types()}\n"
    if kind is None:
        raise HmpError("Parameter 'qom-type' is missing")
    if _HELP & settings.keys():
        return _settings(registry.find_object(kind), f"Parameter 'qom-type' does not accept value '{kind}'")
    id = settings.pop("id", None)
    if id is None:
        raise HmpError("Parameter 'id' is missing")
    await session.machine.objects.add(kind, id, settings)
    return ""


@command("object_del", "id:string", help="remove an object")
async def object_del(session: HmpSession, id: str) -> str:
    """As the QMP command."""
    await qom.object_del(session.machine, id)
    return ""


@command("qom-list", "path:string?", help="list an object's properties")
async def qom_list(session: HmpSession, path: str = "") -> str:
    """Without a path, where to begin."""
    if not path:
        return "/\n"
    return "".join(f"{one.name} ({one.type})\n" for one in await qom.qom_list(session.machine, path))


@command("qom-get", "path:string property:string", help="show a property's value")
async def qom_get(session: HmpSession, path: str, property: str) -> str:
    """As JSON."""
    return json.dumps(await qom.qom_get(session.machine, path, property), indent=4) + "\n"


@command(
    "qom-set",
    "-j:as_json path:string property:string value:rest",
    help="give a property another value; with -j it is written as JSON",
)
async def qom_set(session: HmpSession, path: str, property: str, value: str, as_json: bool = False) -> str:
    """As the QMP command."""
    given: Any = value
    if as_json:
        try:
            given = json.loads(value)
        except ValueError as error:
            raise HmpError(f"JSON parse error, {error}") from None
    await qom.qom_set(session.machine, path, property, given)
    return ""


@command("qom-tree", "path:string?", help="what an object (the machine unless given) is made of", group=INFO)
async def qom_tree(session: HmpSession, path: str = "/machine") -> str:
    """Names and types, children indented."""
    return "".join(f"{line}\n" for line in _composition(paths.find(session.machine.tree.root, path), 0))


def _composition(found: Object, depth: int) -> Iterator[str]:
    yield f"{'  ' * depth}/{found.name} ({found.type_name})"
    for _, child in sorted(found.children.items()):
        yield from _composition(child, depth + 1)


@command("qtree", help="buses, the devices on them, and their settings", group=INFO)
async def qtree(session: HmpSession) -> str:
    """Buses of a device below it."""
    machine = session.machine
    with machine.lock:
        roots = [bus for bus in buses_below(machine.tree.root) if not _on_device(bus)]
        return "".join(f"{line}\n" for bus in roots for line in _bus(bus, 0))


def _on_device(bus: Bus) -> bool:
    at = bus.parent
    while at is not None and not isinstance(at, PluggableDevice):
        at = at.parent
    return at is not None


def _bus(bus: Bus, depth: int) -> Iterator[str]:
    margin = "  " * depth
    yield f"{margin}bus: {bus.name}"
    yield f"{margin}  type {bus.type_name}"
    for device in bus.devices:
        yield f'{margin}  dev: {device.type_name}, id "{device.id or ""}"'
        for line in (*_shown_settings(device), *device.details()):
            yield f"{margin}    {line}"
        for child in device.children.values():
            if isinstance(child, Bus):
                yield from _bus(child, depth + 2)


def _shown_settings(device: PluggableDevice) -> Iterator[str]:
    common = PluggableDevice.all_properties()
    for name, one in device.all_properties().items():
        if name not in common:
            yield f"{name} = {_shown(one, one.get(device))}"


def _shown(one: Property, value: Any) -> str:
    if one.shown is not None:
        return one.shown(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return f"{value} ({value:#x})"
    return json.dumps(value)


@command("qdm", help="the drivers that device_add knows", group=INFO)
async def qdm(session: HmpSession) -> str:
    """As `device_add help`."""
    return f"{listing.drivers()}\n"


@command("roms", help="what was put into memory before the guest started", group=INFO)
async def roms(session: HmpSession) -> str:
    """Lowest address first."""
    boot = session.machine.boot
    placed = sorted(boot.placed(session.machine.memory)) if boot is not None else []
    return "".join(
        f'addr={one.address:016x} size={one.size:#08x} mem={"rom" if one.rom else "ram"} name="{one.name}"\n'
        for one in placed
    )
