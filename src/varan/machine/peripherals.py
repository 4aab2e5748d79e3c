"""Devices beside the board's own: how they come (`-device`, `device_add`) and go (`device_del`)."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine, Sequence
from typing import Any

from msgspec import UNSET

from varan.api.events import DeviceDeleted, DeviceUnplugGuestError
from varan.core.identifiers import IDENTIFIER
from varan.devices import registry
from varan.devices.bootindex import SETTING, check_free
from varan.devices.bus import Bus, buses_below
from varan.devices.environment import Environment
from varan.devices.pluggable import PluggableDevice, defaults
from varan.errors import GenericError, InvalidParameterValue
from varan.machine.spec import DeviceSpec
from varan.machine.tree import Tree

ASKED_AGAIN_SECONDS = 5.0
"""How long a guest has to answer before `device_del` may ask it again."""


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
        self._patience: dict[PluggableDevice, float] = {}
        """Until when (monotonic seconds) a guest that was asked for a device is not asked again."""
        self._tasks: set[asyncio.Task[None]] = set()
        environment.ejected, environment.eject_refused = self.ejected, self.eject_refused

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
            device = cls(spec.id, {**defaults(cls, self._globals), **spec.settings})
            device.hotplugged = hotplug
            await device.acquire(self._environment)
            try:
                with self._environment.lock:
                    self._plug(device, bus, on_board=spec.on_board)
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

    def _choose_bus(self, cls: type[PluggableDevice], name: str | None) -> Bus | None:
        if cls.bus_type is None:
            return None
        if name is None:
            return self._first_bus(cls, cls.bus_type)
        found = next((bus for bus in buses_below(self._tree.root) if name in (bus.name, bus.path)), None)
        if found is None:
            raise GenericError(f"Bus '{name}' not found")
        if not found.takes(cls.bus_type):
            raise GenericError(f"Device '{cls.type_name}' can't go on {found.type_name} bus")
        if found.full:
            raise GenericError(f"Bus '{name}' is full")
        return found

    def _first_bus(self, cls: type[PluggableDevice], kind: str) -> Bus:
        # The board's own before those behind devices.
        for bus in (*self._environment.buses.values(), *buses_below(self._tree.root)):
            if bus.takes(kind) and not bus.full:
                return bus
        raise GenericError(f"No '{kind}' bus found for device '{cls.type_name}'")

    def _plug(self, device: PluggableDevice, bus: Bus | None, *, on_board: bool) -> None:
        if device.id is not None:
            self._tree.peripheral.add_child(device.id, device)
        elif on_board:
            self._tree.unattached.add_numbered_child("device", device)
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
        if SETTING in device.settings:
            check_free(device, device.settings[SETTING])
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

    async def remove(self, device: PluggableDevice, called: str) -> None:
        """Have `device`, which the user called `called`, taken out: at once where the guest has no say in it.

        Raises GenericError when it cannot come out, or the guest has been asked a moment ago.
        """
        async with self._turn:
            _check_hotplug(type(device), device.bus)
            if device.unplugging and time.monotonic() < self._patience.get(device, 0):
                raise GenericError(f"Device {called} is already in the process of unplug")
            with self._environment.lock:
                controller = device.bus.hotplug if device.bus is not None else None
                at_once = controller is None or controller.request_unplug(device)
            if at_once:
                await self._take_out(device)
            else:
                device.unplugging = True
                self._patience[device] = time.monotonic() + ASKED_AGAIN_SECONDS

    def ejected(self, device: PluggableDevice) -> None:
        """The guest has let go of `device`. Any thread."""
        self._environment.post(lambda: self._in_background(self._finish_ejection(device)))

    def eject_refused(self, device: PluggableDevice) -> None:
        """The guest will not let go of `device`. Any thread."""

        def tell() -> None:
            if device.unplugging:
                device.unplugging = False
                self._environment.emit(DeviceUnplugGuestError(path=device.path, device=device.id or UNSET))

        self._environment.post(tell)

    def _in_background(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish_ejection(self, device: PluggableDevice) -> None:
        async with self._turn:
            if device.realized:
                await self._take_out(device)

    async def _take_out(self, device: PluggableDevice) -> None:
        """Remove `device`, what sits on its own buses and the drives of both, and tell so."""
        for bus in buses_below(device):
            for other in reversed(bus.devices):
                if other not in device.inner:
                    await self._take_out(other)
        gone = [(one.path, one.id) for one in (*device.inner, device)]
        drives = self._environment.ends.drives_of((*device.inner, device))
        with self._environment.lock:
            self._unplug(device)
        device.unplugging = False
        self._patience.pop(device, None)
        try:
            await device.release()
            # A drive that came for a device goes with it.
            for drive in drives:
                await self._environment.ends.remove_drive(drive)
        finally:
            for path, id in gone:
                self._environment.emit(DeviceDeleted(path=path, device=id or UNSET))

    async def close(self) -> None:
        """Give all host ends back; no vCPU runs any more."""
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for device in reversed(list(self.plugged.values())):
            await device.release()
        self.plugged.clear()


def _saved_name(device: PluggableDevice) -> str:
    """The name under which its state is saved: equal for equal command lines."""
    assert device.parent is not None
    return f"{device.parent.name}/{device.name}"


def _find_type(driver: str) -> type[PluggableDevice]:
    cls = registry.find_driver(driver) or registry.all_types().get(driver)
    if cls is None or not issubclass(cls, PluggableDevice):
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
