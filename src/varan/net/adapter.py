"""The adapter's end of a network back end, as the machine's network knows it: every kind of network card has one."""

from __future__ import annotations

import abc
import re
from dataclasses import dataclass, field

from varan.errors import InvalidParameterValue
from varan.net.base import Netdev

BROADCAST = b"\xff" * 6
_RARP = 0x8035
_SHORTEST = 60
"""Bytes of the shortest frame, without check sequence."""
_MAC = re.compile(r"([0-9a-fA-F]{2})((:[0-9a-fA-F]{2}){5}|(-[0-9a-fA-F]{2}){5})")
_DEFAULT_MAC = bytes.fromhex("525400123456")


@dataclass(frozen=True, slots=True)
class RxFilter:
    """Which frames an adapter passes. `multicast`, `unicast`, `vlan` are "normal", "none" or "all"."""

    promiscuous: bool
    multicast: str = "normal"
    unicast: str = "normal"
    vlan: str = "normal"
    broadcast: bool = True
    multicast_overflow: bool = False
    unicast_overflow: bool = False
    vlans: list[int] = field(default_factory=list)
    stations: list[bytes] = field(default_factory=list)
    groups: list[bytes] = field(default_factory=list)


class Adapter(abc.ABC):
    """One network card. It attaches itself to a back end with `connect`; all on the machine's loop."""

    def __init__(self, name: str, model: str, mac: bytes) -> None:
        self.name = name
        self.model = model
        self.mac = mac
        self.netdev: Netdev | None = None
        self._plugged = True

    @property
    def path(self) -> str:
        """Its path in the object tree."""
        return self.name

    @property
    def link_up(self) -> bool:
        """Whether there is a carrier: the cable was plugged in at this end last, by its own name or its back end's."""
        return self._plugged

    def set_link(self, up: bool) -> None:
        """Plug the cable in or out at this end."""
        if up != self._plugged:
            self._plugged = up
            self.link_changed()

    def link_set(self, up: bool) -> None:
        """`NetPeer`: as at the back end, so here."""
        self.set_link(up)

    def connect(self, netdev: Netdev) -> None:
        """Use `netdev`. Raises NetdevError when another uses it."""
        netdev.attach(self)
        self.netdev = netdev

    def disconnect(self) -> None:
        """Leave the back end."""
        netdev, self.netdev = self.netdev, None
        if netdev is not None and netdev.peer is self:
            netdev.detach()

    def send(self, frame: bytes) -> None:
        """A frame from the guest."""
        if self._plugged and self.netdev is not None:
            self.netdev.send(frame)

    def announce(self) -> None:
        """Send a frame that makes switches learn where this adapter is."""
        self.send(announcement(self.mac))

    def rx_filter(self) -> RxFilter | None:
        """Which frames pass, None for an adapter that cannot tell. Asking rearms its change event."""
        return None

    @abc.abstractmethod
    def receive(self, frame: bytes) -> bool:
        """`NetPeer`: take a frame for the guest, or False."""

    @abc.abstractmethod
    def link_changed(self) -> None:
        """`link_up` has changed: tell the guest of the carrier, where the card can."""


def announcement(mac: bytes) -> bytes:
    """A RARP request for the adapter's own address (RFC 903), which asks nobody for anything."""
    header = BROADCAST + mac + _RARP.to_bytes(2, "big")
    body = bytes.fromhex("0001 0800 06 04 0003") + mac + bytes(4) + mac + bytes(4)
    return (header + body).ljust(_SHORTEST, b"\0")


def parse_mac(text: str, parameter: str = "mac") -> bytes:
    """`52:54:00:12:34:56` as six bytes. Raises InvalidParameterValue for anything else and for a group's address."""
    if not _MAC.fullmatch(text):
        raise InvalidParameterValue(parameter, "a MAC address like 52:54:00:12:34:56")
    mac = bytes.fromhex(text.replace(":", "").replace("-", ""))
    if mac[0] & 1:
        raise InvalidParameterValue(parameter, "the MAC address of one station, not of a group")
    return mac


def format_mac(mac: bytes) -> str:
    """Six bytes as `52:54:00:12:34:56`."""
    return mac.hex(":")


def nth_default_mac(number: int) -> bytes:
    """The address that adapter `number` (0 first) of a machine has unless it is given one."""
    last = int.from_bytes(_DEFAULT_MAC[3:], "big") + number
    return _DEFAULT_MAC[:3] + (last & 0xFF_FFFF).to_bytes(3, "big")
