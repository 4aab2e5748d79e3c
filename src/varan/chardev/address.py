"""Where a socket is: Unix path, TCP host and port, or a descriptor that was inherited."""

from __future__ import annotations

import socket
from dataclasses import dataclass

UNIX_PATH_LIMIT = 107
"""Bytes of a Unix socket's path: `sun_path` less its final NUL (unix(7))."""
_SUN_PATH_SIZE = 108


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A Unix socket. `abstract`: in Linux's abstract namespace; `tight`: its name ends where the text does."""

    path: str
    abstract: bool = False
    tight: bool = True

    @property
    def host_form(self) -> str | bytes:
        """The address as the socket module takes it."""
        if not self.abstract:
            return self.path
        name = b"\0" + self.path.encode(errors="surrogateescape")
        return name if self.tight else name.ljust(_SUN_PATH_SIZE, b"\0")

    def __str__(self) -> str:
        flags = f",abstract=on,tight={'on' if self.tight else 'off'}" if self.abstract else ""
        return f"unix:{self.path}{flags}"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A TCP host and port. A server tries the ports up to `last_port`. `ipv4`, `ipv6`: whether allowed, None: yes."""

    host: str
    port: int
    last_port: int | None = None
    ipv4: bool | None = None
    ipv6: bool | None = None

    @property
    def families(self) -> tuple[socket.AddressFamily, ...]:
        """The address families that may be used; asking for one of them alone excludes the other."""
        wants_ipv4 = self.ipv4 if self.ipv4 is not None else self.ipv6 is not True
        wants_ipv6 = self.ipv6 if self.ipv6 is not None else self.ipv4 is not True
        return (socket.AF_INET,) * wants_ipv4 + (socket.AF_INET6,) * wants_ipv6

    def __str__(self) -> str:
        return f"tcp:{host_port(self.host, self.port)}"


@dataclass(frozen=True, slots=True)
class FdAddress:
    """A socket that the program was started with."""

    fd: int

    def __str__(self) -> str:
        return f"fd:{self.fd}"


Address = UnixAddress | TcpAddress | FdAddress


def host_port(host: str, port: int) -> str:
    """`127.0.0.1:80` or `[::1]:80`."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def local_address(sock: socket.socket) -> UnixAddress | TcpAddress | None:
    """Where a bound socket is; None when it has no name."""
    return _from_host_form(sock.family, sock.getsockname())


def peer_text(sock: socket.socket) -> str:
    """Who is at the other end of a TCP connection (`127.0.0.1:53124`), empty for other sockets."""
    try:
        peer = _from_host_form(sock.family, sock.getpeername())
    except OSError:
        return ""
    return host_port(peer.host, peer.port) if isinstance(peer, TcpAddress) else ""


def _from_host_form(family: int, name: object) -> UnixAddress | TcpAddress | None:
    if family == socket.AF_UNIX and isinstance(name, str | bytes) and name:
        if isinstance(name, str):
            return UnixAddress(name)
        return UnixAddress(name[1:].rstrip(b"\0").decode(errors="surrogateescape"), abstract=True)
    if family in (socket.AF_INET, socket.AF_INET6) and isinstance(name, tuple):
        return TcpAddress(str(name[0]), int(name[1]))
    return None
