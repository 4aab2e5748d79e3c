"""Frames over stream sockets: `stream`, and what `socket` with `listen` or `connect` shares with it.

One peer at a time: a server that has one lets the next wait until it is gone; a client that loses its server tries
again where it was told to.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, cast

from varan.chardev import listen
from varan.chardev.address import UNIX_PATH_LIMIT, Address, FdAddress, TcpAddress, UnixAddress, local_address, peer_text
from varan.chardev.base import ChardevError
from varan.net.base import Netdev
from varan.net.framing import Deframer, FramingError, encode
from varan.net.params import Params

if TYPE_CHECKING:
    from varan.net.network import Network
    from varan.net.registry import Options

log = logging.getLogger("varan.net")

OUTPUT_LIMIT = 1 << 20
"""Bytes kept for a peer that does not read; frames beyond are dropped."""
BACKLOG = 1
MOST_SECONDS = 3600


class FrameConnection(asyncio.Protocol):
    """One connection: deframes what comes, frames what goes."""

    def __init__(self, received: Callable[[bytes], None], lost: Callable[[FrameConnection], None]) -> None:
        self._received = received
        self._lost = lost
        self._deframer = Deframer()
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        try:
            for frame in self._deframer.feed(data):
                self._received(frame)
        except FramingError as error:
            log.warning("a network peer is cut off: %s", error)
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost(self)

    def send(self, frame: bytes) -> bool:
        """Send a frame; False when the peer is too far behind."""
        if self._transport.get_write_buffer_size() > OUTPUT_LIMIT:
            return False
        self._transport.write(encode(frame))
        return True

    def pause(self, paused: bool) -> None:
        """Stop reading, or go on."""
        if not self._transport.is_closing():
            self._transport.pause_reading() if paused else self._transport.resume_reading()

    def abort(self) -> None:
        """End it now."""
        self._transport.abort()


class StreamNetdev(Netdev):
    """`stream`: a server when `server` is on, else a client, which with `reconnect` seconds tries again and again."""

    kind = "stream"

    def __init__(self, id: str, address: Address, *, server: bool, reconnect: int = 0) -> None:
        super().__init__(id)
        self._address = address
        self._server = server
        self._reconnect = reconnect
        self._connection: FrameConnection | None = None
        self._free = asyncio.Event()
        self._held = False
        self._task: asyncio.Task[None] | None = None
        self._listening: list[socket.socket] = []
        self._file: listen.SocketFile | None = None
        self._peer_text = ""

    @property
    def address(self) -> Address:
        """Where it listens or connects to; a port that the host chose is known after `open`."""
        return self._address

    @property
    def description(self) -> str:
        role = "server" if self._server else "client"
        peer = f",connected to {self._peer_text}" if self._connection and self._peer_text else ""
        state = "" if self._connection else ",not connected"
        return f"type={self.kind},{role} {self._address}{peer}{state}"

    async def open(self) -> None:
        try:
            if self._server:
                await self._listen()
                self._task = asyncio.create_task(self._accept(), name=f"netdev {self.id}")
            elif self._reconnect:
                self._task = asyncio.create_task(self._keep_connecting(), name=f"netdev {self.id}")
            else:
                await self._connect()
        except ChardevError as error:
            await self.close()
            raise self.error(str(error)) from error

    async def _listen(self) -> None:
        address = self._address
        if isinstance(address, UnixAddress):
            sock, self._file = listen.listen_unix(address, BACKLOG)
            self._listening = [sock]
        elif isinstance(address, FdAddress):
            self._listening = [listen.inherit(address, listening=True)]
        else:
            self._listening = await listen.listen_tcp(address, BACKLOG)
            self._address = local_address(self._listening[0]) or address

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        waiting: dict[asyncio.Future[tuple[socket.socket, object]], socket.socket] = {}
        try:
            while True:
                for sock in self._listening:
                    if sock not in waiting.values():
                        waiting[asyncio.ensure_future(loop.sock_accept(sock))] = sock
                done, _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                for future in done:
                    del waiting[future]
                    await self._adopt(future.result()[0])
                    self._free.clear()
                    while self._connection is not None:
                        await self._free.wait()
        finally:
            for future in waiting:
                future.cancel()

    async def _connect(self) -> None:
        address = self._address
        if isinstance(address, FdAddress):
            await self._adopt(listen.inherit(address, listening=False))
        else:
            await self._adopt(await listen.connect(address))

    async def _keep_connecting(self) -> None:
        while True:
            try:
                await self._connect()
            except ChardevError as error:
                log.info("netdev '%s': %s", self.id, error)
            else:
                self._free.clear()
                while self._connection is not None:
                    await self._free.wait()
            await asyncio.sleep(self._reconnect)

    async def _adopt(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        if sock.family != socket.AF_UNIX:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peer_text = peer_text(sock)
        loop = asyncio.get_running_loop()
        _, connection = await loop.connect_accepted_socket(lambda: FrameConnection(self.deliver, self._lost), sock)
        self._connection = connection
        connection.pause(self._held)
        log.info("netdev '%s': connected", self.id)

    def _lost(self, connection: FrameConnection) -> None:
        if connection is self._connection:
            log.info("netdev '%s': disconnected", self.id)
            self._connection = None
            self._free.set()

    def transmit(self, frame: bytes) -> None:
        if self._connection is None or not self._connection.send(frame):
            self.dropped += 1

    def hold_input(self) -> None:
        self._held = True
        if self._connection is not None:
            self._connection.pause(True)

    def resume_input(self) -> None:
        self._held = False
        if self._connection is not None:
            self._connection.pause(False)

    async def close(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        if self._connection is not None:
            self._connection.abort()
        for sock in self._listening:
            sock.close()
        self._listening.clear()
        if self._file is not None:
            self._file.remove()


def take_address(params: Params, key: str) -> Address | None:
    """The address that options `key.type`, `key.host`... give; None when there is no `key.type`. Raises NetdevError."""
    kind = params.take(f"{key}.type")
    if kind is None:
        return None
    if kind == "unix":
        path = params.take_required_path(f"{key}.path")
        if len(path.encode(errors="surrogateescape")) > UNIX_PATH_LIMIT:
            raise params.error(f"option '{key}.path': a Unix socket's path has at most {UNIX_PATH_LIMIT} bytes")
        abstract, tight = params.take_bool(f"{key}.abstract"), params.take_bool(f"{key}.tight")
        return UnixAddress(path, bool(abstract), tight is not False)
    if kind == "fd":
        number = params.take_int(f"{key}.str", 0, 1 << 20)
        if number is None:
            raise params.error(f"option '{key}.str' is missing; give {key}.str=DESCRIPTOR")
        return FdAddress(number)
    if kind != "inet":
        raise params.error(f"option '{key}.type' expects inet, unix or fd, not '{kind}'")
    return _take_inet(params, key)


def _take_inet(params: Params, key: str) -> TcpAddress:
    host = params.take(f"{key}.host") or ""
    port = params.take_int(f"{key}.port", 0, 65535)
    if port is None:
        raise params.error(f"option '{key}.port' is missing; give {key}.port=NUMBER")
    last = params.take_int(f"{key}.to", port, 65535)
    ipv4, ipv6 = params.take_bool(f"{key}.ipv4"), params.take_bool(f"{key}.ipv6")
    return TcpAddress(host or "localhost", port, last, ipv4, ipv6)


def create(id: str, options: Options, network: Network) -> StreamNetdev:
    """A stream back end. Raises NetdevError for a bad option."""
    params = Params(id, options)
    address = take_address(params, "addr")
    server = bool(params.take_bool("server"))
    reconnect = params.take_int("reconnect", 0, MOST_SECONDS) or 0
    params.finish()
    if address is None:
        raise params.error("option 'addr.type' is missing; give addr.type=inet, unix or fd")
    if server and reconnect:
        raise params.error("option 'reconnect' is for clients; leave server=on out")
    return StreamNetdev(id, address, server=server, reconnect=reconnect)
