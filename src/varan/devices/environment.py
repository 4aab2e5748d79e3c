"""What a board gives its devices: address spaces, lines, clocks, and ways to reach the machine around them."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from varan.api.events import Event
from varan.core.clock import Clock, TimerQueue
from varan.core.input import InputHub
from varan.core.irq import IrqLine, unconnected
from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace
from varan.core.qom import Container, Object
from varan.errors import VaranError
from varan.net.base import Netdev
from varan.net.network import Network

if TYPE_CHECKING:
    from varan.devices.bus import Bus
    from varan.devices.pluggable import PluggableDevice


class WakeCause(enum.Enum):
    """What ends a machine's sleep."""

    RTC = "rtc"
    """The real-time clock's alarm."""
    BUTTON = "button"
    """The power button, a key, or somebody at a monitor."""


class MachineRequests(Protocol):
    """What a device may ask of the machine. Any thread; each returns at once."""

    def guest_reset(self) -> None:
        """Reset soon, as the guest's own doing."""

    def guest_shutdown(self) -> None:
        """Power off soon, as the guest's own doing."""

    def guest_suspend(self) -> None:
        """Sleep soon (ACPI S3), until something wakes the machine."""

    def wake(self, cause: WakeCause) -> None:
        """End the machine's sleep soon, where it sleeps."""

    def guest_hibernate(self) -> None:
        """Power off soon: the guest has saved its memory (ACPI S4)."""

    def guest_panicked(self) -> None:
        """The guest says that it has crashed."""

    def watchdog_expired(self) -> None:
        """A watchdog ran out: do what its action says."""


class NoRequests:
    """Requests that reach nobody (a bare bus)."""

    def guest_reset(self) -> None:
        return

    def guest_shutdown(self) -> None:
        return

    def guest_suspend(self) -> None:
        return

    def wake(self, cause: WakeCause) -> None:
        return

    def guest_hibernate(self) -> None:
        return

    def guest_panicked(self) -> None:
        return

    def watchdog_expired(self) -> None:
        return


class HostEnds(Protocol):
    """The host ends that devices attach to, by id. Each raises VaranError that names an id there is not."""

    def find_drive(self, id: str) -> Any:
        """A block back end or node (`varan.block.backend`)."""

    def empty_drive(self) -> Any:
        """A block back end without a medium, for media to come."""

    def drives_of(self, devices: Collection[Any]) -> list[str]:
        """The names of the drives that these devices use."""

    async def remove_drive(self, name: str) -> None:
        """Close a drive. Raises VaranError when its medium cannot be flushed."""

    @property
    def network(self) -> Network:
        """The machine's network."""

    def find_chardev(self, id: str) -> Any:
        """A character device."""

    def find_netdev(self, id: str) -> Netdev:
        """A network back end."""

    def find_object(self, id: str) -> Any:
        """A user-made object."""

    @property
    def secrets(self) -> Any:
        """The machine's secrets (`varan.block.crypto.secret.Secrets`)."""

    @property
    def throttle_groups(self) -> Any:
        """The machine's throttle groups by id (`varan.block.throttle_group.ThrottleGroup`)."""


class NoEnds:
    """No host end at all (a bare bus)."""

    def _find(self, id: str) -> Any:
        raise VaranError(f"there is no '{id}'")

    find_drive = find_chardev = find_netdev = find_object = _find
    secrets = throttle_groups = None

    def empty_drive(self) -> Any:
        raise VaranError("there are no drives")

    def drives_of(self, devices: Collection[Any]) -> list[str]:
        return []

    async def remove_drive(self, name: str) -> None:
        raise VaranError("there are no drives")

    @property
    def network(self) -> Network:
        raise VaranError("there is no network")


def _post_nowhere(work: Callable[[], None]) -> None:
    return


def _emit_nowhere(event: Event) -> None:
    return


def _eject_nothing(device: Any) -> None:
    return


def _no_message(address: int, data: int) -> None:
    return


def _no_line(number: int) -> IrqLine:
    return unconnected


@dataclass(slots=True)
class Environment:
    """See the module's text. A device test makes one with what the device needs."""

    memory: MemorySpace
    ports: PortSpace
    lock: threading.RLock
    """The machine lock."""
    timers: TimerQueue
    virtual: Clock
    """Guest time."""
    host: Clock
    """Wall-clock time."""
    gsi: Callable[[int], IrqLine] = _no_line
    """The line of a global system interrupt."""
    msi: Callable[[int, int], None] = _no_message
    """(address, data): a message-signalled interrupt. The caller holds the machine lock."""
    post: Callable[[Callable[[], None]], None] = _post_nowhere
    """Run something on the machine's loop soon. Any thread."""
    emit: Callable[[Event], None] = _emit_nowhere
    """Send an event to the monitors. Any thread."""
    requests: MachineRequests = field(default_factory=NoRequests)
    ejected: Callable[[PluggableDevice], None] = _eject_nothing
    """The guest has let go of a device that it was asked for: take it out soon. Any thread."""
    eject_refused: Callable[[PluggableDevice], None] = _eject_nothing
    """The guest was asked to let go of a device and cannot. Any thread."""
    machine: Object = field(default_factory=Container)
    """The machine in the object tree."""
    unattached: Container = field(default_factory=Container)
    """Where the board's own devices are in the object tree."""
    resumed: list[Callable[[], None]] = field(default_factory=list)
    """Called on the loop when guest time goes on after a stop: a device has held back what must not change a guest
    that stands still."""
    ends: HostEnds = field(default_factory=NoEnds)
    input: InputHub = field(default_factory=InputHub)
    """Where what users do with keyboard and mouse arrives."""
    buses: dict[str, Bus] = field(default_factory=dict)
    """The board's buses by name."""
