"""Monitors on listening sockets and on the standard streams.

    async with await serve("unix:vm.sock", service) as server:
        ...

Several clients may be connected to one socket at a time; each has its own session.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import stat
import sys
from types import TracebackType

from varan.qmp.address import Address, AddressError, StdioAddress, TcpAddress, UnixAddress, parse_address
from varan.qmp.monitor import Monitor, Service

RECEIVE_SIZE = 64 << 10
"""Bytes taken from a socket at a time."""

BACKLOG = 16


class QmpProtocol(asyncio.BufferedProtocol):
    """One client's socket: the pipe of a `Monitor`."""

    def __init__(self, monitor: Monitor, connections: set[QmpProtocol]) -> None:
        """`connections` holds it as long as it is connected."""
        self._monitor = monitor
        self._connections = connections
        self._transport: asyncio.Transport
        self._blocked = False
        self._view = memoryview(bytearray(RECEIVE_SIZE))

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Called by the loop."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)
        self._monitor.opened(self)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Called by the loop."""
        return self._view

    def buffer_updated(self, nbytes: int) -> None:
        """Called by the loop."""
        self._monitor.receive(bytes(self._view[:nbytes]))

    def eof_received(self) -> bool:
        """Called by the loop: the client sends no more, which ends its session."""
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Called by the loop."""
        self._connections.discard(self)
        self._monitor.closed()

    def pause_writing(self) -> None:
        """Called by the loop."""
        self._blocked = True

    def resume_writing(self) -> None:
        """Called by the loop."""
        self._blocked = False
        self._monitor.writable()

    def write(self, data: bytes) -> int:
        """Send all of it, or nothing while the client does not read."""
        if self._blocked:
            return 0
        if not self._transport.is_closing():
            self._transport.write(data)
        return len(data)

    def close(self) -> None:
        """End the connection: at once when the client does not read, else when all is sent."""
        if self._blocked:
            self._transport.abort()
        else:
            self._transport.close()

    def pause_input(self) -> None:
        """Read no more."""
        self._transport.pause_reading()

    def resume_input(self) -> None:
        """Read on."""
        self._transport.resume_reading()


class Server:
    """A listening socket. Use `serve` to make one."""

    def __init__(self, listener: socket.socket, address: Address, service: Service, *, pretty: bool = False) -> None:
        """Takes over `listener`, which is bound."""
        self.address = address
        self._listener = listener
        self._service = service
        self._pretty = pretty
        self._connections: set[QmpProtocol] = set()
        self._server: asyncio.Server
        self._identity = _identity(address.path) if isinstance(address, UnixAddress) else None

    async def start(self) -> None:
        """Accept clients."""
        loop = asyncio.get_running_loop()
        if isinstance(self.address, UnixAddress):
            self._server = await loop.create_unix_server(self._accept, sock=self._listener, backlog=BACKLOG)
        else:
            self._server = await loop.create_server(self._accept, sock=self._listener, backlog=BACKLOG)

    def _accept(self) -> QmpProtocol:
        return QmpProtocol(self._service.monitor(pretty=self._pretty), self._connections)

    @property
    def connections(self) -> int:
        """How many clients are connected."""
        return len(self._connections)

    async def close(self) -> None:
        """Listen no more, disconnect the clients when their replies are sent, and remove the socket's file."""
        self._server.close()
        for connection in list(self._connections):
            connection.close()
        if isinstance(self.address, UnixAddress) and _identity(self.address.path) == self._identity:
            os.unlink(self.address.path)
        await asyncio.sleep(0)

    async def __aenter__(self) -> Server:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


async def serve(
    address: str | os.PathLike[str], service: Service, *, pretty: bool = False, allow_remote: bool = False
) -> Server:
    """Listen at "unix:PATH" or "tcp:HOST:PORT" (port 0: any; the result's `address` has the number).

    A control monitor has no password: other hosts' interfaces are refused unless `allow_remote`. Raises AddressError.
    """
    parsed = parse_address(address)
    if isinstance(parsed, StdioAddress):
        raise AddressError("stdio: not a listening address")
    try:
        if isinstance(parsed, UnixAddress):
            listener = _listen_unix(parsed.path)
        else:
            if not (allow_remote or parsed.is_loopback):
                raise AddressError(f"{parsed}: refused, because whoever reaches it controls the machine")
            listener = _listen_tcp(parsed)
            parsed = TcpAddress(parsed.host, listener.getsockname()[1])
    except OSError as error:
        raise AddressError(f"cannot listen at {parsed}: {error.strerror or error}") from error
    server = Server(listener, parsed, service, pretty=pretty)
    await server.start()
    return server


async def serve_stdio(service: Service, *, pretty: bool = False) -> StdioPipe:
    """Carry a monitor on the standard streams. Raises AddressError where these are files."""
    loop = asyncio.get_running_loop()
    pipe = StdioPipe(service.monitor(pretty=pretty))
    try:
        await loop.connect_write_pipe(lambda: _Output(pipe), sys.stdout.buffer)
        await loop.connect_read_pipe(lambda: _Input(pipe), sys.stdin.buffer)
    except ValueError as error:
        raise AddressError(f"stdio: {error}") from error
    pipe.monitor.opened(pipe)
    return pipe


class StdioPipe:
    """The standard streams as the pipe of a `Monitor`."""

    def __init__(self, monitor: Monitor) -> None:
        self.monitor = monitor
        self.reader: asyncio.ReadTransport
        self.writer: asyncio.WriteTransport
        self.blocked = False
        self.ended = asyncio.Event()
        """Set at the end of the input."""

    def write(self, data: bytes) -> int:
        """Send all of it, or nothing while nobody reads."""
        if self.blocked:
            return 0
        self.writer.write(data)
        return len(data)

    def close(self) -> None:
        """End both directions."""
        self.reader.close()
        self.writer.close()

    def pause_input(self) -> None:
        """Read no more."""
        self.reader.pause_reading()

    def resume_input(self) -> None:
        """Read on."""
        self.reader.resume_reading()


class _Input(asyncio.Protocol):
    def __init__(self, pipe: StdioPipe) -> None:
        self._pipe = pipe

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.ReadTransport)
        self._pipe.reader = transport

    def data_received(self, data: bytes) -> None:
        self._pipe.monitor.receive(data)

    def connection_lost(self, error: Exception | None) -> None:
        self._pipe.monitor.closed()
        self._pipe.ended.set()


class _Output(asyncio.BaseProtocol):
    def __init__(self, pipe: StdioPipe) -> None:
        self._pipe = pipe

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._pipe.writer = transport

    def pause_writing(self) -> None:
        self._pipe.blocked = True

    def resume_writing(self) -> None:
        self._pipe.blocked = False
        self._pipe.monitor.writable()


def _listen_tcp(address: TcpAddress) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    return socket.create_server((address.host, address.port), family=family, backlog=BACKLOG)


def _listen_unix(path: str) -> socket.socket:
    """A socket bound to `path`, in the place of one that nobody listens on any more."""
    listener = socket.socket(socket.AF_UNIX)
    try:
        _remove_stale(path)
        listener.bind(path)
    except OSError as error:
        listener.close()
        if "path too long" in str(error):
            raise AddressError(f"unix:{path}: longer than a socket's path may be (107 bytes)") from error
        raise
    except BaseException:
        listener.close()
        raise
    return listener


def _remove_stale(path: str) -> None:
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            raise AddressError(f"unix:{path}: exists and is not a socket")
    except FileNotFoundError:
        return
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(path)
        except ConnectionRefusedError:
            os.unlink(path)
            return
    raise OSError(errno.EADDRINUSE, os.strerror(errno.EADDRINUSE))


def _identity(path: str) -> tuple[int, int] | None:
    """Device and inode of a file; None if there is none."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino
