"""What PS/2 keyboard and mouse share: a bounded queue of bytes for the host, and the host's commands."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, TypeVar

import msgspec
from msgspec import Meta

from varan.core.state import Device, State
from varan.devices.fields import Byte

QUEUE_SIZE = 16
"""Bytes of events a device keeps while the host does not take them."""
REPLY_SIZE = 16
"""Further bytes that the reply to a command may take."""

ACK = 0xFA
RESEND = 0xFE
TEST_PASSED = 0xAA


class Ps2State(State, kw_only=True):
    """Members that both devices have."""

    queue: Annotated[list[Byte], Meta(max_length=QUEUE_SIZE + REPLY_SIZE)] = msgspec.field(default_factory=list)
    last: Byte = 0
    """The byte sent last, for the resend command."""
    command: Byte = 0
    """A command whose argument is still to come; 0 for none."""


S = TypeVar("S", bound=Ps2State)


class Ps2Device(Device[S]):
    """One device on a PS/2 cable. The controller sets `on_data` and takes bytes when it can."""

    def __init__(self) -> None:
        super().__init__()
        self.on_data: Callable[[], None] = _ignore
        """Called when bytes were added to an empty or filled queue."""
        self.on_input: Callable[[], None] = _ignore
        """Called when the user touches the device, whatever the host has set."""

    def take(self) -> int | None:
        """The next byte for the host, None while there is none."""
        queue = self.state.queue
        if not queue:
            return None
        self.state.last = queue.pop(0)
        return self.state.last

    def write(self, value: int) -> None:
        """A byte from the host: a command, or the argument of the one before."""
        raise NotImplementedError

    def send(self, data: bytes) -> bool:
        """Queue an event; False (and nothing queued) where it does not fit."""
        if len(self.state.queue) + len(data) > QUEUE_SIZE:
            return False
        self.state.queue.extend(data)
        self.on_data()
        return True

    def reply(self, *data: int) -> None:
        """Queue a reply, which has room of its own; a host that never reads loses the newest."""
        queue = self.state.queue
        queue.extend(data[: QUEUE_SIZE + REPLY_SIZE - len(queue)])
        self.on_data()


def _ignore() -> None:
    return
