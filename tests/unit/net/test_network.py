from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.support.net_peer import FramePeer, frame

from varan.errors import DeviceNotFound, GenericError, InvalidParameterValue
from varan.net.adapter import announcement, nth_default_mac, parse_mac
from varan.net.announce import Schedule
from varan.net.base import NetdevError
from varan.net.network import Network


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    network = Network()
    yield network
    await network.close()


async def port(network: Network, id: str, hub: int = 0) -> FramePeer:
    peer = FramePeer(await network.add("hubport", id, [("hubid", str(hub))]), f"nic-{id}")
    network.add_adapter(peer)
    return peer


async def test_a_hub_sends_a_frame_to_all_but_its_sender(network: Network) -> None:
    peers = [await port(network, id) for id in "abc"]
    other = await port(network, "d", hub=1)
    peers[0].send(frame(1))
    assert [peer.frames for peer in peers] == [[], [frame(1)], [frame(1)]]
    assert other.frames == []


async def test_ids_are_taken_once(network: Network) -> None:
    await port(network, "a")
    with pytest.raises(GenericError, match="Duplicate ID 'a'"):
        await network.add("hubport", "a", [("hubid", "0")])


@pytest.mark.parametrize(
    ("kind", "options", "text"),
    [
        ("pigeon", [], "there is no kind 'pigeon'"),
        ("hubport", [], "hubid"),
        ("hubport", [("hubid", "0"), ("netdev", "none")], "'none' not found"),
        ("socket", [], "exactly one"),
        ("socket", [("listen", ":1"), ("connect", ":2")], "exactly one"),
        ("socket", [("udp", "127.0.0.1:5")], "localaddr"),
        ("socket", [("connect", "nowhere")], "HOST:PORT"),
        ("stream", [], r"addr\.type"),
        ("stream", [("addr.type", "inet"), ("addr.host", "127.0.0.1")], r"addr\.port"),
        ("stream", [("addr.type", "pigeon")], "inet, unix or fd"),
        ("stream", [("addr.type", "unix"), ("addr.path", "/nowhere/x")], "/nowhere/x"),
        ("dgram", [], r"local\.type"),
        ("tap", [("ifname", "a-name-that-is-too-long")], "ifname"),
        ("tap", [("vhost", "on")], "vhost"),
        ("tap", [("fd", "987654")], "descriptor 987654"),
    ],
)
async def test_bad_back_ends_are_refused_and_leave_nothing(
    network: Network, kind: str, options: list[tuple[str, str]], text: str
) -> None:
    with pytest.raises((NetdevError, DeviceNotFound), match=text):
        await network.add(kind, "n", options)
    assert not network.netdevs


async def test_set_link_takes_adapters_and_back_ends_by_name(network: Network) -> None:
    first, second = await port(network, "a"), await port(network, "b")
    network.set_link("nic-a", False)
    network.set_link("b", False)
    assert (first.link_up, second.link_up) == (False, False)
    network.set_link("nic-a", True)
    assert (first.link_changes, second.link_changes) == ([False, True], [False])
    network.set_link("nic-b", True)
    assert second.link_up
    second.send(frame(1))
    assert first.frames == []
    network.set_link("b", True)
    network.set_link("nic-a", False)
    network.set_link("a", True)
    assert first.link_up
    with pytest.raises(DeviceNotFound):
        network.set_link("c", True)


async def test_a_removed_back_end_leaves_its_adapter_without_carrier(network: Network) -> None:
    peer = await port(network, "a")
    await network.remove("a")
    assert not peer.link_up
    peer.send(frame(1))
    with pytest.raises(DeviceNotFound):
        await network.remove("a")


async def test_default_addresses_are_the_first_free_ones(network: Network) -> None:
    peer = await port(network, "a")
    peer.mac = nth_default_mac(0)
    assert network.free_mac() == bytes.fromhex("525400123457")


async def test_announcements_name_the_adapter_and_come_in_rounds(network: Network) -> None:
    speaker, listener = await port(network, "a"), await port(network, "b")
    network.announcer.begin("", Schedule(1, 2, 3, 1), lambda: [speaker])
    assert await listener.until(3) == [announcement(speaker.mac)] * 3
    assert announcement(speaker.mac)[12:22] == bytes.fromhex("80350001080006040003")


def test_pauses_grow_up_to_the_longest() -> None:
    assert list(Schedule(50, 120, 5, 50).pauses()) == [0, 0.05, 0.1, 0.12, 0.12]


@pytest.mark.parametrize("text", ["", "52:54:00:12:34", "52:54:00:12:34:5g", "01:00:5e:00:00:01", "525400123456"])
def test_bad_addresses_are_refused(text: str) -> None:
    with pytest.raises(InvalidParameterValue, match="'mac'"):
        parse_mac(text)
