"""A virtqueue as a device sees it, whichever layout the driver has chosen.

    chain = queue.pop()            the next chain of buffers, None when there is none
    queue.push(chain, written)     give it back
    for chain in queue.chains()    all that there are, and then the driver is to notify again
    queue.notify()                 one interrupt for all that was given back, if the driver wants one

A driver that breaks the queue's rules breaks its device (`VirtioDevice.fail`); nothing is raised. All calls are made
under the machine lock. Chains may be given back in any order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Annotated

import msgspec
from msgspec import Meta

from varan.devices.fields import Word
from varan.devices.virtio.chain import MOST_BUFFERS, Chain
from varan.devices.virtio.features import RING_EVENT_IDX, RING_INDIRECT_DESC, RING_PACKED
from varan.devices.virtio.packed import PackedRing
from varan.devices.virtio.ram import RingError
from varan.devices.virtio.split import SplitRing

if TYPE_CHECKING:
    from varan.devices.virtio.device import AnyVirtioDevice

NO_VECTOR = 0xFFFF
"""No MSI-X vector."""

Address = Annotated[int, Meta(ge=0)]
Entries = Annotated[int, Meta(ge=0, le=MOST_BUFFERS)]


class InFlight(msgspec.Struct, array_like=True):
    """A chain that the device had taken and not given back when it was saved. It is taken again by the one loaded."""

    head: Word
    slots: Entries
    readable: Entries
    """How many of `ranges` are readable; the rest is writable."""
    ranges: Annotated[list[tuple[Address, Address]], Meta(max_length=MOST_BUFFERS)]


class QueueState(msgspec.Struct, kw_only=True):
    """One queue of a device, set up by its driver. Addresses are guest-physical."""

    size: Entries
    enabled: bool = False
    vector: Word = NO_VECTOR
    descriptors: Address = 0
    driver: Address = 0
    """The available ring, or the driver's event suppression area."""
    device: Address = 0
    """The used ring, or the device's event suppression area."""
    next_available: Word = 0
    next_used: Word = 0
    available_wrap: bool = True
    used_wrap: bool = True
    notification: bool = True
    """Whether the driver is to notify of further chains."""
    in_flight: list[InFlight] = msgspec.field(default_factory=list)


class VirtQueue:
    """See the module's text."""

    def __init__(self, owner: AnyVirtioDevice, index: int, most: int) -> None:
        """`most`: the size that the device offers."""
        self.index = index
        self.most = most
        self.state = QueueState(size=most)
        self._owner = owner
        self._ring: SplitRing | PackedRing | None = None
        self._in_flight: dict[Chain, None] = {}
        self._again: list[Chain] = []
        self._pushed = 0

    @property
    def in_flight(self) -> int:
        """How many chains were popped and not given back."""
        return len(self._in_flight)

    def available(self) -> bool:
        """Whether `pop` would find something."""
        return bool(self._again) or (self._ring is not None and self._ring.available())

    def pop(self) -> Chain | None:
        """The next chain; None when there is none, or the device is broken."""
        if self._again:
            return self._again.pop(0)
        ring = self._ring
        if ring is None:
            return None
        try:
            chain = ring.pop()
        except RingError as error:
            self._owner.fail(f"queue {self.index}: {error}")
            return None
        if chain is not None:
            self._in_flight[chain] = None
        return chain

    def put_back(self, chains: Sequence[Chain]) -> None:
        """Have `pop` give these again, which were popped last, in their order."""
        self._again[:0] = chains

    def chains(self) -> Iterator[Chain]:
        """Pop until nothing is left, also of what comes meanwhile; the driver notifies of what comes after that."""
        while True:
            while (chain := self.pop()) is not None:
                yield chain
            self.set_notification(True)
            if not self.available():
                return

    def owns(self, chain: Chain) -> bool:
        """Whether `chain` was popped and is to be given back; False for one from before a reset."""
        return chain in self._in_flight

    def push(self, chain: Chain, written: int, touched: int = 0) -> None:
        """Give `chain` back: the device has put `written` bytes into its writable buffers, from the first one on.

        `touched`: bytes that may have changed, where they are more. A chain from before a reset is only forgotten.
        """
        rest = max(written, touched)
        for address, length in chain.writable_ranges:
            if rest <= 0:
                break
            self._owner.ram.memory.ram_written(address, min(length, rest))
            rest -= length
        if chain not in self._in_flight:
            self._owner.orphan_done(chain)
            return
        del self._in_flight[chain]
        if self._ring is not None:
            self._ring.push(chain, written)
            self._pushed += chain.slots

    def notify(self) -> None:
        """Interrupt the driver if something was given back since the last time, and it wants to know."""
        pushed, self._pushed = self._pushed, 0
        if pushed and self._ring is not None and self._ring.wants_interrupt(pushed):
            self._owner.transport.queue_used(self.index)

    def set_notification(self, wanted: bool) -> None:
        """Whether the driver is to notify of chains that it makes available. What it has made available by the time
        of a True must be looked for once more: `available`."""
        self.state.notification = wanted
        if self._ring is not None:
            self._ring.set_notification(wanted)

    def enable(self) -> None:
        """Take the queue into use as the driver has set it up."""
        self.state.enabled = True
        self._connect()

    def _connect(self) -> None:
        features = self._owner.features
        layout = PackedRing if features & RING_PACKED else SplitRing
        event_index, indirect = bool(features & RING_EVENT_IDX), bool(features & RING_INDIRECT_DESC)
        try:
            self._ring = layout(self._owner.ram, self.state, event_index=event_index, indirect=indirect)
        except RingError as error:
            self._owner.fail(f"queue {self.index}: {error}")
            return
        self._ring.set_notification(self.state.notification)

    def disconnect(self) -> list[Chain]:
        """Let go of guest memory; returns the chains that the device still works on."""
        orphans = [chain for chain in self._in_flight if chain not in self._again]
        self._ring = None
        self._in_flight = {}
        self._again = []
        self._pushed = 0
        return orphans

    def fresh_state(self) -> QueueState:
        """The state after a reset."""
        return QueueState(size=self.most)

    def before_save(self) -> None:
        """Note in the state what is in flight."""
        self.state.in_flight = [
            InFlight(chain.head, chain.slots, len(chain.readable), list(chain.ranges)) for chain in self._in_flight
        ]

    def restore(self, state: QueueState) -> None:
        """Go on from `state`, which becomes the queue's own. It is disconnected."""
        self.state = state
        again, state.in_flight = state.in_flight, []
        if not state.enabled or self._owner.broken:
            return
        self._connect()
        try:
            for saved in again[: state.size]:
                self._take_again(saved)
        except RingError as error:
            self._owner.fail(f"queue {self.index}: {error}")

    def _take_again(self, saved: InFlight) -> None:
        chain = Chain(saved.head, saved.slots)
        for number, (address, length) in enumerate(saved.ranges):
            chain.add(self._owner.ram, address, length, number >= saved.readable)
        if isinstance(self._ring, PackedRing):
            self._ring.slots_in_flight += chain.slots
        self._in_flight[chain] = None
        self._again.append(chain)
