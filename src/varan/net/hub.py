"""Hubs: what comes in at one port goes out at all others."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varan.net.base import Netdev
from varan.net.params import Params

if TYPE_CHECKING:
    from varan.net.network import Network
    from varan.net.registry import Options

MOST_HUBS = 1 << 31


class Hub:
    """A hub and its ports."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.ports: list[HubPort] = []

    def spread(self, source: HubPort, frame: bytes) -> None:
        """Send `frame`, which came in at `source`, to every other port."""
        for port in list(self.ports):
            if port is not source:
                port.put(frame)


class HubPort(Netdev):
    """`hubport`: an adapter's place at a hub, or with `netdev` another back end's."""

    kind = "hubport"

    def __init__(self, id: str, hub: Hub, behind: Netdev | None) -> None:
        super().__init__(id)
        self._hub = hub
        self._behind = behind

    @property
    def description(self) -> str:
        behind = f",netdev={self._behind.id}" if self._behind else ""
        return f"type=hubport,hubid={self._hub.number}{behind}"

    async def open(self) -> None:
        if self._behind is not None:
            self._behind.attach(self)
        self._hub.ports.append(self)

    async def close(self) -> None:
        if self in self._hub.ports:
            self._hub.ports.remove(self)
            if self._behind is not None and self._behind.peer is self:
                self._behind.detach()

    def transmit(self, frame: bytes) -> None:
        self._hub.spread(self, frame)

    def put(self, frame: bytes) -> None:
        """A frame from the hub: for the back end behind this port, else for the adapter."""
        if self._behind is not None:
            self._behind.send(frame)
        else:
            self.deliver(frame)

    def receive(self, frame: bytes) -> bool:
        """`NetPeer` of the back end behind: its frames come in here."""
        self._hub.spread(self, frame)
        return True

    def link_set(self, up: bool) -> None:
        """`NetPeer`: the cable behind the hub is the hub's own affair."""


def create(id: str, options: Options, network: Network) -> HubPort:
    """A hub port. Raises NetdevError for a bad option, DeviceNotFound for a back end that there is not."""
    params = Params(id, options)
    number = params.take_int("hubid", 0, MOST_HUBS - 1)
    behind = params.take("netdev")
    params.finish()
    if number is None:
        raise params.error("option 'hubid' is missing; give hubid=NUMBER")
    return HubPort(id, network.hub(number), None if behind is None else network.find(behind))
