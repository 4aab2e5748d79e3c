"""Network back ends: the host ends of network adapters.

A `Netdev` carries Ethernet frames, without frame check sequence, between one adapter (its `NetPeer`) and something on
the host. Everything here runs on the machine's loop.

Frames for a guest that has no room wait in a short queue; while there is one, `hold_input` has told the back end to
read no more, where it can. Frames beyond the queue are dropped, as a wire's would be.
"""

from __future__ import annotations

import abc
from collections import deque
from collections.abc import Callable
from typing import ClassVar, Protocol

from varan.errors import VaranError

MAX_FRAME = 68 << 10
"""Bytes of the longest frame: a 64 KiB segment with its headers."""
QUEUE_LIMIT = 256
"""Frames that wait for a guest without room."""

Observer = Callable[[bytes, bool], None]
"""(frame, whether the guest sent it)"""


class NetdevError(VaranError):
    """A network back end that cannot be made or used."""


class NetPeer(Protocol):
    """The adapter at the guest's end."""

    def receive(self, frame: bytes) -> bool:
        """Take a frame for the guest. False: there is no room now; `Netdev.ready` is called when there is."""

    def link_set(self, up: bool) -> None:
        """Somebody has plugged the cable in or out at the back end."""


class Netdev(abc.ABC):
    """See the module's text. Subclasses register under their kind in `varan.net.registry`."""

    kind: ClassVar[str]

    def __init__(self, id: str) -> None:
        self.id = id
        self.peer: NetPeer | None = None
        self.observers: list[Observer] = []
        """Called for every frame either way, before it goes on."""
        self.dropped = 0
        """Frames that found no room."""
        self._link_up = True
        self._waiting: deque[bytes] = deque()

    @property
    @abc.abstractmethod
    def description(self) -> str:
        """What `info network` shows: the kind and where it leads."""

    @abc.abstractmethod
    async def open(self) -> None:
        """Acquire the host resource. Raises NetdevError, with nothing acquired."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Release the host resource. May be called twice."""

    @abc.abstractmethod
    def transmit(self, frame: bytes) -> None:
        """Send the guest's frame on its way, or drop it."""

    def hold_input(self) -> None:
        """The guest has no room: read no more, where that is possible."""

    def resume_input(self) -> None:
        """Undo `hold_input`."""

    def error(self, problem: str) -> NetdevError:
        """The error that says `problem` about this back end."""
        return NetdevError(f"netdev '{self.id}': {problem}")

    def attach(self, peer: NetPeer) -> None:
        """Connect the one adapter. Raises NetdevError when it has one."""
        if self.peer is not None:
            raise self.error("is in use already; give each adapter a back end of its own, or share one through a hub")
        self.peer = peer

    def detach(self) -> None:
        """The adapter goes; frames drop until another comes."""
        self.peer = None
        self._waiting.clear()
        self.resume_input()

    @property
    def link_up(self) -> bool:
        """Whether the cable is plugged in. Unplugged, frames are dropped both ways."""
        return self._link_up

    def set_link(self, up: bool) -> None:
        """Plug the cable in or out; an adapter does the same at its end."""
        self._link_up = up
        if self.peer is not None:
            self.peer.link_set(up)

    def send(self, frame: bytes) -> None:
        """A frame from the guest."""
        if not self._link_up:
            return
        for observer in self.observers:
            observer(frame, True)
        self.transmit(frame)

    def deliver(self, frame: bytes) -> None:
        """A frame for the guest."""
        peer = self.peer
        if peer is None or not self._link_up or len(frame) > MAX_FRAME:
            return
        for observer in self.observers:
            observer(frame, False)
        if not self._waiting and peer.receive(frame):
            return
        if len(self._waiting) == QUEUE_LIMIT:
            self.dropped += 1
            return
        self._waiting.append(frame)
        if len(self._waiting) == 1:
            self.hold_input()

    def ready(self) -> None:
        """The adapter has room again."""
        peer, waiting = self.peer, self._waiting
        if peer is None or not waiting:
            return
        while waiting:
            if not peer.receive(waiting[0]):
                return
            waiting.popleft()
        self.resume_input()
