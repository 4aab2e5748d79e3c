"""Character devices: the host ends of serial ports, monitors and consoles.

A `Chardev` is a byte pipe to something on the host. What uses it is its `Frontend`. Everything here runs on the
machine's asyncio loop; a frontend that lives on a vCPU thread does the hand-over itself.

Back-pressure, both ways: `Pipe.write` says how many bytes it took and calls `Frontend.writable` when it can take
more after it took fewer than offered; a frontend that cannot take input calls `Pipe.pause_input` and `resume_input`.
"""

from __future__ import annotations

import abc
from collections.abc import Callable
from typing import Protocol, runtime_checkable

from varan.errors import VaranError

OUTPUT_LIMIT = 1 << 20
"""Bytes a chardev keeps for a slow reader before `write` takes fewer than offered."""


class ChardevError(VaranError):
    """A character device that cannot be made or used."""


class Pipe(Protocol):
    """One open connection, as a frontend sees it."""

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Send bytes; returns how many were taken. With nobody at the other end bytes are dropped and all count."""

    def close(self) -> None:
        """End the connection after what was written has been sent."""

    def pause_input(self) -> None:
        """Call `Frontend.receive` no more until `resume_input`."""

    def resume_input(self) -> None:
        """Undo `pause_input`."""


class Frontend(Protocol):
    """The user of a chardev."""

    def opened(self, pipe: Pipe) -> None:
        """Somebody is at the other end now."""

    def receive(self, data: bytes) -> None:
        """Bytes from the other end."""

    def closed(self) -> None:
        """The other end has gone."""

    def writable(self) -> None:
        """`write` takes bytes again."""


@runtime_checkable
class BreakReceiver(Protocol):
    """What a frontend has besides, when a break condition on the line means something to it."""

    def receive_break(self) -> None:
        """The other end asked for a break."""


@runtime_checkable
class FocusListener(Protocol):
    """What a frontend has besides, when it cares whether the keyboard of a shared chardev is its own."""

    def focus_gained(self) -> None:
        """Input comes here from now on, again (`opened` said it the first time)."""


class Chardev(abc.ABC):
    """A character device with an id. Subclasses register under their kind in `varan.chardev.registry`."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.frontend: Frontend | None = None

    @property
    @abc.abstractmethod
    def filename(self) -> str:
        """What query-chardev reports, as the command line spells it (`unix:vm.sock,server=on`, `pty:/dev/pts/3`)."""

    @property
    def frontend_open(self) -> bool:
        """Whether a device or monitor uses it."""
        return self.frontend is not None

    @abc.abstractmethod
    async def open(self) -> None:
        """Acquire the host resource. Raises ChardevError. With `wait=on` returns once a client is there."""

    @abc.abstractmethod
    async def close(self) -> None:
        """Send what is still to be sent, release the host resource, remove files that `open` made."""

    @abc.abstractmethod
    def attach(self, frontend: Frontend) -> None:
        """Connect the one frontend. Raises ChardevError when it has one. `opened` follows when the pipe is up."""

    @abc.abstractmethod
    def detach(self, frontend: Frontend) -> None:
        """Undo `attach`: `frontend` is told nothing more, and input waits for the next one."""

    def attach_each(self, factory: Callable[[], Frontend]) -> None:
        """Give every connection a frontend of its own where several may be open at once (a listening socket).

        The default has one connection at a time and attaches one frontend.
        """
        self.attach(factory())

    def discard(self, data: bytes | bytearray | memoryview) -> None:
        """Take note of output that a frontend has while its pipe is closed: dropped, but kept in the log file."""
