"""The guest's own network: what libslirp answers, and how it is reached through the host's sockets."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import os
import socket
import struct
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.support.need import need
from tests.support.net_peer import MAC, FramePeer

from varan.net import slirp
from varan.net.base import NetdevError
from varan.net.network import Network
from varan.net.user import UserNetdev
from varan.net.user_options import GuestForward, HostForward, parse

GUEST = bytes([10, 0, 2, 15])


def library_there() -> bool:
    with contextlib.suppress(OSError):
        return bool(slirp.load())
    return False


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    need(library_there(), "libslirp is not installed (Debian package libslirp0)")
    network = Network()
    yield network
    await network.close()


def arp_request(address: str) -> bytes:
    body = struct.pack(">HHBBH", 1, 0x800, 6, 4, 1) + MAC + GUEST + bytes(6)
    return b"\xff" * 6 + MAC + b"\x08\x06" + body + ipaddress.IPv4Address(address).packed


def checksum(data: bytes) -> bytes:
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", ~total & 0xFFFF)


def udp_frame(destination: str, port: int, payload: bytes) -> bytes:
    to = ipaddress.IPv4Address(destination).packed
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 28 + len(payload), 1, 0, 64, 17, 0, GUEST, to)
    header = header[:10] + checksum(header) + header[12:]
    datagram = struct.pack(">HHHH", 4000, port, 8 + len(payload), 0) + payload
    return bytes.fromhex("525500000202") + MAC + b"\x08\x00" + header + datagram


async def test_the_gateway_answers_for_its_address(network: Network) -> None:
    peer = FramePeer(await network.add("user", "n", []))
    peer.send(arp_request("10.0.2.2"))
    (answer,) = await peer.until(1)
    assert answer[12:14] == b"\x08\x06"
    assert answer[28:32] == bytes([10, 0, 2, 2])


async def test_datagrams_reach_a_service_of_the_host_and_its_answer_the_guest(network: Network) -> None:
    peer = FramePeer(await network.add("user", "n", []))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind(("127.0.0.1", 0))
        service.setblocking(False)
        peer.send(arp_request("10.0.2.2"))
        await peer.until(1)
        peer.send(udp_frame("10.0.2.2", service.getsockname()[1], b"question"))
        loop = asyncio.get_running_loop()
        async with asyncio.timeout(10):
            data, sender = await loop.sock_recvfrom(service, 100)
            await loop.sock_sendto(service, data + b"!", sender)
        frames = await peer.until(2)
    assert frames[-1].endswith(b"question!")


async def test_restricted_guests_reach_nothing(network: Network) -> None:
    peer = FramePeer(await network.add("user", "n", [("restrict", "on")]))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as service:
        service.bind(("127.0.0.1", 0))
        service.settimeout(0.2)
        peer.send(udp_frame("10.0.2.2", service.getsockname()[1], b"question"))
        await asyncio.sleep(0.05)
        with pytest.raises(TimeoutError):
            service.recv(100)


async def test_a_forwarded_port_brings_a_connection_to_the_guest(network: Network) -> None:
    netdev = await network.add("user", "n", [("hostfwd", "tcp:127.0.0.1:0-10.0.2.15:22")])
    assert isinstance(netdev, UserNetdev)
    peer = FramePeer(netdev)
    port = int(netdev.connections().splitlines()[1].split()[3])
    _, writer = await asyncio.open_connection("127.0.0.1", port)
    frames = await peer.until(1)
    # The stack asks who has the guest's address before it sends it the connection.
    assert frames[0][12:14] == b"\x08\x06"
    assert frames[0][38:42] == GUEST
    writer.close()


async def test_forwards_come_and_go(network: Network) -> None:
    netdev = await network.add("user", "n", [])
    assert isinstance(netdev, UserNetdev)
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port = sock.getsockname()[1]
    netdev.add_forward(f"tcp:127.0.0.1:{port}-:80")
    with pytest.raises(NetdevError, match="is it in use"):
        netdev.add_forward(f"tcp:127.0.0.1:{port}-:81")
    assert netdev.remove_forward(False, "127.0.0.1", port)
    assert not netdev.remove_forward(False, "127.0.0.1", port)


async def test_a_closed_stack_leaves_no_descriptor(network: Network) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for number in range(5):
        await network.add("user", f"n{number}", [("hostfwd", "tcp:127.0.0.1:0-:22")])
    await asyncio.sleep(0.02)
    for number in range(5):
        await network.remove(f"n{number}")
    assert len(os.listdir("/proc/self/fd")) == before


async def test_files_are_served_by_tftp(network: Network, tmp_path: Path) -> None:
    (tmp_path / "boot").write_bytes(b"boot me")
    peer = FramePeer(await network.add("user", "n", [("tftp", str(tmp_path))]))
    peer.send(arp_request("10.0.2.2"))
    await peer.until(1)
    peer.send(udp_frame("10.0.2.2", 69, b"\0\1boot\0octet\0"))
    frames = await peer.until(2)
    assert frames[-1].endswith(b"boot me")


async def test_a_missing_library_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise OSError("libslirp.so.0: cannot open shared object file")

    monkeypatch.setattr(slirp, "load", missing)
    network = Network()
    with pytest.raises(NetdevError, match="install the package libslirp0"):
        await network.add("user", "n", [])
    assert not network.netdevs


def test_options_have_the_defaults_that_users_know() -> None:
    options = parse("n", [])
    found = (str(options.network), options.host, options.dns, options.dhcp_start)
    assert found == ("10.0.2.0/24", "10.0.2.2", "10.0.2.3", "10.0.2.15")


def test_a_network_of_ones_own_moves_the_addresses() -> None:
    options = parse("n", [("net", "192.168.76.9/24"), ("dns", "192.168.76.50")])
    assert (options.host, options.dns, options.dhcp_start) == ("192.168.76.2", "192.168.76.50", "192.168.76.15")


@pytest.mark.parametrize(
    ("text", "forward"),
    [
        ("tcp::8022-:22", HostForward(False, "0.0.0.0", 8022, "0.0.0.0", 22)),
        ("udp:127.0.0.1:53-10.0.2.9:5353", HostForward(True, "127.0.0.1", 53, "10.0.2.9", 5353)),
        (":80-:8080", HostForward(False, "0.0.0.0", 80, "0.0.0.0", 8080)),
        ("::80-:8080", HostForward(False, "0.0.0.0", 80, "0.0.0.0", 8080)),
    ],
)
def test_host_forwards_in_every_form(text: str, forward: HostForward) -> None:
    assert parse("n", [("hostfwd", text)]).host_forwards == (forward,)


def test_guest_forwards() -> None:
    options = parse("n", [("guestfwd", "tcp:10.0.2.100:80-cmd:cat -u"), ("guestfwd", ":10.0.2.101:81-unix:/a")])
    assert options.guest_forwards == (
        GuestForward("10.0.2.100", 80, "cmd", "cat -u"),
        GuestForward("10.0.2.101", 81, "unix", "/a"),
    )


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("net", "10.0.2.0/33"),
        ("net", "10.0.2.0/30"),
        ("net", "here"),
        ("host", "10.0.3.2"),
        ("dns", "10.0.2.2"),
        ("dns", "nowhere"),
        ("hostfwd", "tcp::22"),
        ("hostfwd", "sctp::22-:22"),
        ("hostfwd", "tcp::65536-:22"),
        ("hostfwd", "tcp::22-:0"),
        ("hostfwd", "tcp:host:22-:22"),
        ("guestfwd", "tcp:10.0.9.1:80-cmd:cat"),
        ("guestfwd", "tcp:10.0.2.9:80-udp:1"),
        ("hostname", "x" * 34),
        ("ipv6-prefix", "10.0.2.0"),
        ("ipv6-host", "2001:db8::1"),
        ("smb", "/srv"),
        ("restrict", "perhaps"),
        ("colour", "red"),
    ],
)
def test_bad_options_are_refused_by_name(key: str, value: str) -> None:
    with pytest.raises(NetdevError, match=rf"netdev 'n'.*{key}"):
        parse("n", [(key, value)])
