"""The options of `user` back ends: the little network that the guest sees, and what is forwarded."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

from varan.net.params import Params
from varan.net.registry import Options

_FORWARD = re.compile(r"(?:(tcp|udp)?:)?([^:]*):(\d+)-([^:]*):(\d+)", re.ASCII)
_SERVICE = re.compile(r"(?:(tcp)?:)?([^:]*):(\d+)-(cmd|unix):(.+)", re.ASCII | re.DOTALL)
_DEFAULT_NET = "10.0.2.0/24"
_HOST, _DNS, _DHCP = 2, 3, 15
"""Places in the network of the gateway, the name server and the first guest."""
_PORTS = 65535
_NAME_LIMIT = 33
"""Bytes of a host name that its DHCP option can carry here."""


@dataclass(frozen=True, slots=True)
class HostForward:
    """Connections to a port of the host that go to the guest."""

    udp: bool
    host: str
    port: int
    guest: str
    guest_port: int


@dataclass(frozen=True, slots=True)
class GuestForward:
    """Connections of the guest's that go to a command (`cmd`) or a Unix socket (`unix`) of the host."""

    server: str
    port: int
    kind: str
    target: str


@dataclass(frozen=True, slots=True)
class UserOptions:
    """Everything about one `user` back end. Addresses are texts."""

    network: ipaddress.IPv4Network
    host: str
    dns: str
    dhcp_start: str
    ipv4: bool = True
    ipv6: bool = True
    prefix6: str = "fec0::"
    prefix6_length: int = 64
    host6: str = "fec0::2"
    dns6: str = "fec0::3"
    restrict: bool = False
    hostname: str | None = None
    domain: str | None = None
    search: tuple[str, ...] = ()
    tftp: str | None = None
    tftp_server: str | None = None
    bootfile: str | None = None
    host_forwards: tuple[HostForward, ...] = ()
    guest_forwards: tuple[GuestForward, ...] = ()


def parse(id: str, options: Options) -> UserOptions:
    """The options, checked. Raises NetdevError."""
    params = Params(id, options)
    for key in ("smb", "smbserver"):
        params.refuse(key, "is not supported: no file server is started; run one and lead to it with guestfwd")
    network = _network(params)
    host = _address(params, "host", network, _HOST)
    dns = _address(params, "dns", network, _DNS)
    start = _address(params, "dhcpstart", network, _DHCP)
    if host == dns:
        raise params.error(f"options 'host' and 'dns' must differ; both are {host}")
    ipv4, ipv6 = _families(params)
    prefix6, length6 = _prefix6(params)
    hostname = params.take("hostname")
    if hostname is not None and len(hostname.encode()) > _NAME_LIMIT:
        raise params.error(f"option 'hostname' has at most {_NAME_LIMIT} bytes")
    result = UserOptions(
        network=network,
        host=host,
        dns=dns,
        dhcp_start=start,
        ipv4=ipv4,
        ipv6=ipv6,
        prefix6=str(prefix6.network_address),
        prefix6_length=length6,
        host6=_address6(params, "ipv6-host", prefix6, _HOST),
        dns6=_address6(params, "ipv6-dns", prefix6, _DNS),
        restrict=bool(params.take_bool("restrict")),
        hostname=hostname,
        domain=params.take("domainname"),
        search=tuple(params.take_all("dnssearch")),
        tftp=params.take_path("tftp"),
        tftp_server=params.take("tftp-server-name"),
        bootfile=params.take("bootfile"),
        host_forwards=tuple(parse_host_forward(params, text) for text in params.take_all("hostfwd")),
        guest_forwards=tuple(_guest_forward(params, text, network) for text in params.take_all("guestfwd")),
    )
    params.finish()
    return result


def _network(params: Params) -> ipaddress.IPv4Network:
    text = params.take("net") or params.take("ip") or _DEFAULT_NET
    if "/" not in text:
        # An address alone means the class it was in before there were prefixes.
        first = text.partition(".")[0]
        text += (
            "/8" if first.isdigit() and int(first) < 128 else "/16" if first.isdigit() and int(first) < 192 else "/24"
        )
    try:
        network = ipaddress.IPv4Network(text, strict=False)
    except ValueError:
        raise params.error(f"option 'net' expects a network like {_DEFAULT_NET}, not '{text}'") from None
    if network.prefixlen > 28:
        raise params.error(f"option 'net': {network} is too small for a gateway, a name server and guests")
    return network


def _address(params: Params, key: str, network: ipaddress.IPv4Network, place: int) -> str:
    text = params.take(key)
    if text is None:
        if place >= network.num_addresses - 1:
            place = network.num_addresses - 2
        return str(network[place])
    try:
        address = ipaddress.IPv4Address(text)
    except ValueError:
        raise params.error(f"option '{key}' expects an IPv4 address, not '{text}'") from None
    if address not in network:
        raise params.error(f"option '{key}': {address} is not in the network {network}")
    return str(address)


def _families(params: Params) -> tuple[bool, bool]:
    ipv4, ipv6 = params.take_bool("ipv4"), params.take_bool("ipv6")
    wants4 = ipv4 if ipv4 is not None else ipv6 is not True
    wants6 = ipv6 if ipv6 is not None else ipv4 is not True
    if not (wants4 or wants6):
        raise params.error("options 'ipv4' and 'ipv6' exclude both; allow one of them")
    return wants4, wants6


def _prefix6(params: Params) -> tuple[ipaddress.IPv6Network, int]:
    text = params.take("ipv6-prefix") or "fec0::"
    length = params.take_int("ipv6-prefixlen", 1, 126) or 64
    try:
        return ipaddress.IPv6Network(f"{text}/{length}", strict=False), length
    except ValueError:
        raise params.error(f"option 'ipv6-prefix' expects an IPv6 prefix such as fec0::, not '{text}'") from None


def _address6(params: Params, key: str, prefix: ipaddress.IPv6Network, place: int) -> str:
    text = params.take(key)
    if text is None:
        return str(prefix.network_address + place)
    try:
        address = ipaddress.IPv6Address(text)
    except ValueError:
        raise params.error(f"option '{key}' expects an IPv6 address, not '{text}'") from None
    if address not in prefix:
        raise params.error(f"option '{key}': {address} is not in {prefix}")
    return str(address)


def parse_host_forward(params: Params, text: str) -> HostForward:
    """`[tcp|udp]:[HOSTADDR]:HOSTPORT-[GUESTADDR]:GUESTPORT`. Raises NetdevError."""
    match = _FORWARD.fullmatch(text)
    if match is None or not 0 < int(match[5]) <= _PORTS or int(match[3]) > _PORTS:
        raise params.error(f"option 'hostfwd' expects [tcp|udp]:[HOST]:PORT-[GUEST]:PORT, not '{text}'")
    for address in (match[2], match[4]):
        _check_numeric(params, "hostfwd", address)
    return HostForward(match[1] == "udp", match[2] or "0.0.0.0", int(match[3]), match[4] or "0.0.0.0", int(match[5]))


def _guest_forward(params: Params, text: str, network: ipaddress.IPv4Network) -> GuestForward:
    match = _SERVICE.fullmatch(text)
    if match is None or not 0 < int(match[3]) <= _PORTS:
        raise params.error(f"option 'guestfwd' expects [tcp]:SERVER:PORT-cmd:COMMAND or -unix:PATH, not '{text}'")
    _check_numeric(params, "guestfwd", match[2])
    if match[2] and ipaddress.IPv4Address(match[2]) not in network:
        raise params.error(f"option 'guestfwd': {match[2]} is not in the network {network}")
    return GuestForward(match[2] or str(network[_HOST + 2]), int(match[3]), match[4], match[5])


def _check_numeric(params: Params, key: str, address: str) -> None:
    try:
        ipaddress.IPv4Address(address or "0.0.0.0")
    except ValueError:
        raise params.error(f"option '{key}' expects an IPv4 address, not '{address}'") from None
