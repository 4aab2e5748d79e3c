"""Varan's network back ends on one wire with QEMU's: a QEMU in the middle passes frames between two of ours."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from tests.contract.test_netdev import free_port
from tests.support.need import need_tool
from tests.support.net_peer import FramePeer, exchanged, frame

from varan.net.network import Network

pytestmark = pytest.mark.interop


@pytest.fixture
async def network() -> AsyncIterator[Network]:
    network = Network()
    yield network
    await network.close()


class Bridge:
    """A QEMU without a guest, whose two back ends are on one hub."""

    def __init__(self, *netdevs: str) -> None:
        words = [need_tool("qemu-system-x86_64", "qemu-system-x86"), "-machine", "none", "-display", "none"]
        words += ["-nodefaults", "-monitor", "stdio"]
        for number, netdev in enumerate(netdevs):
            words += ["-netdev", netdev, "-netdev", f"hubport,id=h{number},hubid=0,netdev=q{number}"]
        self.process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        assert "QEMU" in self.process.stdout.readline()


@pytest.fixture
def bridges() -> Iterator[list[Bridge]]:
    started: list[Bridge] = []
    yield started
    for bridge in started:
        bridge.process.kill()
        bridge.process.communicate()


async def test_streams_of_both_kinds_pass_frames_through_qemu(
    network: Network, bridges: list[Bridge], tmp_path: Path
) -> None:
    port, path = free_port(), tmp_path / "wire"
    ours = await network.add("socket", "a", [("listen", f"127.0.0.1:{port}")])
    bridges.append(
        Bridge(
            f"socket,id=q0,connect=127.0.0.1:{port}",
            f"stream,id=q1,server=on,addr.type=unix,addr.path={path}",
        )
    )
    where = [("addr.type", "unix"), ("addr.path", str(path)), ("reconnect", "1")]
    first, second = FramePeer(ours, "a"), FramePeer(await network.add("stream", "b", where), "b")
    await exchanged(first, second)
    for length in (60, 1514, 9000):
        first.send(frame(length, length))
    assert await second.until(3) == [frame(length, length) for length in (60, 1514, 9000)]


async def test_datagrams_pass_frames_through_qemu(network: Network, bridges: list[Bridge]) -> None:
    a, b, c, d = (free_port(socket.SOCK_DGRAM) for _ in range(4))
    here = "127.0.0.1"
    bridges.append(
        Bridge(
            f"socket,id=q0,udp={here}:{a},localaddr={here}:{b}",
            f"dgram,id=q1,local.type=inet,local.host={here},local.port={c},"
            f"remote.type=inet,remote.host={here},remote.port={d}",
        )
    )
    inet = [("local.type", "inet"), ("local.host", here), ("remote.type", "inet"), ("remote.host", here)]
    first = FramePeer(await network.add("dgram", "a", [*inet, ("local.port", str(a)), ("remote.port", str(b))]), "a")
    second = FramePeer(await network.add("socket", "b", [("udp", f"{here}:{c}"), ("localaddr", f"{here}:{d}")]), "b")
    await exchanged(first, second)
    first.send(frame(5, 1514))
    assert await second.until(1) == [frame(5, 1514)]
