"""What all virtio devices share: features, status, configuration space and queues (VIRTIO 1.2, section 2).

A `VirtioDevice` is a register core. Its transport (`pci.py`, `mmio.py`) shows it to the guest and carries its
interrupts; it has state of its own. Everything runs under the machine lock.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Protocol, TypeAlias, TypeVar

from msgspec import Meta, field

from varan.core.memory import MemorySpace
from varan.core.state import Device, State, StateError
from varan.devices.fields import Byte
from varan.devices.virtio.chain import Chain
from varan.devices.virtio.features import DEFAULT, LEGACY_MASK, VERSION_1
from varan.devices.virtio.queue import QueueState, VirtQueue
from varan.devices.virtio.ram import RamWindow

log = logging.getLogger("varan.virtio")

ACKNOWLEDGE = 1
DRIVER = 2
DRIVER_OK = 4
FEATURES_OK = 8
NEEDS_RESET = 64
FAILED = 128


class Transport(Protocol):
    """How a device reaches its driver. The caller holds the machine lock."""

    def queue_used(self, index: int) -> None:
        """Interrupt: queue `index` has used buffers."""

    def config_changed(self) -> None:
        """Interrupt: the configuration has changed, or the device needs a reset."""


class NoTransport:
    """Interrupts that reach nobody."""

    def queue_used(self, index: int) -> None:
        return

    def config_changed(self) -> None:
        return


class VirtioState(State, kw_only=True):
    """What the driver has set up. Device types with more derive from it."""

    status: Byte = 0
    broken: bool = False
    """The driver broke the rules: nothing happens until it resets the device."""
    resetting: bool = False
    """The driver asked for a reset, and requests that it made before are still under way."""
    driver_features: Annotated[int, Meta(ge=0)] = 0
    generation: Byte = 0
    """Of the configuration: drivers read it before and after (2.5.1)."""
    queues: list[QueueState] = field(default_factory=list)


S = TypeVar("S", bound=VirtioState)


class VirtioDevice(Device[S]):
    """A device type says its number, its features and its queues, and handles what arrives in them."""

    device_number: ClassVar[int]
    """Section 5."""

    def __init__(self, memory: MemorySpace, queue_sizes: Sequence[int], features: int = DEFAULT) -> None:
        """`features`: what is offered beside VERSION_1, which the transport decides about."""
        self.ram = RamWindow(memory)
        self.offered = features | VERSION_1
        self.transport: Transport = NoTransport()
        self.queues = [VirtQueue(self, index, size) for index, size in enumerate(queue_sizes)]
        self._orphans: set[Chain] = set()
        super().__init__()
        self.state.queues = [queue.state for queue in self.queues]

    # What a device type defines.

    def handle_queue(self, queue: VirtQueue) -> None:
        """The driver has made chains available."""

    def config(self) -> bytes:
        """The device's configuration space, as it is now."""
        return b""

    def write_config(self, offset: int, data: bytes) -> None:
        """The driver writes its configuration space."""

    def driver_ready(self) -> None:
        """The driver has set DRIVER_OK, or a device that had it was loaded."""

    def stopped(self) -> None:
        """The driver or the machine has reset the device."""

    # What a device type and its transport use.

    @property
    def broken(self) -> bool:
        """Whether the driver broke the device."""
        return self.state.broken

    @property
    def features(self) -> int:
        """What device and driver agreed on."""
        return self.state.driver_features

    @property
    def modern(self) -> bool:
        """Whether the driver speaks VIRTIO 1."""
        return bool(self.state.driver_features & VERSION_1)

    @property
    def running(self) -> bool:
        """Whether the driver drives the device."""
        return bool(self.state.status & DRIVER_OK) and not self.state.broken

    def fail(self, why: str) -> None:
        """The driver broke the rules: stop until it resets the device (2.1.2)."""
        if self.state.broken:
            return
        log.warning("virtio device %d: the guest's driver is broken: %s", self.device_number, why)
        self.state.broken = True
        self._disconnect()
        if self.modern:
            self.state.status |= NEEDS_RESET
            if self.state.status & DRIVER_OK:
                self.transport.config_changed()

    def drop(self, chain: Chain, why: str) -> None:
        """`fail` over the content of a chain that was popped, which is not given back."""
        self.fail(why)
        self.orphan_done(chain)

    def read_config(self, offset: int, size: int) -> int:
        """The driver reads `size` bytes of the configuration; what lies behind its end is zero."""
        return int.from_bytes(self.config()[offset : offset + size], "little")

    def announce_config(self) -> None:
        """The configuration has changed."""
        self.state.generation = (self.state.generation + 1) & 0xFF
        if self.state.status & DRIVER_OK:
            self.transport.config_changed()

    def set_driver_features(self, features: int) -> None:
        """What the driver accepts. It counts until FEATURES_OK; a legacy driver's counts until DRIVER_OK."""
        if not self.state.status & (FEATURES_OK | DRIVER_OK):
            self.state.driver_features = features & self.offered

    def set_legacy_features(self, features: int) -> None:
        """What a legacy driver accepts."""
        self.set_driver_features(features & LEGACY_MASK & ~VERSION_1)

    @property
    def status(self) -> int:
        """The status as the driver reads it: it becomes zero when a reset is over (2.1.2)."""
        return self.state.status

    def set_status(self, status: int) -> None:
        """The driver writes the status. Only zero takes bits back."""
        state = self.state
        if status == 0:
            self._driver_reset()
            return
        if state.resetting:
            return
        before = state.status
        status = status & ~NEEDS_RESET | before
        if status & FEATURES_OK and not before & FEATURES_OK and not self._features_fit():
            status &= ~FEATURES_OK
        state.status = status
        if status & DRIVER_OK and not before & DRIVER_OK:
            self.driver_ready()

    def _features_fit(self) -> bool:
        features = self.state.driver_features
        return bool(features & VERSION_1) and not features & ~self.offered

    def enable_queue(self, index: int) -> None:
        """The driver has set the queue up."""
        self.queues[index].enable()

    def disable_queue(self, index: int) -> None:
        """The driver takes the queue back; what is under way in it is not given back."""
        self._orphans.update(self.queues[index].disconnect())
        self.queues[index].state.enabled = False

    def kick(self, index: int) -> None:
        """The driver's doorbell."""
        if index < len(self.queues) and not self.state.broken:
            queue = self.queues[index]
            if queue.state.enabled:
                self.handle_queue(queue)

    # Reset, save and load.

    def _driver_reset(self) -> None:
        """Reset; while requests are under way that use guest memory, the driver sees it not finished."""
        waiting = bool(self._orphans) or any(queue.in_flight for queue in self.queues)
        self.reset()
        if waiting and self._orphans:
            self.state.resetting = True
            self.state.status = ACKNOWLEDGE

    def orphan_done(self, chain: Chain) -> None:
        """A request of before a reset no longer uses guest memory."""
        self._orphans.discard(chain)
        if not self._orphans and self.state.resetting:
            self.state.resetting = False
            self.state.status = 0

    def _disconnect(self) -> None:
        for queue in self.queues:
            self._orphans.update(queue.disconnect())

    def forget_memory(self) -> None:
        """Let go of guest memory for good."""
        self._disconnect()
        self.stopped()
        self._orphans.clear()
        self.ram.forget()

    def reset(self) -> None:
        self._disconnect()
        self.state = self.state_type()
        self.state.queues = [queue.fresh_state() for queue in self.queues]
        self.stopped()
        self.restored()

    def load(self, state: S) -> None:
        """Raises StateError when the state is of a device with other queues."""
        sizes = [queue.most for queue in self.queues]
        if len(state.queues) != len(sizes) or any(map(int.__gt__, (queue.size for queue in state.queues), sizes)):
            raise StateError("the saved device has other queues than this one")
        self._disconnect()
        self.stopped()
        super().load(state)

    def before_save(self) -> None:
        for queue in self.queues:
            queue.before_save()

    def restored(self) -> None:
        state = self.state
        for queue, saved in zip(self.queues, state.queues, strict=False):
            queue.restore(saved)
        if state.resetting and not self._orphans:
            state.resetting, state.status = False, 0
        if self.running:
            self.driver_ready()


AnyVirtioDevice: TypeAlias = VirtioDevice[Any]
