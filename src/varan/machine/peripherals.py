"""Devices beside the board's own: how they come (`-device`, `device_add`) and go (`device_del`)."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence

from varan.devices import registry
from varan.devices.bus import Bus, buses_below
from varan.devices.environment import Environment
from varan.devices.pluggable import PluggableDevice
from varan.errors import GenericError, InvalidParameterValue
from varan.machine.spec import DeviceSpec
from varan.machine.tree import Tree

log = logging.getLogger("varan.machine")

IDENTIFIER = re.compile(r"[A-Za-z][A-Za-z0-9._-]*")


class Peripherals:
    """The devices of one machine that users asked for. Everything here is called on the machine's loop.

    `plugged` is the board's register of them, by the name under which their state is saved.
    """

    def __init__(self, tree: Tree, environment: Environment, globals: Sequence[tuple[str, str, str]]) -> None:
        self._tree = tree
        self._environment = environment
        self._globals = globals
        self.plugged: dict[str, PluggableDevice] = {}
        self._turn = asyncio.Lock()

    async def add(self, spec: DeviceSpec, hotplug: bool = False) -> PluggableDevice:
        """Make a device, and part of the machine. `hotplug`: the guest may be running.

        Raises VaranError when that cannot be, and nothing of the device is left.
        """
        async with self._turn:
            cls = _find_type(spec.driver)
            bus = self._choose_bus(cls, spec.bus)
            if hotplug:
                _check_hotplug(cls, bus)
            self._check_id(spec.id)
            device = cls(spec.id, {**self._defaults(cls), **spec.settings})
            device.hotplugged = hotplug
            await device.acquire(self._environment)
            try:
                with self._environment.lock:
                    self._plug(device, bus)
            except BaseException:
                await device.release()
                raise
            return device

    def _check_id(self, id: str | None) -> None:
        if id is None:
            return
        if not IDENTIFIER.fullmatch(id):
            raise InvalidParameterValue("id", "an identifier")
        if id in self._tree.peripheral.children:
            raise GenericError(f"Duplicate device ID '{id}'")

    def _defaults(self, cls: type[PluggableDevice]) -> dict[str, str]:
        """What `-global` says about devices of type `cls`."""
        types = {base.type_name for base in registry.type_chain(cls)}
        return {setting: value for driver, setting, value in self._globals if driver in types}

    def _choose_bus(self, cls: type[PluggableDevice], name: str | None) -> Bus | None:
        if cls.bus_type is None:
            return None
        if name is None:
            return self._first_bus(cls)
        found = next((bus for bus in buses_below(self._tree.root) if name in (bus.name, bus.path)), None)
        if found is None:
            raise GenericError(f"Bus '{name}' not found")
        if found.type_name != cls.bus_type:
            raise GenericError(f"Device '{cls.type_name}' can't go on {found.type_name} bus")
        if found.full:
            raise GenericError(f"Bus '{name}' is full")
        return found

    def _first_bus(self, cls: type[PluggableDevice]) -> Bus:
        for bus in buses_below(self._tree.root):
            if bus.type_name == cls.bus_type and not bus.full:
                return bus
        raise GenericError(f"No '{cls.bus_type}' bus found for device '{cls.type_name}'")

    def _plug(self, device: PluggableDevice, bus: Bus | None) -> None:
        if device.id is not None:
            self._tree.peripheral.add_child(device.id, device)
        else:
            self._tree.anonymous.add_numbered_child("device", device)
        try:
            self._realize(device, bus)
            if device.hotplugged:
                self._announce(device, bus)
        except BaseException:
            self._unplug(device)
            raise

    def _realize(self, device: PluggableDevice, bus: Bus | None) -> None:
        if bus is not None:
            bus.plug(device, self._environment)
        else:
            device.realize(self._environment, None)
            device.realized = True
        self.plugged[_saved_name(device)] = device

    def _announce(self, device: PluggableDevice, bus: Bus | None) -> None:
        for part in device.parts().values():
            part.reset()
        if bus is not None and bus.hotplug is not None:
            bus.hotplug.plugged(device)

    def _unplug(self, device: PluggableDevice) -> None:
        """Undo `_plug` as far as it came. The caller holds the machine lock."""
        self.plugged.pop(_saved_name(device), None)
        if device.bus is not None:
            device.bus.unplug(device)
        elif device.realized:
            device.realized = False
            device.unrealize()
        device.remove_from_parent()

    async def close(self) -> None:
        """Give all host ends back; no vCPU runs any more."""
        for device in reversed(list(self.plugged.values())):
            await device.release()
        self.plugged.clear()


def _saved_name(device: PluggableDevice) -> str:
    """The name under which its state is saved: equal for equal command lines."""
    assert device.parent is not None
    return f"{device.parent.name}/{device.name}"


def _find_type(driver: str) -> type[PluggableDevice]:
    cls = registry.find(driver)
    if cls is None:
        raise GenericError(f"'{driver}' is not a valid device model name")
    if cls.abstract:
        raise InvalidParameterValue("driver", "a non-abstract device type")
    if not cls.user_creatable:
        raise InvalidParameterValue("driver", "a pluggable device type")
    return cls


def _check_hotplug(cls: type[PluggableDevice], bus: Bus | None) -> None:
    """Raises GenericError unless a `cls` may come to `bus` while the guest runs."""
    if bus is not None and bus.hotplug is None:
        raise GenericError(f"Bus '{bus.name}' does not support hotplugging")
    if not cls.hotpluggable:
        raise GenericError(f"Device '{cls.type_name}' does not support hotplugging")
