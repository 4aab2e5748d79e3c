"""Chardevs on sockets (`socket`): Unix and TCP, servers and clients, plain and telnet."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Callable, Mapping

from varan.chardev import listen
from varan.chardev.address import Address, FdAddress, UnixAddress, local_address, peer_text
from varan.chardev.backend import Backend
from varan.chardev.base import ChardevError, Frontend
from varan.chardev.connection import Connection, TelnetConnection
from varan.chardev.socket_options import SocketConfig, parse

logger = logging.getLogger(__name__)

FLUSH_SECONDS = 1.0
"""How long `close` waits for a peer that is slow to read before it cuts the connection."""

BACKLOG = 1
"""Clients that may wait for the one before them to leave."""
SHARED_BACKLOG = 16
"""Clients that may wait to be let in where several are served at once."""

MAX_CONNECTIONS = 64
"""Clients served at once; more wait."""

ACCEPT_RETRY_SECONDS = 1.0
"""Pause after the host could not accept a connection (out of descriptors)."""


class SocketChardev(Backend):
    """What servers and clients share."""

    def __init__(self, id: str, config: SocketConfig) -> None:
        super().__init__(id, config.log)
        self.config = config
        self._address: Address = config.address
        self._connections: list[Connection] = []
        self._closing = False

    @property
    def filename(self) -> str:
        kind = str(self._shown_address())
        if self.config.telnet:
            kind = "telnet:" + kind.removeprefix("tcp:")
        text = kind + (",server=on" if self.config.server else "")
        if not self._connections:
            return f"disconnected:{text}"
        peer = peer_text(self._connections[0].socket) if len(self._connections) == 1 else ""
        return f"{text} <-> {peer}" if peer else text

    def _shown_address(self) -> Address:
        return self._address

    async def _adopt(self, sock: socket.socket) -> Connection:
        """Make a connection of `sock` and hand it to a frontend."""
        kind = TelnetConnection if self.config.telnet else Connection
        loop = asyncio.get_running_loop()
        _, connection = await loop.connect_accepted_socket(lambda: kind(self._lost), sock)
        if self._closing or connection.gone.done():
            connection.abort()
            return connection
        if not self.config.nodelay and sock.family != socket.AF_UNIX:
            connection.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 0)
        self._connections.append(connection)
        self.connected(connection)
        return connection

    def _lost(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            self.disconnected(connection)

    async def _end_connections(self) -> None:
        ending = list(self._connections)
        for connection in ending:
            connection.close()
        if ending:
            await asyncio.wait([connection.gone for connection in ending], timeout=FLUSH_SECONDS)
        for connection in ending:
            connection.abort()
        if ending:
            await asyncio.wait([connection.gone for connection in ending])


class Server(SocketChardev):
    """A listening socket.

    With `attach` clients are served one after the other, the next waiting in the backlog; with `attach_each` up to
    MAX_CONNECTIONS at once.
    """

    def __init__(self, id: str, config: SocketConfig) -> None:
        super().__init__(id, config)
        self._listeners: list[socket.socket] = []
        self._listening = False
        self._file: listen.SocketFile | None = None
        self._places = 1
        self._arriving: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._somebody: asyncio.Future[None] | None = None

    @property
    def address(self) -> Address:
        """Where it listens; after `open` with the port that was found."""
        return self._address

    def attach_each(self, factory: Callable[[], Frontend]) -> None:
        super().attach_each(factory)
        self._places = MAX_CONNECTIONS
        for listener in self._listeners:
            listener.listen(SHARED_BACKLOG)
        self._accept_or_not()

    async def acquire(self) -> None:
        self._closing = False
        backlog = BACKLOG if self._places == 1 else SHARED_BACKLOG
        try:
            await self._listen(backlog)
        except listen.ListenError as error:
            raise self.error(str(error)) from error
        self._accept_or_not()
        if self.config.wait:
            # A warning, because a machine that does not start must say why.
            logger.warning("chardev '%s': waiting for a client on %s", self.id, self.filename)
            self._somebody = asyncio.get_running_loop().create_future()
            try:
                await self._somebody
            finally:
                self._somebody = None

    async def _listen(self, backlog: int) -> None:
        address = self.config.address
        if isinstance(address, UnixAddress):
            listener, self._file = listen.listen_unix(address, backlog)
            self._listeners.append(listener)
            return
        if isinstance(address, FdAddress):
            self._listeners.append(listen.inherit(address, listening=True))
        else:
            self._listeners.extend(await listen.listen_tcp(address, backlog))
        self._address = local_address(self._listeners[0]) or address

    def _accept_or_not(self) -> None:
        """Watch the listening sockets while there is a place for another client."""
        busy = len(self._connections) + len(self._arriving)
        able = bool(self._listeners) and not self._closing and self._retry is None
        wanted = able and busy < self._places
        if wanted == self._listening:
            return
        loop = asyncio.get_running_loop()
        self._listening = wanted
        for listener in self._listeners:
            if wanted:
                loop.add_reader(listener, self._accept, listener)
            else:
                loop.remove_reader(listener)

    def _accept(self, listener: socket.socket) -> None:
        try:
            sock, _ = listener.accept()
        except (BlockingIOError, ConnectionAbortedError):
            return
        except OSError as error:
            logger.warning("chardev '%s': cannot accept a connection: %s", self.id, error.strerror)
            loop = asyncio.get_running_loop()
            self._retry = loop.call_later(ACCEPT_RETRY_SECONDS, self._accept_again)
            self._accept_or_not()
            return
        sock.setblocking(False)
        task = asyncio.get_running_loop().create_task(self._welcome(sock))
        self._arriving.add(task)
        task.add_done_callback(self._arrived)
        self._accept_or_not()

    def _accept_again(self) -> None:
        self._retry = None
        self._accept_or_not()

    async def _welcome(self, sock: socket.socket) -> None:
        await self._adopt(sock)
        if self._somebody is not None and not self._somebody.done():
            self._somebody.set_result(None)

    def _arrived(self, task: asyncio.Task[None]) -> None:
        self._arriving.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            logger.error("chardev '%s': a connection failed", self.id, exc_info=error)
        self._accept_or_not()

    def _lost(self, connection: Connection) -> None:
        super()._lost(connection)
        self._accept_or_not()

    async def release(self) -> None:
        self._closing = True
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None
        self._accept_or_not()
        while self._listeners:
            self._listeners.pop().close()
        if self._file is not None:
            self._file.remove()
            self._file = None
        if self._somebody is not None and not self._somebody.done():
            self._somebody.set_exception(self.error("closed while it waited for a client"))
        if self._arriving:
            await asyncio.wait(self._arriving)
        await self._end_connections()


class Client(SocketChardev):
    """A connection that we make, again and again with `reconnect`; or one that was inherited."""

    def __init__(self, id: str, config: SocketConfig) -> None:
        super().__init__(id, config)
        self._again: asyncio.Task[None] | None = None

    async def acquire(self) -> None:
        self._closing = False
        try:
            connection = await self._connect()
        except ChardevError as error:
            if self.config.reconnect is None:
                raise self.error(str(error)) from error
            logger.warning("chardev '%s': %s; trying again every %g s", self.id, error, self.config.reconnect)
            connection = None
        if self.config.reconnect is not None:
            self._again = asyncio.get_running_loop().create_task(
                self._keep_connected(connection, self.config.reconnect)
            )

    def _shown_address(self) -> Address:
        if self._connections and not isinstance(self.config.address, UnixAddress):
            return local_address(self._connections[0].socket) or self.config.address
        return self.config.address

    async def _connect(self) -> Connection:
        address = self.config.address
        if isinstance(address, FdAddress):
            sock = listen.inherit(address, listening=False)
        else:
            sock = await listen.connect(address)
        return await self._adopt(sock)

    async def _keep_connected(self, connection: Connection | None, seconds: float) -> None:
        while True:
            if connection is not None:
                await asyncio.wait([connection.gone])
            await asyncio.sleep(seconds)
            try:
                connection = await self._connect()
            except ChardevError:
                connection = None

    async def release(self) -> None:
        self._closing = True
        if self._again is not None:
            self._again.cancel()
            await asyncio.wait([self._again])
            self._again = None
        await self._end_connections()


def create(id: str, options: Mapping[str, str]) -> SocketChardev:
    """A socket chardev. Raises ChardevError for a bad option."""
    config = parse(id, options)
    return Server(id, config) if config.server else Client(id, config)
