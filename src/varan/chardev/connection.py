"""One connection of a socket chardev: an asyncio protocol on one side, a `Pipe` on the other."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import cast

from varan.chardev import telnet
from varan.chardev.base import OUTPUT_LIMIT, BreakReceiver, Frontend


class Connection(asyncio.Protocol):
    """Bytes as they are."""

    def __init__(self, lost: Callable[[Connection], None]) -> None:
        """`lost` is called once when the connection has ended, for whatever reason."""
        self._lost = lost
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._frontend: Frontend | None = None
        self._early: list[bytes] = []
        self._open = False
        self._paused = False
        self._blocked = False
        self._starved = False
        self.gone: asyncio.Future[None] = self._loop.create_future()
        """Done when the connection has ended."""

    # What the loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=OUTPUT_LIMIT - 1, low=OUTPUT_LIMIT // 2)
        self._open = True

    def data_received(self, data: bytes) -> None:
        if self._frontend is None or self._paused or self._early:
            # A transport may deliver once more after it was told to pause, and before anybody is there.
            self._early.append(data)
            self._transport.pause_reading()
        else:
            self.deliver(self._frontend, data)

    def connection_lost(self, exc: Exception | None) -> None:
        self._open = False
        if not self.gone.done():
            self.gone.set_result(None)
        self._lost(self)

    def pause_writing(self) -> None:
        self._blocked = True

    def resume_writing(self) -> None:
        self._blocked = False
        self._tell_writable()

    # What the frontend calls.

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """See `Pipe.write`."""
        if not self._open or self._transport.is_closing():
            return len(data)
        if self._blocked:
            self._starved = True
            return 0
        taken = len(data)
        room = OUTPUT_LIMIT - self._transport.get_write_buffer_size()
        if taken > room:
            taken = self._refuse_rest(data, room)
        else:
            self.send(data if type(data) is bytes else bytes(data))
        return taken

    def close(self) -> None:
        """See `Pipe.close`."""
        self._open = False
        self._transport.close()

    def pause_input(self) -> None:
        """See `Pipe.pause_input`."""
        self._paused = True
        self._transport.pause_reading()

    def resume_input(self) -> None:
        """See `Pipe.resume_input`."""
        self._paused = False
        if self._frontend is None:
            return
        while self._early and not self._paused:
            self.deliver(self._frontend, self._early.pop(0))
        if not self._paused:
            self._transport.resume_reading()

    # What the chardev calls.

    @property
    def socket(self) -> socket.socket:
        """The socket, for asking who is at its ends."""
        return cast("socket.socket", self._transport.get_extra_info("socket"))

    def start(self, frontend: Frontend) -> None:
        """See `Line.start`."""
        self._frontend = frontend
        if not self._paused:
            self.resume_input()

    def abort(self) -> None:
        """End the connection now, whatever is still to be sent."""
        self._open = False
        if not self.gone.done():
            self._transport.abort()

    # What kinds of connection differ in.

    def deliver(self, frontend: Frontend, data: bytes) -> None:
        """Give the frontend what the peer sent."""
        frontend.receive(data)

    def send(self, data: bytes) -> None:
        """Send what the frontend wrote."""
        self._transport.write(data)

    def _refuse_rest(self, data: bytes | bytearray | memoryview, room: int) -> int:
        taken = max(room, 0)
        self._starved = True
        self.send(bytes(memoryview(data)[:taken]))
        if not self._blocked:
            # The socket took it at once, so no `resume_writing` will follow.
            self._loop.call_soon(self._tell_writable)
        return taken

    def _tell_writable(self) -> None:
        if self._starved and not self._blocked:
            self._starved = False
            if self._frontend is not None and self._open:
                self._frontend.writable()


class TelnetConnection(Connection):
    """Bytes in a telnet session."""

    def __init__(self, lost: Callable[[Connection], None]) -> None:
        super().__init__(lost)
        self._telnet = telnet.Telnet()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._transport.write(telnet.GREETING)

    def deliver(self, frontend: Frontend, data: bytes) -> None:
        received = self._telnet.receive(data)
        if received.reply and self._open:
            self._transport.write(received.reply)
        if received.data:
            frontend.receive(received.data)
        if received.breaks and isinstance(frontend, BreakReceiver):
            for _ in range(received.breaks):
                frontend.receive_break()

    def send(self, data: bytes) -> None:
        self._transport.write(self._telnet.send(data))
