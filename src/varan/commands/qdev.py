"""Handlers of schema/qdev.json."""

from __future__ import annotations

from typing import Any

from varan.api.values import ObjectPropertyInfo
from varan.commands.qom import describe
from varan.commands.registry import handler
from varan.core import paths
from varan.core.qom import Object
from varan.devices import registry
from varan.devices.pluggable import PluggableDevice
from varan.errors import DeviceNotFound, GenericError, InvalidParameterType, InvalidParameterValue, MissingParameter
from varan.machine.machine import Machine
from varan.machine.spec import DeviceSpec


@handler("device-list-properties")
async def device_list_properties(machine: Machine, typename: str) -> list[ObjectPropertyInfo]:
    """Without what every device has."""
    cls = registry.all_types().get(typename)
    if cls is None:
        raise DeviceNotFound(typename)
    if cls.abstract or not issubclass(cls, PluggableDevice):
        raise InvalidParameterValue("typename", "a non-abstract device type")
    common = PluggableDevice.all_properties()
    return [describe(one, with_default=True) for name, one in cls.all_properties().items() if name not in common]


@handler("device_add")
async def device_add(machine: Machine, arguments: dict[str, Any]) -> None:
    """Words and JSON values alike."""
    settings = dict(arguments)
    driver = _word(settings, "driver")
    if driver is None:
        raise MissingParameter("driver")
    id, bus = _word(settings, "id"), _word(settings, "bus")
    plain = {name: as_word(value) for name, value in settings.items()}
    await machine.peripherals.add(DeviceSpec(driver, id, bus, plain), hotplug=True)


def _word(settings: dict[str, Any], name: str) -> str | None:
    value = settings.pop(name, None)
    if value is not None and not isinstance(value, str):
        raise InvalidParameterType(name, "string")
    return value


def as_word(value: Any) -> Any:
    """A JSON scalar as the command line would have it; anything else as it is."""
    if isinstance(value, bool):
        return "on" if value else "off"
    return str(value) if isinstance(value, int) else value


@handler("device_del")
async def device_del(machine: Machine, id: str) -> None:
    """By id, or by path."""
    found: Object | None
    if id.startswith("/"):
        found = paths.find(machine.tree.root, id)
    else:
        found = machine.tree.peripheral.children.get(id)
        if found is None:
            raise DeviceNotFound(id)
    if not isinstance(found, PluggableDevice):
        raise GenericError(f"{id} is not a hotpluggable device")
    await machine.peripherals.remove(found, id)
