"""`socket`: the older spelling of stream and datagram back ends (`listen=`, `connect=`, `mcast=`, `udp=`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from varan.chardev.address import FdAddress, TcpAddress
from varan.net.base import Netdev
from varan.net.dgram import DgramNetdev
from varan.net.params import Params
from varan.net.stream import StreamNetdev

if TYPE_CHECKING:
    from varan.net.network import Network
    from varan.net.registry import Options

WAYS = ("fd", "listen", "connect", "mcast", "udp")


class SocketStream(StreamNetdev):
    """`listen=` or `connect=`."""

    kind = "socket"


class SocketDgram(DgramNetdev):
    """`mcast=` or `udp=`."""

    kind = "socket"


def create(id: str, options: Options, network: Network) -> Netdev:
    """A socket back end. Raises NetdevError unless exactly one way is given."""
    params = Params(id, options)
    given = [way for way in WAYS if way in params]
    if len(given) != 1:
        raise params.error(f"exactly one of {', '.join(WAYS)} is expected")
    (way,) = given
    text = params.take(way) or ""
    local_text = params.take("localaddr")
    params.finish()
    if local_text is not None and way not in ("mcast", "udp"):
        raise params.error("option 'localaddr' goes with mcast and udp only")
    if way == "udp" and local_text is None:
        raise params.error("option 'localaddr' is missing; udp needs localaddr=HOST:PORT")
    if way == "fd":
        if not text.isdigit():
            raise params.error(f"option 'fd' expects a number, not '{text}'")
        return SocketStream(id, FdAddress(int(text)), server=False)
    address = _host_port(params, way, text)
    if way in ("listen", "connect"):
        return SocketStream(id, address, server=way == "listen")
    local = None
    if local_text is not None:
        local = _host_port(params, "localaddr", local_text if way == "udp" else f"{local_text}:0")
    return SocketDgram(id, local, address)


def _host_port(params: Params, key: str, text: str) -> TcpAddress:
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdigit() or int(port) > 65535:
        raise params.error(f"option '{key}' expects HOST:PORT, not '{text}'")
    return TcpAddress(host.strip("[]") or ("0.0.0.0" if key == "listen" else "127.0.0.1"), int(port))
