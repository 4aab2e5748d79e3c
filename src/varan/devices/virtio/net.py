"""The virtio network card's core (VIRTIO 1.2, section 5.1).

Frames are plain: no checksum or segmentation is left to the other side. The receive queue is filled from the loop, the
transmit queue is emptied there; the control queue is answered at its doorbell.
"""

from __future__ import annotations

import struct
from collections.abc import Callable

from msgspec import field

from varan.core.memory import MemorySpace
from varan.devices.virtio import features as common
from varan.devices.virtio import net_control as control
from varan.devices.virtio.chain import Chain
from varan.devices.virtio.device import VirtioDevice, VirtioState
from varan.devices.virtio.net_filter import MAC_LENGTH, FilterState, Mac, describe, passes
from varan.devices.virtio.queue import VirtQueue
from varan.net.adapter import RxFilter
from varan.net.base import MAX_FRAME

RECEIVE, TRANSMIT, CONTROL = range(3)
QUEUE_SIZES = (256, 256)
"""Of the receive and the transmit queue."""
CONTROL_QUEUE_SIZE = 64

MTU = 1 << 3
MAC = 1 << 5
MRG_RXBUF = 1 << 15
STATUS = 1 << 16
CTRL_VQ = 1 << 17
CTRL_RX = 1 << 18
CTRL_VLAN = 1 << 19
CTRL_RX_EXTRA = 1 << 20
GUEST_ANNOUNCE = 1 << 21
CTRL_MAC_ADDR = 1 << 23
SPEED_DUPLEX = 1 << 63
BY_COMMAND = CTRL_RX | CTRL_VLAN | CTRL_RX_EXTRA | GUEST_ANNOUNCE | CTRL_MAC_ADDR
"""What needs the control queue (VIRTIO 1.2, section 5.1.3.1)."""
FEATURES = MAC | MRG_RXBUF | STATUS | CTRL_VQ | BY_COMMAND

LINK_UP, ANNOUNCE = 1, 2
UNKNOWN_SPEED, UNKNOWN_DUPLEX = 0xFFFFFFFF, 0xFF
"""What the card says of the wire when nobody has told it."""
_CONFIG, _WIRE = struct.Struct("<6sHHH"), struct.Struct("<IB")
_SHORT_HEADER, _HEADER = 10, 12
"""Bytes before a frame: a legacy driver without merged buffers has no count of buffers there."""
_BATCH = 256
"""Frames taken from the transmit queue before others have their turn."""


class VirtioNetState(VirtioState, kw_only=True):
    """What the driver has chosen beside the queues. `mac` is the card's address now."""

    mac: Mac = bytes(MAC_LENGTH)
    filter: FilterState = field(default_factory=FilterState)
    announce: bool = False
    """The driver is asked to tell the network where it is."""


class VirtioNet(VirtioDevice[VirtioNetState]):
    """See the module's text. The callbacks are called under the machine lock and only take note.

    `transmit_due`: there are frames to `take_frames`. `receive_due`: `receive` has room again. `filter_changed`: what
    passes is another now. `without`: the bits of FEATURES that are not offered. `link_up` is kept right by the owner,
    who calls `announce_config` after a change. `wire`: speed in Mbit/s and whether it is full duplex (1) or half (0).
    """

    device_number = 1
    state_type = VirtioNetState

    def __init__(
        self,
        memory: MemorySpace,
        mac: bytes,
        *,
        transmit_due: Callable[[], None],
        receive_due: Callable[[], None],
        filter_changed: Callable[[], None],
        features: int = common.DEFAULT,
        without: int = 0,
        mtu: int = 0,
        wire: tuple[int, int] | None = None,
        queue_sizes: tuple[int, int] = QUEUE_SIZES,
    ) -> None:
        self._permanent_mac = mac
        self._mtu = mtu
        self._wire = _WIRE.pack(*wire) if wire else b""
        self._transmit_due = transmit_due
        self._receive_due = receive_due
        self._filter_changed = filter_changed
        self._starved = False
        self.link_up = True
        own = FEATURES & ~without & ~(BY_COMMAND if without & CTRL_VQ else 0)
        own |= (MTU if mtu else 0) | (SPEED_DUPLEX if wire else 0)
        super().__init__(memory, (*queue_sizes, CONTROL_QUEUE_SIZE), features | own)
        self.state.mac = mac

    def config(self) -> bytes:
        status = (LINK_UP if self.link_up else 0) | (ANNOUNCE if self.state.announce else 0)
        return _CONFIG.pack(self.state.mac, status, 1, self._mtu) + self._wire

    def write_config(self, offset: int, data: bytes) -> None:
        if not self.modern and offset + len(data) <= MAC_LENGTH:
            mac = self.state.mac
            self.state.mac = mac[:offset] + data + mac[offset + len(data) :]
            self._filter_changed()

    def stopped(self) -> None:
        self.state.mac = self._permanent_mac
        self._starved = False

    def driver_ready(self) -> None:
        self.queues[RECEIVE].set_notification(False)
        self._receive_due()
        if self.queues[TRANSMIT].available():
            self._transmit_due()

    def handle_queue(self, queue: VirtQueue) -> None:
        if queue.index == CONTROL:
            self._answer_commands(queue)
        elif queue.index == TRANSMIT:
            queue.set_notification(False)
            self._transmit_due()
        elif self._starved:
            self._starved = False
            self._receive_due()

    @property
    def _header(self) -> int:
        return _HEADER if self.features & (common.VERSION_1 | MRG_RXBUF) else _SHORT_HEADER

    # From the guest.

    def take_frames(self) -> tuple[list[bytes], bool]:
        """Frames that the driver has given, and whether there are more."""
        queue, header = self.queues[TRANSMIT], self._header
        frames: list[bytes] = []
        while self.running and len(frames) < _BATCH:
            chain = queue.pop()
            if chain is None:
                queue.set_notification(True)
                if not queue.available():
                    queue.notify()
                    return frames, False
                queue.set_notification(False)
                continue
            frames.append(chain.gather(header + MAX_FRAME)[header:])
            queue.push(chain, 0)
        queue.notify()
        return frames, self.running

    # To the guest.

    def receive(self, frame: bytes) -> bool:
        """Put a frame into the driver's buffers; False when there is no room. `notify_receive` follows in time.

        One that the filter holds back, or that comes while nobody drives the card, is taken and dropped.
        """
        if not self.running or not self.link_up:
            return True
        if not passes(self.state.filter, self.state.mac, bool(self.features & CTRL_VLAN), frame):
            return True
        queue = self.queues[RECEIVE]
        if not queue.state.enabled:
            return True
        if self.features & MRG_RXBUF:
            return self._receive_merged(queue, frame)
        chain = self._next(queue)
        if chain is None:
            return False
        length = self._header + len(frame)
        message = bytes(self._header - 2) + (b"\1\0" if self.modern else b"\0\0") + frame
        if chain.scatter(message) < length:
            # The driver's buffer is too short for what the link may carry: the frame is lost.
            length = 0
        queue.push(chain, length)
        return True

    def _receive_merged(self, queue: VirtQueue, frame: bytes) -> bool:
        rest = memoryview(bytes(_HEADER) + frame)
        chains: list[tuple[Chain, int]] = []
        while len(rest):
            chain = self._next(queue)
            if chain is None:
                queue.put_back([used for used, _ in chains])
                return False
            fitting = chain.scatter(rest)
            chains.append((chain, fitting))
            rest = rest[fitting:]
            if not fitting:
                self.fail("a receive buffer without room")
                return True
        chains[0][0].scatter(len(chains).to_bytes(2, "little"), _HEADER - 2)
        for chain, used in chains:
            queue.push(chain, used)
        return True

    def _next(self, queue: VirtQueue) -> Chain | None:
        chain = queue.pop()
        if chain is None and self.running:
            queue.set_notification(True)
            self._starved = True
            chain = queue.pop()
        if chain is not None and self._starved:
            self._starved = False
            queue.set_notification(False)
        return chain

    def notify_receive(self) -> None:
        """Interrupt the driver for what `receive` has put there."""
        self.queues[RECEIVE].notify()

    # Commands.

    def _answer_commands(self, queue: VirtQueue) -> None:
        for chain in queue.chains():
            self._answer(queue, chain)
        queue.notify()

    def _answer(self, queue: VirtQueue, chain: Chain) -> None:
        done = self._do(chain.gather(control.LONGEST))
        room = sum(map(len, chain.writable))
        if room:
            chain.scatter(bytes((control.OK if done else control.ERROR,)), room - 1)
        queue.push(chain, room)

    def _do(self, command: bytes) -> bool:
        if control.is_announce_ack(command):
            self.state.announce = False
            return True
        mac = control.new_address(command)
        if mac is not None:
            self.state.mac = mac
        elif not control.change_filter(self.state.filter, command):
            return False
        self._filter_changed()
        return True

    def announce(self) -> bool:
        """Ask the driver to tell the network where it is; False when it did not agree to that."""
        if not self.running or not self.features & GUEST_ANNOUNCE or not self.features & CTRL_VQ:
            return False
        self.state.announce = True
        self.announce_config()
        return True

    def rx_filter(self) -> RxFilter:
        """What passes now."""
        return describe(self.state.filter, bool(self.features & CTRL_VLAN))
