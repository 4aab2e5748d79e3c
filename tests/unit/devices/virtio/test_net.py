"""The virtio network card, driven by a model of a driver."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.net_peer import MAC, frame
from tests.support.virtio_driver import Buffers, CountingTransport, GuestMemory, PackedDriver, SplitDriver, chain, start

from varan.core.state import decode, encode
from varan.devices.virtio import net
from varan.devices.virtio.features import DEFAULT, RING_EVENT_IDX, RING_INDIRECT_DESC, RING_PACKED
from varan.devices.virtio.net import CONTROL, RECEIVE, TRANSMIT, VirtioNet, VirtioNetState

BASE = net.MAC | net.STATUS | net.CTRL_VQ | net.CTRL_RX | net.CTRL_VLAN | net.CTRL_MAC_ADDR | net.GUEST_ANNOUNCE
LAYOUTS = {
    "split": BASE,
    "split-event-index": BASE | RING_EVENT_IDX | RING_INDIRECT_DESC,
    "packed": BASE | RING_PACKED,
    "packed-event-index-merged": BASE | RING_PACKED | RING_EVENT_IDX | net.MRG_RXBUF,
    "split-merged": BASE | net.MRG_RXBUF,
}


class Card:
    """A card with its driver."""

    def __init__(self, features: int = BASE, size: int = 32) -> None:
        self.memory = GuestMemory()
        self.due: list[str] = []
        self.device = self.make()
        self.transport = self.device.transport = CountingTransport()
        self.features = features
        self.queues = start(self.device, self.memory, features, size)
        self.due.clear()

    def make(self) -> VirtioNet:
        return VirtioNet(
            self.memory.space,
            MAC,
            transmit_due=lambda: self.due.append("transmit"),
            receive_due=lambda: self.due.append("receive"),
            filter_changed=lambda: self.due.append("filter"),
            features=DEFAULT | RING_PACKED,
            mtu=1500,
        )

    def queue(self, index: int) -> SplitDriver | PackedDriver:
        return self.queues[index]

    def give(self, index: int, buffers: Buffers) -> bool:
        """Add a chain, kick if the device wants that; whether it did."""
        assert self.queue(index).add(buffers)
        wanted = self.queue(index).must_kick()
        if wanted:
            self.device.kick(index)
        return wanted

    def offer_room(self, *lengths: int) -> bool:
        return self.give(RECEIVE, chain(self.memory, [], list(lengths)))

    def transmit(self, *pieces: bytes) -> None:
        self.give(TRANSMIT, chain(self.memory, [bytes(12), *pieces], []))

    def command(self, kind: int, verb: int, data: bytes) -> int:
        buffers = chain(self.memory, [bytes((kind, verb)), data] if data else [bytes((kind, verb))], [1])
        self.give(CONTROL, buffers)
        ((back, written),) = self.queue(CONTROL).collect()
        assert (back, written) == (buffers, 1)
        return buffers.answer(self.memory)[0]

    def received(self) -> list[tuple[bytes, int]]:
        """(what is in the buffers, bytes that the device says it wrote) of each chain that came back."""
        return [(buffers.answer(self.memory)[:written], written) for buffers, written in self.queue(RECEIVE).collect()]


@pytest.fixture(params=LAYOUTS)
def card(request: pytest.FixtureRequest) -> Card:
    return Card(LAYOUTS[request.param])


def test_configuration_tells_address_link_and_mtu() -> None:
    card = Card()
    assert card.device.config() == MAC + struct.pack("<HHH", net.LINK_UP, 1, 1500)
    assert not card.device.offered & net.SPEED_DUPLEX
    card.device.link_up = False
    card.device.announce_config()
    assert card.device.read_config(6, 2) == 0
    assert card.transport.config == 1


def test_frames_are_taken_whole_in_order_and_given_back(card: Card) -> None:
    sent = [frame(number, 60 + 200 * number) for number in range(3)]
    for one in sent:
        card.transmit(one[:20], one[20:])
    assert "transmit" in card.due
    assert card.device.take_frames() == (sent, False)
    assert len(card.queue(TRANSMIT).collect()) == 3
    assert TRANSMIT in card.transport.used


def test_doorbells_are_silent_until_the_frames_have_been_taken(card: Card) -> None:
    card.transmit(frame(1))
    card.due.clear()
    card.transmit(frame(2))
    assert card.due == []
    card.device.take_frames()
    card.transmit(frame(3))
    assert card.due == ["transmit"]


def test_a_received_frame_lies_behind_its_header(card: Card) -> None:
    card.offer_room(12, 2000)
    assert card.device.receive(frame(1, 100))
    card.device.notify_receive()
    ((data, written),) = card.received()
    assert (data[10:12], data[12:], written) == (b"\1\0", frame(1, 100), 112)
    assert card.transport.used == [RECEIVE]


def test_without_room_a_frame_waits_for_the_drivers_doorbell(card: Card) -> None:
    assert not card.device.receive(frame(1))
    assert card.offer_room(2000)
    assert card.due == ["receive"]
    assert card.device.receive(frame(1))
    card.due.clear()
    # With room there, the driver need not ring again.
    card.offer_room(2000)
    assert card.due == []


def test_a_long_frame_fills_several_buffers_where_the_driver_agreed() -> None:
    card = Card(BASE | net.MRG_RXBUF)
    for _ in range(4):
        card.offer_room(600)
    assert card.device.receive(frame(7, 1500))
    pieces = card.received()
    assert [written for _, written in pieces] == [600, 600, 312]
    assert pieces[0][0][10:12] == b"\3\0"
    assert b"".join(data for data, _ in pieces)[12:] == frame(7, 1500)


def test_buffers_that_do_not_suffice_for_a_long_frame_are_kept_for_later() -> None:
    card = Card(BASE | net.MRG_RXBUF)
    card.offer_room(600)
    assert not card.device.receive(frame(7, 1500))
    assert card.received() == []
    for _ in range(2):
        card.offer_room(600)
    assert card.device.receive(frame(7, 1500))
    assert b"".join(data for data, _ in card.received())[12:] == frame(7, 1500)


def test_a_frame_too_long_for_its_buffer_is_lost_and_no_more() -> None:
    card = Card()
    card.offer_room(100)
    card.offer_room(200)
    assert card.device.receive(frame(1, 150))
    assert card.device.receive(frame(2, 100))
    assert [written for _, written in card.received()] == [0, 112]


def to(target: bytes, kind: bytes = b"\x08\x00", vlan: int = 0) -> bytes:
    return (target + MAC + kind + vlan.to_bytes(2, "big")).ljust(60, b"\0")


OTHER, GROUP = bytes.fromhex("525400000001"), bytes.fromhex("01005e000001")
ON, OFF = b"\1", b"\0"
TABLES = struct.pack("<I", 1) + OTHER + struct.pack("<I", 1) + GROUP
MANY = struct.pack("<I", 65) + OTHER * 65 + struct.pack("<I", 70) + GROUP * 70


@pytest.mark.parametrize(
    ("commands", "target", "passes"),
    [
        ([], OTHER, True),
        ([(0, 0, OFF)], OTHER, False),
        ([(0, 0, OFF)], MAC, True),
        ([(0, 0, OFF)], GROUP, False),
        ([(0, 0, OFF)], b"\xff" * 6, True),
        ([(0, 0, OFF), (0, 5, ON)], b"\xff" * 6, False),
        ([(0, 0, OFF), (0, 1, ON)], GROUP, True),
        ([(0, 0, OFF), (0, 2, ON)], OTHER, True),
        ([(0, 0, OFF), (0, 4, ON)], MAC, False),
        ([(0, 0, OFF), (0, 1, ON), (0, 3, ON)], GROUP, False),
        ([(0, 0, OFF), (1, 0, TABLES)], OTHER, True),
        ([(0, 0, OFF), (1, 0, TABLES)], GROUP, True),
        ([(0, 0, OFF), (1, 0, MANY)], bytes.fromhex("525400000009"), True),
        ([(0, 0, OFF), (1, 0, MANY)], bytes.fromhex("01005e000009"), True),
        ([(0, 0, OFF), (1, 1, OTHER)], OTHER, True),
        ([(0, 0, OFF), (1, 1, OTHER)], MAC, False),
    ],
)
def test_the_filter_passes_what_the_driver_asked_for(
    commands: list[tuple[int, int, bytes]], target: bytes, passes: bool
) -> None:
    card = Card()
    card.offer_room(2000)
    for command in commands:
        assert card.command(*command) == 0
    assert card.device.receive(to(target))
    assert bool(card.received()) == passes


def test_frames_of_other_vlans_are_held_back() -> None:
    card = Card()
    card.command(0, 0, OFF)
    card.command(2, 0, struct.pack("<H", 5))
    for _ in range(2):
        card.offer_room(2000)
    assert card.device.receive(to(MAC, b"\x81\x00", 5))
    assert card.device.receive(to(MAC, b"\x81\x00", 6))
    assert len(card.received()) == 1
    card.command(2, 1, struct.pack("<H", 5))
    assert card.device.receive(to(MAC, b"\x81\x00", 5))
    assert card.received() == []


@pytest.mark.parametrize(
    ("kind", "verb", "data"),
    [
        (0, 0, b""),
        (0, 6, ON),
        (1, 0, b"\xff\xff\xff\xff"),
        (1, 0, b"\0"),
        (1, 1, b"\0"),
        (2, 0, b"\xff\xff"),
        (9, 0, ON),
    ],
)
def test_commands_that_make_no_sense_are_errors(kind: int, verb: int, data: bytes) -> None:
    card = Card()
    assert card.command(kind, verb, data) == 1
    assert "filter" not in card.due


def test_the_filter_is_told_as_the_driver_set_it() -> None:
    card = Card()
    card.command(0, 0, OFF)
    card.command(1, 0, TABLES)
    card.command(2, 0, struct.pack("<H", 5))
    told = card.device.rx_filter()
    assert (told.promiscuous, told.stations, told.groups, told.vlans) == (False, [OTHER], [GROUP], [5])


def test_an_announcement_is_asked_for_and_acknowledged() -> None:
    card = Card()
    assert card.device.announce()
    assert card.device.read_config(6, 2) & net.ANNOUNCE
    assert card.transport.config == 1
    assert card.command(3, 0, b"") == 0
    assert not card.device.read_config(6, 2) & net.ANNOUNCE


def test_without_link_or_driver_frames_are_dropped() -> None:
    card = Card()
    card.offer_room(2000)
    card.device.link_up = False
    assert card.device.receive(frame(1))
    card.device.link_up = True
    card.device.reset()
    assert card.device.receive(frame(2))
    assert card.received() == []


def test_reset_gives_the_card_its_own_address_and_an_open_filter_back() -> None:
    card = Card()
    card.command(1, 1, OTHER)
    card.command(0, 0, OFF)
    card.device.set_status(0)
    assert card.device.config()[:6] == MAC
    assert card.device.state.filter.promiscuous


def test_a_card_saved_and_loaded_goes_on(card: Card) -> None:
    card.command(0, 0, OFF)
    card.command(1, 0, TABLES)
    card.offer_room(2000)
    card.transmit(frame(3))
    saved = encode(card.device.save())
    other = card.make()
    other.load(decode(VirtioNetState, saved))
    assert other.take_frames() == ([frame(3)], False)
    assert other.receive(to(OTHER))
    assert other.receive(to(bytes.fromhex("525400000009")))
    assert len(card.received()) == 1


@given(st.lists(st.binary(max_size=40), max_size=6))
def test_commands_of_any_bytes_are_answered(commands: list[bytes]) -> None:
    card = Card()
    for data in commands:
        card.give(CONTROL, chain(card.memory, [data] if data else [], [1]))
        card.queue(CONTROL).collect()
    assert not card.device.broken
    decode(VirtioNetState, encode(card.device.save()))
