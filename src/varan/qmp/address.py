"""Where a monitor listens, or a client connects: `unix:PATH`, `tcp:HOST:PORT`, `stdio`, or just a path."""

from __future__ import annotations

import os
from dataclasses import dataclass

from varan.errors import VaranError

_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})


class AddressError(VaranError):
    """An address that cannot be understood or used."""


@dataclass(frozen=True, slots=True)
class UnixAddress:
    """A socket in the file system."""

    path: str

    def __str__(self) -> str:
        return f"unix:{self.path}"


@dataclass(frozen=True, slots=True)
class TcpAddress:
    """A TCP port; `host` without brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"tcp:[{self.host}]:{self.port}" if ":" in self.host else f"tcp:{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        """Whether only this host can reach it."""
        return self.host in _LOOPBACK or self.host.startswith("127.")


@dataclass(frozen=True, slots=True)
class StdioAddress:
    """The process's standard input and output."""

    def __str__(self) -> str:
        return "stdio"


Address = UnixAddress | TcpAddress | StdioAddress


def parse_address(text: str | os.PathLike[str]) -> Address:
    """The address that `text` names. Raises AddressError."""
    text = os.fspath(text)
    if text == "stdio":
        return StdioAddress()
    if text.startswith("tcp:"):
        return _parse_tcp(text)
    path = text.removeprefix("unix:")
    if not path:
        raise AddressError(f"{text!r}: an address is unix:PATH, tcp:HOST:PORT or a path")
    return UnixAddress(path)


def _parse_tcp(text: str) -> TcpAddress:
    host, colon, port = text.removeprefix("tcp:").rpartition(":")
    if not colon or not port.isascii() or not port.isdecimal() or int(port) > 0xFFFF:
        raise AddressError(f"{text!r}: a TCP address is tcp:HOST:PORT, with a port up to 65535")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    return TcpAddress(host or "localhost", int(port))
