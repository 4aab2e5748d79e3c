"""Frames over datagram sockets, one in each: `dgram`, and what `socket` with `udp` or `mcast` shares with it."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from typing import TYPE_CHECKING

from varan.chardev.address import Address, FdAddress, TcpAddress, UnixAddress
from varan.net.base import MAX_FRAME, Netdev
from varan.net.params import Params
from varan.net.stream import take_address

if TYPE_CHECKING:
    from varan.net.network import Network
    from varan.net.registry import Options

BATCH = 64
"""Datagrams read before others have their turn."""


class DgramNetdev(Netdev):
    """`dgram`: from `local` (its own address) to `remote`; a multicast one is joined, through `local`'s interface."""

    kind = "dgram"

    def __init__(self, id: str, local: Address | None, remote: Address | None) -> None:
        super().__init__(id)
        self._local = local
        self._remote = remote
        self._socket: socket.socket | None = None
        self._target: tuple[str, int] | str | bytes | None = None
        self._unlink: str | None = None

    @property
    def description(self) -> str:
        return f"type={self.kind},local={_text(self._local)},remote={_text(self._remote)}"

    async def open(self) -> None:
        try:
            self._local, self._remote = await _numeric(self._local), await _numeric(self._remote)
            self._socket = sock = self._make_socket()
        except (OSError, UnicodeError) as error:
            await self.close()
            raise self.error(f"{_text(self._local)} to {_text(self._remote)}: {_why(error)}") from error
        sock.setblocking(False)
        asyncio.get_running_loop().add_reader(sock, self._read)

    def _make_socket(self) -> socket.socket:
        local, remote = self._local, self._remote
        if isinstance(local, FdAddress):
            return socket.socket(fileno=os.dup(local.fd))
        if isinstance(remote, UnixAddress) or isinstance(local, UnixAddress):
            return self._make_unix(local, remote)
        assert remote is None or isinstance(remote, TcpAddress)
        if remote is not None and (group := _multicast(remote)) is not None:
            return self._make_multicast(group, remote.port, local)
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket = sock
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if isinstance(local, TcpAddress):
            sock.bind((local.host, local.port))
        if remote is not None:
            self._target = (remote.host, remote.port)
        return sock

    def _make_unix(self, local: Address | None, remote: Address | None) -> socket.socket:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket = sock
        if isinstance(local, UnixAddress):
            sock.bind(local.host_form)
            self._unlink = None if local.abstract else os.path.abspath(local.path)
        if isinstance(remote, UnixAddress):
            self._target = remote.host_form
        return sock

    def _make_multicast(self, group: str, port: int, local: Address | None) -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket = sock
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind((group, port))
        interface = socket.inet_aton(local.host if isinstance(local, TcpAddress) else "0.0.0.0")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, socket.inet_aton(group) + interface)
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_LOOP, 1)
        if isinstance(local, TcpAddress):
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, interface)
        self._target = (group, port)
        return sock

    def _read(self) -> None:
        sock = self._socket
        for _ in range(BATCH):
            if sock is None:
                return
            try:
                frame = sock.recv(MAX_FRAME + 1)
            except OSError:
                # Nothing more, or the echo of a datagram that reached nobody.
                return
            self.deliver(frame)

    def transmit(self, frame: bytes) -> None:
        assert self._socket is not None
        try:
            if self._target is None:
                self._socket.send(frame)
            else:
                self._socket.sendto(frame, self._target)
        except OSError:
            self.dropped += 1

    def hold_input(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().remove_reader(self._socket)

    def resume_input(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._read)

    async def close(self) -> None:
        sock, self._socket = self._socket, None
        if sock is not None:
            asyncio.get_running_loop().remove_reader(sock)
            sock.close()
        path, self._unlink = self._unlink, None
        if path is not None and os.path.exists(path):
            os.unlink(path)


async def _numeric(address: Address | None) -> Address | None:
    """The address with its host's name looked up, by IPv4. Raises OSError, UnicodeError."""
    if not isinstance(address, TcpAddress):
        return address
    found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port, family=socket.AF_INET)
    return TcpAddress(str(found[0][4][0]), address.port)


def _multicast(address: TcpAddress) -> str | None:
    try:
        group = ipaddress.IPv4Address(address.host)
    except ValueError:
        return None
    return str(group) if group.is_multicast else None


def _text(address: Address | None) -> str:
    return "none" if address is None else str(address).removeprefix("tcp:")


def _why(error: Exception) -> str:
    return (error.strerror if isinstance(error, OSError) else None) or str(error)


def create(id: str, options: Options, network: Network) -> DgramNetdev:
    """A datagram back end. Raises NetdevError for a bad option."""
    params = Params(id, options)
    local, remote = take_address(params, "local"), take_address(params, "remote")
    params.finish()
    if isinstance(remote, FdAddress):
        raise params.error("option 'remote.type' expects inet or unix; a descriptor is given as local")
    if local is None and (remote is None or not isinstance(remote, TcpAddress) or _multicast(remote) is None):
        raise params.error("option 'local.type' is missing; only a multicast group does without")
    if remote is None and not isinstance(local, FdAddress):
        raise params.error("option 'remote.type' is missing")
    if local is not None and remote is not None and isinstance(local, UnixAddress) != isinstance(remote, UnixAddress):
        raise params.error("options 'local.type' and 'remote.type' must be of one kind")
    return DgramNetdev(id, local, remote)
