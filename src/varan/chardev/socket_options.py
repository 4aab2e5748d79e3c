"""The options of a socket chardev, checked and typed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from varan.chardev.address import UNIX_PATH_LIMIT, Address, FdAddress, TcpAddress, UnixAddress
from varan.chardev.log import NO_LOG, LogOptions
from varan.chardev.params import Params

LONGEST_RECONNECT = 24 * 3600


@dataclass(frozen=True, slots=True)
class SocketConfig:
    """What a socket chardev is to do. `reconnect` is in seconds, None for never."""

    address: Address
    server: bool = False
    wait: bool = True
    telnet: bool = False
    nodelay: bool = True
    reconnect: float | None = None
    log: LogOptions = NO_LOG


def parse(id: str, options: Mapping[str, str]) -> SocketConfig:
    """The configuration that `options` describe. Raises ChardevError."""
    params = Params(id, options)
    for key in ("tls-creds", "tls-authz"):
        params.refuse(key, "is not supported: there is no TLS for chardevs yet; use a Unix socket or an SSH tunnel")
    if params.take_bool("websocket"):
        raise params.error("option 'websocket' is not supported; use telnet=on or a plain socket")
    log = LogOptions.take(params)
    address = _take_address(params)
    server = bool(params.take_bool("server"))
    wait = params.take_bool("wait")
    if wait is not None and not server:
        raise params.error("option 'wait' is for servers; add server=on")
    reconnect = params.take_int("reconnect", 0, LONGEST_RECONNECT)
    if reconnect and (server or isinstance(address, FdAddress)):
        raise params.error("option 'reconnect' is for clients that know where to connect to, not for server=on or fd=")
    telnet = bool(params.take_bool("telnet"))
    nodelay = _take_nodelay(params)
    if isinstance(address, TcpAddress) and address.last_port is not None and not server:
        raise params.error("option 'to' is for servers; add server=on")
    params.finish()
    return SocketConfig(address, server, wait is not False, telnet, nodelay, reconnect or None, log)


def _take_nodelay(params: Params) -> bool:
    nodelay = params.take_bool("nodelay")
    delay = params.take_bool("delay")
    if nodelay is not None and delay is not None:
        raise params.error("options 'nodelay' and 'delay' say the same; give one of them")
    return nodelay if nodelay is not None else not delay


def _take_address(params: Params) -> Address:
    given = [key for key in ("path", "fd") if key in params]
    if "host" in params or "port" in params:
        given.append("port")
    if len(given) != 1:
        raise params.error("a socket needs exactly one of path=FILE, [host=HOST,]port=PORT and fd=NUMBER")
    if given == ["path"]:
        return _take_unix(params)
    if given == ["fd"]:
        fd = params.take_int("fd", 0, (1 << 31) - 1)
        assert fd is not None
        return FdAddress(fd)
    return _take_tcp(params)


def _take_unix(params: Params) -> UnixAddress:
    path = params.take_required_path("path")
    abstract = bool(params.take_bool("abstract"))
    tight = params.take_bool("tight")
    if tight is not None and not abstract:
        raise params.error("option 'tight' is for abstract sockets; add abstract=on")
    length = len(path.encode(errors="surrogateescape"))
    if length > UNIX_PATH_LIMIT:
        raise params.error(
            f"option 'path': a Unix socket's path has at most {UNIX_PATH_LIMIT} bytes, and '{path}' has {length}; "
            "use a shorter or a relative one"
        )
    return UnixAddress(path, abstract, tight is not False)


def _take_tcp(params: Params) -> TcpAddress:
    host = params.take("host") or "localhost"
    port = params.take_int("port", 0, 65535)
    if port is None:
        raise params.error("option 'port' is missing; give port=NUMBER")
    last = params.take_int("to", 0, 65535)
    if last is not None and last < port:
        raise params.error(f"option 'to' expects a port from {port} on, not {last}")
    ipv4, ipv6 = params.take_bool("ipv4"), params.take_bool("ipv6")
    address = TcpAddress(host, port, last, ipv4, ipv6)
    if not address.families:
        raise params.error("options 'ipv4' and 'ipv6' exclude both; allow one of them")
    return address
