from __future__ import annotations

import struct
from pathlib import Path

import pytest
from tests.support.net_peer import FramePeer, frame

from varan.net.base import NetdevError
from varan.net.network import Network
from varan.net.pcap import PcapDump


async def test_a_capture_holds_frames_of_both_directions_with_their_times(tmp_path: Path) -> None:
    network = Network()
    first, second = [FramePeer(await network.add("hubport", id, [("hubid", "0")]), id) for id in "ab"]
    times = iter([1_500_000_000, 2_000_001_000])
    assert first.netdev is not None
    dump = PcapDump(first.netdev, str(tmp_path / "c.pcap"), 40, lambda: next(times))
    first.send(frame(1))
    second.send(frame(2, 30))
    dump.close()
    first.send(frame(3))
    data = (tmp_path / "c.pcap").read_bytes()
    assert data[:24] == struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 40, 1)
    first_record = struct.pack("<IIII", 1, 500_000, 40, 60) + frame(1)[:40]
    assert data[24:] == first_record + struct.pack("<IIII", 2, 1, 30, 30) + frame(2, 30)
    await network.close()


async def test_a_file_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    network = Network()
    netdev = await network.add("hubport", "a", [("hubid", "0")])
    with pytest.raises(NetdevError, match=r"nowhere/c\.pcap"):
        PcapDump(netdev, str(tmp_path / "nowhere" / "c.pcap"))
    await network.close()
