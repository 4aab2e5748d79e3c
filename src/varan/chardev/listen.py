"""Making listening and connected sockets from addresses."""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import socket
import stat
from collections.abc import Iterable
from typing import Any

from varan.chardev.address import FdAddress, TcpAddress, UnixAddress
from varan.chardev.base import ChardevError

logger = logging.getLogger(__name__)

TcpName = tuple[socket.AddressFamily, tuple[Any, ...]]
"""A family and an address as the socket module takes it."""


class ListenError(ChardevError):
    """An address that cannot be had: the text says which and why."""


def failure(address: object, error: OSError) -> ListenError:
    """The error that says what the host said about `address`."""
    return ListenError(f"{address}: {error.strerror or error}")


class SocketFile:
    """The file of a Unix socket that we made; `remove` takes it away unless another has taken its place."""

    def __init__(self, path: str) -> None:
        self._path = os.path.abspath(path)
        self._identity = self._look()

    def _look(self) -> tuple[int, int] | None:
        try:
            found = os.lstat(self._path)
        except OSError:
            return None
        return found.st_dev, found.st_ino

    def remove(self) -> None:
        """Remove it. May be called twice."""
        if self._identity is not None and self._look() == self._identity:
            try:
                os.unlink(self._path)
            except OSError as error:
                logger.warning("the socket '%s' is left behind: %s", self._path, error.strerror)
        self._identity = None


def listen_unix(address: UnixAddress, backlog: int) -> tuple[socket.socket, SocketFile | None]:
    """A listening socket, and its file when it has one. Raises ListenError.

    A socket file that is there already is replaced, as one that a killed process left must be.
    """
    if not address.abstract:
        _remove_old_socket(address.path)
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(address.host_form)
        file = None if address.abstract else SocketFile(address.path)
        sock.listen(backlog)
    except OSError as error:
        sock.close()
        raise failure(address, error) from error
    sock.setblocking(False)
    return sock, file


def _remove_old_socket(path: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise ListenError(f"'{path}' exists and is no socket; remove it or choose another path")
    try:
        os.unlink(path)
    except OSError as error:
        raise ListenError(f"the old socket '{path}' cannot be replaced: {error.strerror}") from error


async def resolve(address: TcpAddress, *, passive: bool) -> list[TcpName]:
    """The addresses that a host name stands for, in the order to try. Raises ListenError."""
    loop = asyncio.get_running_loop()
    flags = socket.AI_PASSIVE if passive else 0
    try:
        found = await loop.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM, flags=flags)
    except OSError as error:
        raise failure(f"host '{address.host}'", error) from error
    except UnicodeError as error:
        raise ListenError(f"host '{address.host}': that is no host name") from error
    names = [(socket.AddressFamily(family), name) for family, _, _, _, name in found if family in address.families]
    if not names:
        raise ListenError(f"host '{address.host}' has no address of the family that the options allow")
    return list(dict.fromkeys(names))


async def listen_tcp(address: TcpAddress, backlog: int) -> list[socket.socket]:
    """Sockets listening at every address the host name stands for, on the first port free. Raises ListenError."""
    names = await resolve(address, passive=True)
    last = address.port if address.last_port is None else address.last_port
    for port in range(address.port, last + 1):
        try:
            return _listen_all(names, port, backlog)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or port == last:
                where = f"{address}-{last}" if last > address.port else address
                raise failure(where, error) from error
    raise AssertionError("the loop tries at least one port")


def _listen_all(names: Iterable[TcpName], port: int, backlog: int) -> list[socket.socket]:
    socks: list[socket.socket] = []
    refused: OSError | None = None
    any_port = port == 0
    for family, name in names:
        try:
            sock = _listen_one(family, (name[0], port, *name[2:]), backlog)
        except OSError as error:
            # A host without IPv6 still resolves localhost to ::1. A port in use is in use, wherever, unless it was
            # the host's choice for another family.
            chosen_by_host = any_port and socks and error.errno == errno.EADDRINUSE
            if chosen_by_host or error.errno in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT):
                refused = error
                continue
            _close_all(socks)
            raise
        socks.append(sock)
        port = sock.getsockname()[1]
    if refused is not None and not socks:
        raise refused
    return socks


def _listen_one(family: socket.AddressFamily, name: tuple[str | int, ...], backlog: int) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            # `::` is what the user asked for; 0.0.0.0 is not.
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        sock.bind(name)
        sock.listen(backlog)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def _close_all(socks: Iterable[socket.socket]) -> None:
    for sock in socks:
        sock.close()


def inherit(address: FdAddress, *, listening: bool) -> socket.socket:
    """The socket that descriptor `address.fd` is, ours from now on. Raises ListenError."""
    try:
        sock = socket.socket(fileno=os.dup(address.fd))
    except OSError as error:
        raise ListenError(f"option 'fd': descriptor {address.fd} is no open socket: {error.strerror}") from error
    is_listening = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN) != 0
    if is_listening != listening:
        sock.close()
        found = "listens; add server=on" if is_listening else "does not listen; leave server=on out"
        raise ListenError(f"option 'fd': the socket in descriptor {address.fd} {found}")
    if not is_listening and not _is_connected(sock):
        sock.close()
        raise ListenError(f"option 'fd': the socket in descriptor {address.fd} is not connected")
    os.close(address.fd)
    sock.setblocking(False)
    return sock


def _is_connected(sock: socket.socket) -> bool:
    try:
        sock.getpeername()
    except OSError:
        return False
    return True


async def connect(address: UnixAddress | TcpAddress) -> socket.socket:
    """A connected socket. Raises ListenError."""
    if isinstance(address, UnixAddress):
        return await _connect_one(address, socket.AF_UNIX, address.host_form)
    names = await resolve(address, passive=False)
    for family, name in names[:-1]:
        try:
            return await _connect_one(address, family, name)
        except ListenError:
            continue
    family, name = names[-1]
    return await _connect_one(address, family, name)


async def _connect_one(address: object, family: socket.AddressFamily, name: object) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(sock, name)  # type: ignore[arg-type]
    except OSError as error:
        sock.close()
        raise failure(address, error) from error
    except BaseException:
        sock.close()
        raise
    return sock
