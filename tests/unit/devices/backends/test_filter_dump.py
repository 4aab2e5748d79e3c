"""Captures as user-made objects."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.support.bus import Bus
from tests.support.net_peer import FramePeer, frame

from varan.devices.backends.filter_dump import FilterDump
from varan.devices.environment import Environment
from varan.errors import InvalidParameterValue
from varan.net.network import Network


def environment(network: Network) -> Environment:
    return Bus().environment(ends=SimpleNamespace(find_netdev=network.find))


async def test_a_capture_runs_from_its_making_to_its_end(tmp_path: Path) -> None:
    network, path = Network(), tmp_path / "c.pcap"
    peer = FramePeer(await network.add("hubport", "n", [("hubid", "0")]))
    dump = FilterDump({"netdev": "n", "file": str(path), "maxlen": 30})
    await dump.complete(environment(network))
    peer.send(frame(1))
    await dump.dispose()
    peer.send(frame(2))
    assert path.stat().st_size == 24 + 16 + 30
    await network.close()


async def test_a_capture_wants_a_back_end() -> None:
    dump = FilterDump({"netdev": "n", "file": "/dev/null"})
    with pytest.raises(InvalidParameterValue, match="Parameter 'netdev' expects a network backend id"):
        await dump.complete(environment(Network()))
    await dump.dispose()
