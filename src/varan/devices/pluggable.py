"""Devices that can be added to a machine: by the board, by `-device`, or while the guest runs.

The life of one, in order:

    __init__(id, settings)         no host resource, no lock
    await acquire(environment)     host ends are attached; on the loop, may wait, may fail
    realize(environment, bus)      part of the machine; under the machine lock, must not wait
    unrealize()                    no longer part of it; under the lock
    await release()                host ends are given back

A failure of `acquire` or `realize` leaves nothing behind.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from varan.core.properties import Property
from varan.core.qom import Object, settings_from
from varan.core.state import Device
from varan.devices.environment import Environment
from varan.errors import DeviceNotFound, GenericError, VaranError

if TYPE_CHECKING:
    from varan.devices.bus import Bus


def _parent_bus(device: PluggableDevice) -> str:
    return device.bus.path if device.bus is not None else ""


def _realized(device: PluggableDevice) -> bool:
    return device.realized


def _hotplugged(device: PluggableDevice) -> bool:
    return device.hotplugged


def _hotpluggable(device: PluggableDevice) -> bool:
    return device.hotpluggable


class PluggableDevice(Object):
    """See the module's text. Subclasses set `bus_type` and declare their settings as `properties`."""

    type_name = "device"
    bus_type: ClassVar[str | None] = None
    """The type of bus it sits on; None for a device without one."""
    hotpluggable: ClassVar[bool] = True
    """Whether it can come and go while the guest runs, where its bus allows that."""
    user_creatable: ClassVar[bool] = True
    """Whether users may ask for one."""
    properties: ClassVar[tuple[Property, ...]] = (
        Property("parent_bus", "link<bus>", read=_parent_bus),
        Property("realized", "bool", read=_realized),
        Property("hotplugged", "bool", read=_hotplugged),
        Property("hotpluggable", "bool", read=_hotpluggable),
    )

    def __init__(self, id: str | None = None, settings: Mapping[str, Any] | None = None) -> None:
        """`settings`: words or JSON values by name. Raises QmpError for what does not fit."""
        self.id = id
        self.settings = settings_from(type(self), settings or {})
        self.bus: Bus | None = None
        """The bus it sits on, while it does."""
        self.realized = False
        self.hotplugged = False
        """It came while the guest ran."""
        self.unplugging = False
        """The guest was asked to let go of it."""

    @classmethod
    def made_of(cls) -> tuple[type[PluggableDevice], ...]:
        """The types of the devices that one of these has in it (`inner`)."""
        return ()

    @property
    def inner(self) -> tuple[PluggableDevice, ...]:
        """Devices that it is made of: it makes them, and they come and go with it."""
        return ()

    @property
    def firmware_name(self) -> str:
        """Its part in the path by which firmware knows it (`devices.bootindex`); empty where it has none."""
        return ""

    def settle(self, **values: Any) -> None:
        """Write down what settings turned out to be, for those who ask."""
        self.settings = {**self.settings, **values}

    async def acquire(self, environment: Environment) -> None:
        """Attach to host ends. Raises VaranError."""

    def realize(self, environment: Environment, bus: Any) -> None:
        """Become part of the machine, on `bus`. Raises VaranError."""

    def unrealize(self) -> None:
        """Stop being part of the machine."""

    async def release(self) -> None:
        """Give host ends back."""

    def parts(self) -> Mapping[str, Device[Any]]:
        """The register cores with declared state, by a name of their own, in the order of reset."""
        return {}

    def details(self) -> list[str]:
        """Lines about it beside its settings, for `info qtree`. Under the lock."""
        return []

    def loaded(self) -> None:
        """Saved state has been put into the parts: bring what is not part of it up to date. Under the lock."""

    def find_end(self, environment: Environment, setting: str, kind: str | None = None) -> Any:
        """The host end that `setting` names, None where it names none. Raises GenericError when there is no such one.

        `kind` is the last word of a method of `HostEnds`: "chardev", "drive", "netdev" or "object"; the setting's name
        unless given.
        """
        id = self.settings[setting]
        if not id:
            return None
        try:
            return getattr(environment.ends, f"find_{kind or setting}")(id)
        except VaranError:
            if kind == "object":
                raise DeviceNotFound(id) from None
            raise GenericError(f"Property '{self.type_name}.{setting}' can't find value '{id}'") from None

    def end_in_use(self, setting: str, id: str) -> GenericError:
        """The error for a host end that has a user already."""
        return GenericError(f"Property '{self.type_name}.{setting}' can't take value '{id}', it's in use")

    def may_be_set(self, setting: Property) -> bool:
        if self.realized:
            raise GenericError(
                f"Attempt to set property '{setting.name}' on device '{self.id or self.name}' (type "
                f"'{self.type_name}') after it was realized"
            )
        return True


def defaults(cls: type[PluggableDevice], globals: Iterable[tuple[str, str, str]]) -> dict[str, str]:
    """The settings of `cls` that `globals` (driver, setting, value) give other defaults, the later ones winning.

    A driver that `cls` derives from means it too, and so does one that is part of it. Raises GenericError for what is
    no setting of `cls`.
    """
    whole = (cls, *cls.made_of())
    types = {base.type_name for part in whole for base in part.__mro__ if issubclass(base, Object)}
    found = {}
    for driver, setting, value in globals:
        if driver not in types:
            continue
        declared = cls.all_properties().get(setting)
        if declared is None or not declared.setting:
            why = f"Property '{cls.type_name}.{setting}' not found"
            raise GenericError(f"can't apply global {driver}.{setting}={value}: {why}")
        found[setting] = value
    return found
