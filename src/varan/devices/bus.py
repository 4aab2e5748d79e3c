"""Buses: what pluggable devices sit on, and who is asked when one comes or goes while the guest runs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol

from varan.core.qom import Object

if TYPE_CHECKING:
    from varan.devices.environment import Environment
    from varan.devices.pluggable import PluggableDevice


class HotplugController(Protocol):
    """The hardware by which a guest learns that devices come and go. The caller holds the machine lock."""

    def plugged(self, device: PluggableDevice) -> None:
        """`device` has come: tell the guest."""

    def request_unplug(self, device: PluggableDevice) -> bool:
        """`device` is wanted to go. True: it may, at once. False: the guest was asked, and answers by
        `Environment.ejected` or `Environment.eject_refused`. Raises VaranError when it cannot go.
        """


class AtOnce:
    """A controller without a guest's say: what comes and goes does so at once."""

    def plugged(self, device: PluggableDevice) -> None:
        return

    def request_unplug(self, device: PluggableDevice) -> bool:
        return True


class Bus(Object):
    """A bus in the object tree. Devices fit whose `bus_type` is its type's name or that of a type it derives from."""

    type_name = "bus"
    most_devices: ClassVar[int | None] = None
    """How many devices fit; None: the bus itself knows (`full`)."""

    def __init__(self) -> None:
        self.devices: list[PluggableDevice] = []
        """Those on it, in the order in which they came."""
        self._links: dict[str, Object] = {}
        self._plugged = 0
        self.hotplug: HotplugController | None = None
        """None: devices only come and go before the guest starts."""

    @property
    def links(self) -> Mapping[str, Object]:
        """The devices as `child[N]`; N tells the order in which they came and is not used again."""
        return self._links

    @classmethod
    def takes(cls, bus_type: str) -> bool:
        """Whether devices for `bus_type` fit."""
        return any(base.type_name == bus_type for base in cls.__mro__ if issubclass(base, Bus))

    @property
    def full(self) -> bool:
        """Whether no further device fits."""
        return self.most_devices is not None and len(self.devices) >= self.most_devices

    def plug(self, device: PluggableDevice, environment: Environment) -> None:
        """Realize `device` here. Raises VaranError, having changed nothing. The caller holds the machine lock."""
        device.bus = self
        try:
            device.realize(environment, self)
        except BaseException:
            device.bus = None
            raise
        device.realized = True
        self.devices.append(device)
        self._links[f"child[{self._plugged}]"] = device
        self._plugged += 1

    def unplug(self, device: PluggableDevice) -> None:
        """Undo `plug`. The caller holds the machine lock."""
        self.devices.remove(device)
        self._links = {name: other for name, other in self._links.items() if other is not device}
        device.realized = False
        device.unrealize()
        device.bus = None


class SystemBus(Bus):
    """What hangs on the CPUs' own bus."""

    type_name = "System"
    abstract = False


def buses_below(root: Object) -> Iterator[Bus]:
    """Every bus in the tree below `root`, parents first."""
    for found in root.walk():
        if isinstance(found, Bus):
            yield found
