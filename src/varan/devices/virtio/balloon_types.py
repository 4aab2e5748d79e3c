"""The memory balloon as types of `-device`."""

from __future__ import annotations

from typing import Any

from varan.api.events import BalloonChange
from varan.core.properties import Property
from varan.core.qom import Object
from varan.devices.balloon import Balloon
from varan.devices.environment import Environment
from varan.devices.virtio import balloon as b
from varan.devices.virtio.backend import VirtioBackend
from varan.devices.virtio.bus import VirtioBus
from varan.devices.virtio.pci import VirtioPciDevice
from varan.errors import GenericError, InvalidParameterValue

STATISTICS = (
    "stat-swap-in",
    "stat-swap-out",
    "stat-major-faults",
    "stat-minor-faults",
    "stat-free-memory",
    "stat-total-memory",
    "stat-available-memory",
    "stat-disk-caches",
    "stat-htlb-pgalloc",
    "stat-htlb-pgfail",
)
"""By tag (5.5.6.4)."""
LONGEST_INTERVAL = 0xFFFFFFFF
INTERVAL = "guest-stats-polling-interval"


def _root(node: Object) -> Object:
    while node.parent is not None:
        node = node.parent
    return node


def _guest_stats(device: VirtioBalloonDevice) -> dict[str, Any]:
    """As `qom-get` shows it: unknown values are -1 in 64 bits."""
    if not device.realized:
        return {}
    values = device.core.statistics
    stats = {name: values.get(tag, -1) % (1 << 64) for tag, name in enumerate(STATISTICS)}
    return {"stats": stats, "last-update": device.core.state.last_update}


def _check_interval(seconds: int) -> None:
    if not 0 <= seconds <= LONGEST_INTERVAL:
        raise InvalidParameterValue(INTERVAL, f"seconds from 0 to {LONGEST_INTERVAL}")


def _set_interval(device: VirtioBalloonDevice, seconds: int) -> None:
    _check_interval(seconds)
    device.core.set_interval(seconds)
    device.settle(**{INTERVAL: seconds})


class VirtioBalloonDevice(VirtioBackend, Balloon):
    """The balloon; a machine has up to one."""

    type_name = "virtio-balloon-device"
    abstract = False
    description = "virtio memory balloon, on a virtio bus"
    properties = (
        Property("deflate-on-oom", "bool", "the guest takes pages back rather than run out of memory", default=False),
        Property("free-page-reporting", "bool", "the guest reports free pages, which the host gets", default=False),
        Property("page-poison", "bool", "the guest tells what it fills free pages with", default=True),
        Property("guest-stats", "guest statistics", "what the guest said of its memory", read=_guest_stats),
        Property(
            INTERVAL,
            "int64",
            "seconds between questions for that, 0 for none",
            default=0,
            setting=True,
            write=_set_interval,
        ),
    )
    core: b.VirtioBalloon

    def realize(self, environment: Environment, bus: VirtioBus) -> None:
        if any(isinstance(other, VirtioBalloonDevice) and other.realized for other in _root(self).walk()):
            raise GenericError("Only one balloon device is supported")
        _check_interval(self.settings[INTERVAL])
        self._environment = environment
        super().realize(environment, bus)
        if self.settings[INTERVAL]:
            self.core.set_interval(self.settings[INTERVAL])

    def make_core(self, environment: Environment) -> b.VirtioBalloon:
        given = self.settings
        bits = {
            "deflate-on-oom": b.F_DEFLATE_ON_OOM,
            "free-page-reporting": b.F_PAGE_REPORTING,
            "page-poison": b.F_PAGE_POISON,
        }
        return b.VirtioBalloon(
            environment.memory,
            environment.virtual,
            environment.timers,
            environment.host,
            self._tell,
            features=self.ring_features | sum(bit for name, bit in bits.items() if given[name]),
        )

    def _tell(self, pages: int) -> None:
        self._environment.emit(BalloonChange(actual=self.guest_bytes))

    @property
    def guest_bytes(self) -> int:
        return self._environment.memory.ram_size - (self.core.state.actual << b.PAGE_SHIFT)

    def ask_for(self, size: int) -> None:
        ram = self._environment.memory.ram_size
        self.core.set_target(ram - min(size, ram) >> b.PAGE_SHIFT)

    @property
    def statistics(self) -> dict[int, int]:
        return self.core.statistics

    def unrealize(self) -> None:
        self.core.close()
        super().unrealize()


class VirtioBalloonPci(VirtioPciDevice):
    """The balloon on PCI."""

    type_name = "virtio-balloon-pci"
    abstract = False
    description = "virtio memory balloon"
    class_code = 0x00FF00
    transitional_id = 0x1002
    backend_type = VirtioBalloonDevice
    properties = (Property("vectors", "uint32", "MSI-X vectors, 0 for none", default=0),)


class VirtioBalloonPciTransitional(VirtioBalloonPci):
    """The same thing by its exact name."""

    type_name = "virtio-balloon-pci-transitional"


class VirtioBalloonPciNonTransitional(VirtioBalloonPci):
    """Without the legacy interface."""

    type_name = "virtio-balloon-pci-non-transitional"
    modern_only = True
