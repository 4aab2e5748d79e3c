"""What every kind of network back end does, on pairs of them that share a wire."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
from tests.support.net_peer import FramePeer, exchanged, frame

from varan.net import registry
from varan.net.base import MAX_FRAME, QUEUE_LIMIT, Netdev, NetdevError
from varan.net.network import Network

Pair = tuple[Netdev, Netdev]
Options = list[tuple[str, str]]


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def inet(key: str, port: int) -> Options:
    return [(f"{key}.type", "inet"), (f"{key}.host", "127.0.0.1"), (f"{key}.port", str(port))]


def unix(key: str, path: Path) -> Options:
    return [(f"{key}.type", "unix"), (f"{key}.path", str(path))]


async def stream_unix(network: Network, directory: Path) -> Pair:
    where = unix("addr", directory / "wire")
    server = await network.add("stream", "a", [("server", "on"), *where])
    return server, await network.add("stream", "b", where)


async def stream_inet_reconnecting(network: Network, directory: Path) -> Pair:
    where = inet("addr", free_port())
    client = await network.add("stream", "a", [("reconnect", "1"), *where])
    server = await network.add("stream", "b", [("server", "on"), *where])
    return client, server


async def socket_stream(network: Network, directory: Path) -> Pair:
    port = free_port()
    server = await network.add("socket", "a", [("listen", f"127.0.0.1:{port}")])
    return server, await network.add("socket", "b", [("connect", f"127.0.0.1:{port}")])


async def dgram_inet(network: Network, directory: Path) -> Pair:
    here, there = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    first = await network.add("dgram", "a", inet("local", here) + inet("remote", there))
    return first, await network.add("dgram", "b", inet("local", there) + inet("remote", here))


async def dgram_unix(network: Network, directory: Path) -> Pair:
    here, there = directory / "here", directory / "there"
    first = await network.add("dgram", "a", unix("local", here) + unix("remote", there))
    return first, await network.add("dgram", "b", unix("local", there) + unix("remote", here))


async def socket_udp(network: Network, directory: Path) -> Pair:
    here, there = free_port(socket.SOCK_DGRAM), free_port(socket.SOCK_DGRAM)
    first = await network.add("socket", "a", [("udp", f"127.0.0.1:{there}"), ("localaddr", f"127.0.0.1:{here}")])
    second = await network.add("socket", "b", [("udp", f"127.0.0.1:{here}"), ("localaddr", f"127.0.0.1:{there}")])
    return first, second


async def hub(network: Network, directory: Path) -> Pair:
    first = await network.add("hubport", "a", [("hubid", "3")])
    return first, await network.add("hubport", "b", [("hubid", "3")])


async def through_hub(network: Network, directory: Path) -> Pair:
    inner, outer = await stream_unix(network, directory)
    await network.add("hubport", "behind", [("hubid", "0"), ("netdev", "a")])
    del inner
    return await network.add("hubport", "front", [("hubid", "0")]), outer


WIRES = [
    stream_unix,
    stream_inet_reconnecting,
    socket_stream,
    dgram_inet,
    dgram_unix,
    socket_udp,
    hub,
    through_hub,
]
COVERED = {"stream", "socket", "dgram", "hubport"}
ELSEWHERE = {"user", "tap"}
"""These have no second one to be wired to: tests/unit/net."""


@pytest.fixture(params=WIRES, ids=lambda wire: wire.__name__)
async def peers(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[FramePeer, FramePeer]]:
    network = Network()
    make: Callable[[Network, Path], Awaitable[Pair]] = request.param
    first, second = await make(network, tmp_path)
    a, b = FramePeer(first, "a"), FramePeer(second, "b")
    await exchanged(a, b)
    yield a, b
    await network.close()


def test_every_kind_is_covered() -> None:
    assert set(registry.kinds()) == COVERED | ELSEWHERE


async def test_frames_of_every_size_arrive_whole_and_in_order(peers: tuple[FramePeer, FramePeer]) -> None:
    first, second = peers
    sent = [frame(number, length) for number, length in enumerate((60, 61, 1514, 9000, 60000))]
    for one in sent:
        first.send(one)
    assert await second.until(len(sent)) == sent
    second.send(frame(7))
    assert await first.until(1) == [frame(7)]


async def test_a_guest_without_room_gets_the_frames_later(peers: tuple[FramePeer, FramePeer]) -> None:
    first, second = peers
    second.room = False
    sent = [frame(number) for number in range(8)]
    for one in sent:
        first.send(one)
    await asyncio.sleep(0.05)
    assert second.frames == []
    second.room = True
    second.netdev.ready()  # type: ignore[union-attr]
    assert await second.until(8) == sent


async def test_a_guest_that_never_has_room_costs_bounded_memory(peers: tuple[FramePeer, FramePeer]) -> None:
    first, second = peers
    second.room = False
    for number in range(4 * QUEUE_LIMIT):
        first.send(frame(number))
        if number % 64 == 0:
            await asyncio.sleep(0)
    await asyncio.sleep(0.05)
    assert second.netdev is not None
    assert len(second.netdev._waiting) <= QUEUE_LIMIT


@pytest.mark.parametrize("end", [0, 1])
async def test_nothing_passes_a_cable_that_is_out(peers: tuple[FramePeer, FramePeer], end: int) -> None:
    first, second = peers
    cut = peers[end]
    assert cut.netdev is not None
    cut.netdev.set_link(False)
    first.send(frame(1))
    await asyncio.sleep(0.05)
    assert second.frames == []
    assert cut.link_changes == [False]
    cut.netdev.set_link(True)
    first.send(frame(2))
    assert await second.until(1) == [frame(2)]
    assert cut.link_changes == [False, True]


async def test_a_frame_longer_than_any_is_not_delivered(peers: tuple[FramePeer, FramePeer]) -> None:
    first, _ = peers
    assert first.netdev is not None
    first.netdev.deliver(bytes(MAX_FRAME + 1))
    assert first.frames == []


async def test_one_adapter_at_a_time(peers: tuple[FramePeer, FramePeer]) -> None:
    first, _ = peers
    assert first.netdev is not None
    with pytest.raises(NetdevError, match="in use already"):
        FramePeer(first.netdev)


async def test_an_adapter_that_went_gets_nothing_and_another_may_come(peers: tuple[FramePeer, FramePeer]) -> None:
    first, second = peers
    netdev = second.netdev
    assert netdev is not None
    second.disconnect()
    first.send(frame(1))
    await asyncio.sleep(0.05)
    assert second.frames == []
    third = FramePeer(netdev)
    await exchanged(first, third)


async def test_observers_see_both_directions(peers: tuple[FramePeer, FramePeer]) -> None:
    first, second = peers
    assert first.netdev is not None
    seen: list[tuple[bytes, bool]] = []
    first.netdev.observers.append(lambda data, from_guest: seen.append((data, from_guest)))
    first.send(frame(1))
    await second.until(1)
    second.send(frame(2))
    await first.until(1)
    assert seen == [(frame(1), True), (frame(2), False)]


async def test_a_closed_back_end_can_be_closed_again_and_its_place_used(
    peers: tuple[FramePeer, FramePeer],
) -> None:
    first, _ = peers
    assert first.netdev is not None
    await first.netdev.close()
    await first.netdev.close()
