"""A client without asyncio: each call blocks until its reply is there.

with varan.qmp.blocking.connect("unix:vm.sock") as qmp:
    qmp.execute("query-status")
"""

from __future__ import annotations

import os
import socket
import time
from collections import deque
from collections.abc import Iterator
from types import TracebackType
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from varan.errors import JSONParsing
from varan.qmp.address import Address, TcpAddress, UnixAddress, parse_address
from varan.qmp.peer import (
    EVENT_LIMIT,
    Message,
    QmpConnectionError,
    QmpEvent,
    capabilities_to_enable,
    encode_request,
    error_from,
    message_stream,
)

RECEIVE_SIZE = 64 << 10


class BlockingClient:
    """A connection to a monitor for one thread, negotiated and ready. Use `connect` to make one."""

    def __init__(self, connection: socket.socket, peer: str, *, oob: bool = False) -> None:
        """Takes over a connected socket and negotiates, within the socket's timeout. Raises QmpConnectionError."""
        self._socket = connection
        self._peer = peer
        self._stream = message_stream()
        self._last_id = 0
        self._events: deque[QmpEvent] = deque(maxlen=EVENT_LIMIT)
        greeting = self._message().greeting
        if greeting is UNSET:
            raise QmpConnectionError(f"{peer} does not speak QMP: it did not begin with a greeting")
        self.greeting: dict[str, Any] = greeting
        """What the server said first: its "version" and "capabilities"."""
        self.execute("qmp_capabilities", capabilities_to_enable(greeting, oob))

    def fileno(self) -> int:
        """The socket's file descriptor, to wait for events with."""
        return self._socket.fileno()

    def execute(self, name: str, arguments: dict[str, Any] | None = None, *, oob: bool = False) -> Any:
        """Execute a command: plain JSON values in and out. Raises QmpError and QmpConnectionError."""
        return msgspec.json.decode(self.execute_raw(name, arguments, oob=oob))

    def execute_raw(self, name: str, arguments: dict[str, Any] | None = None, *, oob: bool = False) -> bytes:
        """The same with the result as JSON text."""
        self._last_id += 1
        try:
            self._socket.sendall(encode_request(name, arguments, self._last_id, oob))
        except OSError as error:
            raise self._broken(error) from error
        return bytes(self._reply(self._last_id))

    def events(self) -> Iterator[QmpEvent]:
        """Events from the time of connecting on, each given once; ends with the connection."""
        while True:
            while self._events:
                yield self._events.popleft()
            try:
                self._keep(self._message())
            except QmpConnectionError:
                return

    def wait_event(self, name: str, timeout: float | None = None) -> QmpEvent:
        """The first event called `name` that has not been fetched yet; others stay for `events`.

        Raises TimeoutError after `timeout` seconds, QmpConnectionError when the connection ends first.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        usual = self._socket.gettimeout()
        try:
            while True:
                for event in self._events:
                    if event.name == name:
                        self._events.remove(event)
                        return event
                self._socket.settimeout(None if deadline is None else max(deadline - time.monotonic(), 1e-6))
                self._keep(self._message())
        finally:
            self._socket.settimeout(usual)

    def pending_events(self) -> list[QmpEvent]:
        """The events that are there now, without waiting."""
        usual = self._socket.gettimeout()
        self._socket.settimeout(0)
        try:
            while True:
                self._keep(self._message())
        except BlockingIOError:
            pass
        finally:
            self._socket.settimeout(usual)
        events = list(self._events)
        self._events.clear()
        return events

    def close(self) -> None:
        """End the connection."""
        self._socket.close()

    def __enter__(self) -> BlockingClient:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _reply(self, id: int) -> Raw:
        while True:
            message = self._message()
            if message.error is not UNSET and message.id in (None, id):
                raise error_from(message.error)
            if message.returned is not UNSET and message.id == id:
                return message.returned
            self._keep(message)

    def _keep(self, message: Message) -> None:
        if message.event is not UNSET:
            self._events.append(message.as_event())

    def _broken(self, error: OSError) -> QmpConnectionError:
        return QmpConnectionError(f"{self._peer}: the connection has ended: {error.strerror or error}")

    def _message(self) -> Message:
        while True:
            message = self._stream.next()
            if isinstance(message, JSONParsing):
                raise QmpConnectionError(f"{self._peer} does not speak QMP: {message}")
            if message is not None:
                return message
            try:
                data = self._socket.recv(RECEIVE_SIZE)
            except (TimeoutError, BlockingIOError):
                raise
            except OSError as error:
                raise self._broken(error) from error
            if not data:
                raise QmpConnectionError(f"{self._peer}: the connection has ended")
            self._stream.feed(data)


def connect(address: str | os.PathLike[str], *, timeout: float | None = 10.0, oob: bool = False) -> BlockingClient:
    """Connect to the monitor at "unix:PATH", "tcp:HOST:PORT" or a socket's path, and negotiate.

    `timeout`: seconds until the server must have answered; commands may take any time. Raises QmpConnectionError, and
    AddressError for an address that cannot be understood.
    """
    parsed = parse_address(address)
    connection = None
    try:
        connection = _open(parsed, timeout)
        client = BlockingClient(connection, str(parsed), oob=oob)
        connection.settimeout(None)
        return client
    except BaseException as error:
        if connection is not None:
            connection.close()
        if isinstance(error, TimeoutError):
            raise QmpConnectionError(f"{parsed}: no answer within {timeout} s") from None
        if isinstance(error, OSError) and not isinstance(error, QmpConnectionError):
            raise QmpConnectionError(f"cannot connect to {parsed}: {error.strerror or error}") from error
        raise


def _open(address: Address, timeout: float | None) -> socket.socket:
    if isinstance(address, TcpAddress):
        return socket.create_connection((address.host, address.port), timeout)
    if not isinstance(address, UnixAddress):
        raise QmpConnectionError("stdio: nothing to connect to")
    connection = socket.socket(socket.AF_UNIX)
    try:
        connection.settimeout(timeout)
        connection.connect(address.path)
    except BaseException:
        connection.close()
        raise
    return connection
