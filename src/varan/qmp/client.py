"""An asyncio client for the machine protocol.

    async with varan.connect("unix:vm.sock") as qmp:
        status = await qmp.query_status()
        async for event in qmp.events():
            ...

Calls may be made from several tasks at a time; they travel at once and their replies are matched by id.
"""

from __future__ import annotations

import asyncio
import functools
import os
from collections import deque
from collections.abc import AsyncIterator, Callable, Generator
from types import TracebackType
from typing import Any

import msgspec
from msgspec import UNSET, Raw

from varan.api.client import Commands
from varan.api.commands import CommandInfo
from varan.errors import JSONParsing
from varan.qmp.address import StdioAddress, TcpAddress, UnixAddress, parse_address
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
from varan.qmp.vigil import Vigil

RECEIVE_SIZE = 64 << 10
"""Bytes taken from the socket at a time."""

_decode = msgspec.json.decode


@functools.cache
def _decoder(name: str, returns: Any) -> Callable[[Raw], Any]:
    """A decoder for what command `name` returns; the name stands for types that cannot be told apart by hash."""
    return msgspec.json.Decoder(returns).decode


class Client(Commands):
    """A connection to a monitor, negotiated and ready. Use `connect` to make one."""

    def __init__(self, transport: asyncio.Transport, protocol: ClientProtocol, greeting: dict[str, Any]) -> None:
        self.greeting = greeting
        """What the server said first: its "version" and "capabilities"."""
        self._transport = transport
        self._protocol = protocol
        self._loop = asyncio.get_running_loop()

    @property
    def events_dropped(self) -> int:
        """How many events were dropped because the program did not fetch them."""
        return self._protocol.dropped

    async def execute(self, name: str, arguments: dict[str, Any] | None = None, *, oob: bool = False) -> Any:
        """Execute a command by name: plain JSON values in and out. `oob`: overtake those that wait.

        Raises QmpError, of the class that the server names, and QmpConnectionError.
        """
        return _decode(await self._send(name, arguments, oob))

    async def call(self, command: CommandInfo, arguments: Any) -> Any:
        """Execute a command with typed arguments and result. Raises what `execute` does.

        Raises msgspec.ValidationError when the result is not what the schema says.
        """
        returned = await self._send(command.name, arguments)
        if command.returns is None:
            return None
        return _decoder(command.name, command.returns)(returned)

    def _send(self, name: str, arguments: Any, oob: bool = False) -> asyncio.Future[Raw]:
        protocol = self._protocol
        future: asyncio.Future[Raw] = self._loop.create_future()
        if protocol.lost is not None:
            future.set_exception(_again(protocol.lost))
            return future
        id = protocol.expect(future)
        self._transport.write(encode_request(name, arguments, id, oob))
        protocol.vigil.begin()
        return future

    async def events(self) -> AsyncIterator[QmpEvent]:
        """Events from the time of connecting on, each given once; ends with the connection.

        The newest `EVENT_LIMIT` are kept until they are fetched.
        """
        protocol = self._protocol
        while True:
            while protocol.events:
                yield protocol.events.popleft()
            if protocol.lost is not None:
                return
            await protocol.changed()

    async def wait_event(self, name: str, timeout: float | None = None) -> QmpEvent:
        """The first event called `name` that has not been fetched yet; others stay for `events`.

        Raises TimeoutError after `timeout` seconds, QmpConnectionError when the connection ends first.
        """
        async with asyncio.timeout(timeout):
            return await self._find_event(name)

    async def _find_event(self, name: str) -> QmpEvent:
        protocol = self._protocol
        while True:
            for event in protocol.events:
                if event.name == name:
                    protocol.events.remove(event)
                    return event
            if protocol.lost is not None:
                raise _again(protocol.lost)
            await protocol.changed()

    async def close(self) -> None:
        """End the connection. Calls that still wait raise QmpConnectionError."""
        self._transport.close()
        await self._protocol.wait_lost()

    async def __aenter__(self) -> Client:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


class ClientProtocol(asyncio.BufferedProtocol):
    """The receiving half of a client."""

    def __init__(self, peer: str) -> None:
        self.events: deque[QmpEvent] = deque()
        self.dropped = 0
        self.lost: QmpConnectionError | None = None
        """Why there is no connection any more."""
        self.greeting: asyncio.Future[dict[str, Any]] = asyncio.get_running_loop().create_future()
        self.vigil = Vigil()
        self._peer = peer
        self._transport: asyncio.Transport
        self._stream = message_stream()
        self._pending: dict[int, asyncio.Future[Raw]] = {}
        self._last_id = 0
        self._waiters: list[asyncio.Future[None]] = []
        self._view = memoryview(bytearray(RECEIVE_SIZE))

    def expect(self, future: asyncio.Future[Raw]) -> int:
        """The id of the request whose reply `future` is to get."""
        self._last_id += 1
        self._pending[self._last_id] = future
        return self._last_id

    async def changed(self) -> None:
        """Wait for an event, or for the end of the connection."""
        waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiters.append(waiter)
        try:
            await waiter
        finally:
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    async def wait_lost(self) -> None:
        """Wait for the end of the connection."""
        while self.lost is None:
            await self.changed()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def get_buffer(self, sizehint: int) -> memoryview:
        """Called by the loop."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Called by the loop."""
        self.vigil.end()
        stream = self._stream
        stream.feed(bytes(self._view[:nbytes]))
        while (message := stream.next()) is not None:
            if isinstance(message, JSONParsing):
                self._fail(QmpConnectionError(f"{self._peer} does not speak QMP: {message}"))
                return
            self._take(message)

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the loop."""
        reason = f": {error}" if error is not None else ""
        self._fail(QmpConnectionError(f"{self._peer}: the connection has ended{reason}"))

    def _take(self, message: Message) -> None:
        if message.returned is not UNSET:
            future = self._pending.pop(message.id, None)
            if future is not None and not future.done():
                future.set_result(message.returned)
        elif message.event is not UNSET:
            if len(self.events) >= EVENT_LIMIT:
                self.events.popleft()
                self.dropped += 1
            self.events.append(message.as_event())
            self._wake()
        elif message.error is not UNSET:
            self._refused(message)
        elif message.greeting is not UNSET and not self.greeting.done():
            self.greeting.set_result(message.greeting)

    def _refused(self, message: Message) -> None:
        """An error reply. One without id is for a request that the server could not read: the oldest, in order."""
        id = message.id if message.id is not None else next(iter(self._pending), None)
        future = self._pending.pop(id, None) if isinstance(id, int) else None
        if future is not None and not future.done():
            assert message.error is not UNSET
            future.set_exception(error_from(message.error))

    def _fail(self, error: QmpConnectionError) -> None:
        if self.lost is not None:
            return
        self.lost = error
        for future in self._pending.values():
            if not future.done():
                future.set_exception(_again(error))
        self._pending.clear()
        if not self.greeting.done():
            self.greeting.set_exception(_again(error))
            self.greeting.exception()  # nobody may be waiting: then it is no news
        self._transport.abort()
        self._wake()

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)


class Connecting:
    """What `connect` gives: to be awaited, or used in `async with`, which closes the connection at the end."""

    def __init__(self, open_client: Callable[[], Generator[Any, Any, Client]]) -> None:
        self._open = open_client
        self._client: Client

    def __await__(self) -> Generator[Any, Any, Client]:
        return self._open()

    async def __aenter__(self) -> Client:
        self._client = await self
        return self._client

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.close()


def connect(address: str | os.PathLike[str], *, timeout: float | None = 10.0, oob: bool = False) -> Connecting:
    """Connect to the monitor at "unix:PATH", "tcp:HOST:PORT" or a socket's path, and negotiate.

    `timeout`: seconds until the server must have answered. `oob`: ask for out-of-band execution. Raises
    QmpConnectionError, and AddressError for an address that cannot be understood.
    """
    return Connecting(lambda: _connect(address, timeout, oob).__await__())


async def _connect(address: str | os.PathLike[str], timeout: float | None, oob: bool) -> Client:
    transport = None
    parsed = parse_address(address)
    try:
        async with asyncio.timeout(timeout):
            transport, protocol = await _open(parsed)
            client = Client(transport, protocol, await protocol.greeting)
            await client.execute("qmp_capabilities", capabilities_to_enable(client.greeting, oob))
            return client
    except BaseException as error:
        if transport is not None:
            transport.abort()
        if isinstance(error, TimeoutError):
            raise QmpConnectionError(f"{parsed}: no answer within {timeout:g} s") from None
        if isinstance(error, OSError) and not isinstance(error, QmpConnectionError):
            raise QmpConnectionError(f"cannot connect to {parsed}: {error.strerror or error}") from error
        raise


async def _open(address: UnixAddress | TcpAddress | StdioAddress) -> tuple[asyncio.Transport, ClientProtocol]:
    loop = asyncio.get_running_loop()
    match address:
        case UnixAddress(path):
            return await loop.create_unix_connection(lambda: ClientProtocol(str(address)), path)
        case TcpAddress(host, port):
            return await loop.create_connection(lambda: ClientProtocol(str(address)), host, port)
        case StdioAddress():
            raise QmpConnectionError("stdio: nothing to connect to")


def _again(error: QmpConnectionError) -> QmpConnectionError:
    """A copy to raise: a traceback belongs to one raise."""
    return QmpConnectionError(str(error))
