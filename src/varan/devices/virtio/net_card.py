"""A virtio network card between its core, which the guest sees, and the machine's network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from varan.api.events import NicRxFilterChanged
from varan.core.properties import Property
from varan.devices.environment import Environment
from varan.devices.virtio import net as n
from varan.devices.virtio.net import VirtioNet
from varan.errors import GenericError
from varan.net.adapter import Adapter, RxFilter, parse_mac
from varan.net.base import Netdev
from varan.net.network import Network

SWITCHES = {
    "mrg_rxbuf": (n.MRG_RXBUF, "frames in several receive buffers"),
    "status": (n.STATUS, "the link's status"),
    "ctrl_vq": (n.CTRL_VQ, "the control queue, without which the others of it are not offered either"),
    "ctrl_rx": (n.CTRL_RX, "receive modes"),
    "ctrl_rx_extra": (n.CTRL_RX_EXTRA, "further receive modes"),
    "ctrl_vlan": (n.CTRL_VLAN, "the filter of VLANs"),
    "ctrl_mac_addr": (n.CTRL_MAC_ADDR, "another address by command"),
    "guest_announce": (n.GUEST_ANNOUNCE, "announcements by the guest"),
}
"""Settings that offer a feature or not: its bit, and what it is."""
OFFLOADS = (
    *("csum", "gso", "guest_csum", "guest_tso4", "guest_tso6", "guest_ecn", "guest_ufo"),
    *("host_tso4", "host_tso6", "host_ecn", "host_ufo", "ctrl_guest_offloads"),
)
"""Settings that may only be off: checksums and segments are not left to the other side."""
DUPLEX = {"": n.UNKNOWN_DUPLEX, "half": 0, "full": 1}
LARGEST_SPEED = (1 << 31) - 1
LEAST_QUEUE, LARGEST_QUEUE = 256, 1024
PROPERTIES: tuple[Property, ...] = (
    Property("mac", "str", "Ethernet address; the next free one of 52:54:00:12:34:56 and following", default=""),
    Property("netdev", "str", "id of the back end", default=""),
    Property("host_mtu", "uint16", "largest packet that the guest may send, 0: no limit is told", default=0),
    Property("speed", "int32", "speed that the card says it has (Mbit/s), -1: it says nothing", default=-1),
    Property("duplex", "str", "half or full: what the card says of that", default=""),
    Property("rx_queue_size", "uint16", "entries of the receive queue, 256 to 1024", default=n.QUEUE_SIZES[0]),
    Property("tx_queue_size", "uint16", "entries of the transmit queue, 256 to 1024", default=n.QUEUE_SIZES[1]),
    *(Property(name, "bool", f"offer {what}", default=True) for name, (_, what) in SWITCHES.items()),
    *(Property(name, "bool", "not available: frames are plain", default=False) for name in OFFLOADS),
    Property("mq", "bool", "not available: there is one pair of queues", default=False),
)
"""Settings of every virtio network card, whatever its transport."""


def switched_off(settings: Mapping[str, Any]) -> int:
    """The features that `settings` do not want offered."""
    return sum(bit for name, (bit, _) in SWITCHES.items() if not settings[name])


def check(settings: Mapping[str, Any]) -> None:
    """Raises GenericError for what no card has."""
    for name in (*OFFLOADS, "mq"):
        if settings[name]:
            raise GenericError(f"{name}=on is not supported: the card has plain frames and one pair of queues")
    if not -1 <= settings["speed"] <= LARGEST_SPEED:
        raise GenericError("'speed' must be between 0 and INT_MAX")
    if settings["duplex"] not in DUPLEX:
        raise GenericError("'duplex' must be 'half' or 'full'")
    for name in ("rx_queue_size", "tx_queue_size"):
        size = settings[name]
        if size & (size - 1) or not LEAST_QUEUE <= size <= LARGEST_QUEUE:
            raise GenericError(
                f"Invalid {name} (= {size}), must be a power of 2 between {LEAST_QUEUE} and {LARGEST_QUEUE}."
            )


def _wire(settings: Mapping[str, Any]) -> tuple[int, int] | None:
    """Speed and duplex, None where neither is given."""
    speed, duplex = settings["speed"], settings["duplex"]
    return (speed & n.UNKNOWN_SPEED, DUPLEX[duplex]) if speed >= 0 or duplex else None


class NetCard(Adapter):
    """Carries frames both ways on the loop. Made by `acquire`, so that it exists before the guest sees the card."""

    def __init__(
        self,
        environment: Environment,
        name: str,
        model: str,
        path: Callable[[], str],
        netdev: Netdev | None,
        settings: Mapping[str, Any],
        features: int,
    ) -> None:
        """`path` gives the device's path in the object tree, `settings` has PROPERTIES by name.

        Raises VaranError for settings that no card has, a bad address or a used back end.
        """
        check(settings)
        network: Network = environment.ends.network
        address = parse_mac(settings["mac"]) if settings["mac"] else network.free_mac()
        super().__init__(name, model, address)
        self._environment = environment
        self._lock = environment.lock
        self._path = path
        self._network = network
        self._transmit_posted = False
        self._ready_posted = False
        self._notify_posted = False
        self._filter_event_armed = True
        self.core = VirtioNet(
            environment.memory,
            address,
            transmit_due=self._transmit_due,
            receive_due=self._receive_due,
            filter_changed=self._filter_changed,
            features=features,
            without=switched_off(settings),
            mtu=settings["host_mtu"],
            wire=_wire(settings),
            queue_sizes=(settings["rx_queue_size"], settings["tx_queue_size"]),
        )
        if netdev is not None:
            self.connect(netdev)
        network.add_adapter(self)
        environment.resumed.append(self._ready)
        self.core.link_up = self.link_up

    def close(self) -> None:
        """Leave the network."""
        self._environment.resumed.remove(self._ready)
        self._network.remove_adapter(self)

    @property
    def path(self) -> str:
        return self._path()

    # From the guest.

    def _transmit_due(self) -> None:
        if not self._transmit_posted:
            self._transmit_posted = True
            self._environment.post(self._transmit)

    def _transmit(self) -> None:
        with self._lock:
            self._transmit_posted = False
            frames, more = self.core.take_frames()
            if more:
                self._transmit_due()
        for frame in frames:
            self.send(frame)

    # To the guest.

    def receive(self, frame: bytes) -> bool:
        """`NetPeer`. A machine that stands still takes nothing."""
        with self._lock:
            if not self._environment.virtual.running():
                return False
            taken = self.core.receive(frame)
        if not self._notify_posted:
            # One interrupt for all frames of this turn of the loop.
            self._notify_posted = True
            self._environment.post(self._notify)
        return taken

    def _notify(self) -> None:
        self._notify_posted = False
        with self._lock:
            self.core.notify_receive()

    def _receive_due(self) -> None:
        if not self._ready_posted:
            self._ready_posted = True
            self._environment.post(self._ready)

    def _ready(self) -> None:
        self._ready_posted = False
        if self.netdev is not None:
            self.netdev.ready()

    # What monitors do and ask.

    def link_changed(self) -> None:
        """Tell the guest."""
        with self._lock:
            if self.core.link_up != self.link_up:
                self.core.link_up = self.link_up
                self.core.announce_config()

    def announce(self) -> None:
        super().announce()
        with self._lock:
            self.core.announce()

    def rx_filter(self) -> RxFilter | None:
        self._filter_event_armed = True
        return self.core.rx_filter()

    def _filter_changed(self) -> None:
        self.mac = self.core.state.mac
        if self._filter_event_armed:
            self._filter_event_armed = False
            self._environment.emit(NicRxFilterChanged(name=self.name, path=self.path))
