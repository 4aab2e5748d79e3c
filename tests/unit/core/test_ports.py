from __future__ import annotations

import pytest
from tests.support.block_port import PORT, BlockPort

from varan.core.dataport import CLOSED, READS
from varan.core.ports import PortSpace


class Recorder:
    """A device that answers with its offsets and remembers what it was asked."""

    def __init__(self) -> None:
        self.writes: list[tuple[int, int, int]] = []

    def read(self, offset: int, size: int) -> int:
        return int.from_bytes(bytes(0xA0 + offset + at for at in range(size)), "little")

    def write(self, offset: int, size: int, value: int) -> None:
        self.writes.append((offset, size, value))


@pytest.fixture
def device() -> Recorder:
    return Recorder()


@pytest.fixture
def ports(device: Recorder) -> PortSpace:
    ports = PortSpace()
    ports.map(0x100, 4, device.read, device.write, name="narrow")
    ports.map(0x200, 8, device.read, device.write, width=4, name="wide")
    return ports


def test_unassigned_ports_read_all_ones_and_swallow_writes(ports: PortSpace) -> None:
    assert [ports.read(0x300, size) for size in (1, 2, 4)] == [0xFF, 0xFFFF, 0xFFFFFFFF]
    for size in (1, 2, 4):
        ports.write(0x300, size, 0)


def test_access_reaches_the_device_with_its_offset(ports: PortSpace, device: Recorder) -> None:
    assert ports.read(0x102, 1) == 0xA2
    ports.write(0x203, 1, 7)
    assert device.writes == [(3, 1, 7)]


def test_wide_access_is_split_for_a_narrow_device_low_address_first(ports: PortSpace, device: Recorder) -> None:
    assert ports.read(0x100, 4) == 0xA3A2A1A0
    ports.write(0x100, 4, 0x44332211)
    assert device.writes == [(0, 1, 0x11), (1, 1, 0x22), (2, 1, 0x33), (3, 1, 0x44)]


def test_wide_access_reaches_a_wide_device_whole(ports: PortSpace, device: Recorder) -> None:
    ports.write(0x204, 4, 0x44332211)
    assert device.writes == [(4, 4, 0x44332211)]


def test_access_across_the_end_of_a_device_reads_ones_beyond(ports: PortSpace) -> None:
    assert ports.read(0x103, 2) == 0xFFA3
    assert ports.read(0xFF, 2) == 0xA0FF


def test_access_wraps_at_the_end_of_the_space(device: Recorder) -> None:
    ports = PortSpace()
    ports.map(0xFFFF, 1, device.read, device.write, name="last")
    ports.map(0x0000, 1, device.read, device.write, name="first")
    assert ports.read(0xFFFF, 2) == 0xA0A0


def test_taken_and_impossible_ports_are_refused_and_map_nothing(ports: PortSpace, device: Recorder) -> None:
    with pytest.raises(ValueError, match="port 0x100 is taken"):
        ports.map(0xFE, 4, device.read, device.write, name="overlap")
    assert ports.read(0xFE, 1) == 0xFF
    with pytest.raises(ValueError, match="outside"):
        ports.map(0xFFFF, 2, device.read, device.write, name="beyond")


def test_unmapped_range_is_free_again(ports: PortSpace, device: Recorder) -> None:
    ports.unmap(0x100)
    assert ports.read(0x100, 1) == 0xFF
    assert [mapped.name for mapped in ports] == ["wide"]
    with pytest.raises(KeyError):
        ports.unmap(0x100)


def test_ranges_are_listed_lowest_first(ports: PortSpace, device: Recorder) -> None:
    ports.map(0x10, 1, device.read, device.write, name="low")
    assert [(mapped.base, mapped.length, mapped.width) for mapped in ports] == [
        (0x10, 1, 1),
        (0x100, 4, 1),
        (0x200, 8, 4),
    ]


def test_a_string_is_read_word_by_word(ports: PortSpace) -> None:
    assert ports.read_string(0x200, 2, 3) == b"\xa0\xa1" * 3
    assert ports.read_string(0x300, 4, 2) == b"\xff" * 8
    assert ports.read_string(0x200, 1, 0) == b""


def test_a_string_from_a_data_port_is_what_the_device_lends() -> None:
    ports, data = PortSpace(), bytes(range(100))
    device = BlockPort(ports, 20, data)
    assert ports.read_string(PORT, 2, 25) == data[:50]
    assert device.accesses == 3
    assert ports.read(PORT, 4) == int.from_bytes(data[50:54], "little")
    assert ports.read_string(PORT, 1, 46) == data[54:]


def test_a_loan_ends_when_the_device_recalls_it() -> None:
    ports = PortSpace()
    device = BlockPort(ports, 20, bytes(range(20)))
    device.data.open()
    window = ports.windows[0]
    assert (window.port, window.open_for, window.end - window.at) == (PORT, READS, 20)
    window.at += 6
    assert device.data.recall() == 6
    assert window.open_for == CLOSED
