"""The console, against a model of a driver with several ports."""

from __future__ import annotations

import json

import pytest
from tests.support.virtio_driver import Buffers, CountingTransport, GuestMemory, chain, start

from varan.core.state import StateError, decode, encode
from varan.devices.virtio import console as c
from varan.devices.virtio.features import DEFAULT, RING_PACKED

ALL = DEFAULT | RING_PACKED | c.F_MULTIPORT | c.F_EMERGENCY_WRITE
PORTS = 3


class User:
    """The host's end of a port: remembers what it was told."""

    def __init__(self) -> None:
        self.output = self.wanted = 0
        self.opened: list[bool] = []
        self.urgent = b""

    def output_ready(self) -> None:
        self.output += 1

    def input_wanted(self) -> None:
        self.wanted += 1

    def guest_opened(self, opened: bool) -> None:
        self.opened.append(opened)

    def emergency(self, byte: int) -> None:
        self.urgent += bytes([byte])


class Guest:
    """A guest with a console port, number 0, and a named one, number 1."""

    def __init__(self, features: int = ALL, memory: GuestMemory | None = None, max_ports: int = PORTS) -> None:
        self.memory = memory or GuestMemory()
        self.features = features
        self.console = c.VirtioConsole(self.memory.space, max_ports, features=features & ~c.F_MULTIPORT)
        self.transport = self.console.transport = CountingTransport()
        self.users = [User(), User()]
        self.console.add_port(c.Port(0, self.users[0], is_console=True))
        if max_ports > 1:
            self.console.add_port(c.Port(1, self.users[1], name="org.varan.test"))

    def start(self, accepted: int | None = None) -> Guest:
        self.queues = start(self.console, self.memory, self.features if accepted is None else accepted)
        return self

    def offer(self, queue: int, buffers: Buffers) -> Buffers:
        assert self.queues[queue].add(buffers)
        if self.queues[queue].must_kick():
            self.console.kick(queue)
        return buffers

    def write(self, queue: int, *data: bytes) -> Buffers:
        return self.offer(queue, chain(self.memory, list(data), []))

    def room(self, queue: int, *lengths: int) -> Buffers:
        return self.offer(queue, chain(self.memory, [], list(lengths)))

    def control(self, port: int, event: int, value: int = 1) -> None:
        self.write(c.CONTROL_OUT, c.CONTROL.pack(port, event, value))
        self.queues[c.CONTROL_OUT].collect()

    def messages(self) -> list[tuple[object, ...]]:
        """Control messages that have come since the last call; room is made for more."""
        found: list[tuple[object, ...]] = []
        while done := self.queues[c.CONTROL_IN].collect():
            for buffers, written in done:
                data = buffers.answer(self.memory)[:written]
                rest = (data[c.CONTROL.size :],) if written > c.CONTROL.size else ()
                found.append((*c.CONTROL.unpack(data[: c.CONTROL.size]), *rest))
                self.room(c.CONTROL_IN, 64)
        return found

    def greet(self) -> Guest:
        """What Linux does at first: room for messages, then it is ready."""
        for _ in range(4):
            self.room(c.CONTROL_IN, 64)
        self.control(0xFFFFFFFF, c.DEVICE_READY)
        self.messages()
        return self

    def open(self, port: int) -> None:
        self.control(port, c.PORT_OPEN)

    def got(self, queue: int) -> bytes:
        return b"".join(buffers.answer(self.memory)[:written] for buffers, written in self.queues[queue].collect())

    def take(self, port: int, count: int | None = None) -> bytes:
        """Take output as a chardev does."""
        found = self.console.peek_output(port)
        if found is None:
            return b""
        data = found[1][:count]
        self.console.take_output(port, found[0], len(data))
        return data


IN0, OUT0, IN1, OUT1 = 0, 1, 4, 5


@pytest.fixture(params=[ALL, ALL & ~RING_PACKED, c.F_MULTIPORT])
def guest(request: pytest.FixtureRequest) -> Guest:
    return Guest(request.param).start()


def test_the_driver_learns_of_the_ports(guest: Guest) -> None:
    for _ in range(8):
        guest.room(c.CONTROL_IN, 64)
    guest.control(0xFFFFFFFF, c.DEVICE_READY)
    assert guest.messages() == [(0, c.PORT_ADD, 1), (1, c.PORT_ADD, 1)]
    guest.control(0, c.PORT_READY)
    assert guest.messages() == [(0, c.CONSOLE_PORT, 1), (0, c.PORT_OPEN, 1)]
    guest.control(1, c.PORT_READY)
    assert guest.messages() == [(1, c.PORT_NAME, 1, b"org.varan.test")]
    guest.console.set_host_open(1, True)
    guest.console.set_host_open(1, True)
    assert guest.messages() == [(1, c.PORT_OPEN, 1)]


def test_messages_wait_for_buffers(guest: Guest) -> None:
    guest.control(0xFFFFFFFF, c.DEVICE_READY)
    guest.room(c.CONTROL_IN, 8)
    guest.room(c.CONTROL_IN, 8)
    assert guest.messages() == [(0, c.PORT_ADD, 1), (1, c.PORT_ADD, 1)]


def test_messages_for_a_driver_that_takes_none_are_bounded(guest: Guest) -> None:
    for _ in range(c.MOST_MESSAGES):
        guest.control(1, c.PORT_READY)
        guest.control(0xFFFFFFFF, c.DEVICE_READY)
    assert len(guest.console.state.messages) == c.MOST_MESSAGES


def test_output_stays_in_the_guests_buffers_until_it_is_taken(guest: Guest) -> None:
    first = guest.write(OUT1, b"hello ", b"world")
    second = guest.write(OUT1, b"!")
    assert guest.users[1].output
    assert guest.take(1, 3) == b"hel"
    assert guest.queues[OUT1].collect() == []
    assert guest.take(1, 5) == b"lo wo"
    assert guest.take(1) == b"rld"
    assert guest.queues[OUT1].collect() == [(first, 0)]
    assert guest.take(1) == b"!"
    assert guest.queues[OUT1].collect() == [(second, 0)]
    assert guest.take(1) == b""


def test_chains_without_bytes_come_back(guest: Guest) -> None:
    empty = guest.room(OUT0, 16)
    full = guest.write(OUT0, b"x")
    assert guest.take(0) == b"x"
    assert guest.queues[OUT0].collect() == [(empty, 0), (full, 0)]


def test_input_waits_until_a_program_has_opened_the_port_and_made_room(guest: Guest) -> None:
    assert guest.console.send_input(1, b"abc") == 0
    guest.room(IN1, 2)
    assert guest.console.send_input(1, b"abc") == 0
    guest.open(1)
    assert guest.users[1].opened == [True]
    assert guest.users[1].wanted
    assert guest.console.send_input(1, b"abc") == 2
    wanted = guest.users[1].wanted
    guest.room(IN1, 1, 1)
    assert guest.users[1].wanted > wanted
    assert guest.console.send_input(1, b"c") == 1
    assert guest.got(IN1) == b"abc"
    assert set(guest.transport.used) >= {IN1}


def test_who_opens_and_closes_is_told_once_each(guest: Guest) -> None:
    guest.open(1)
    guest.open(1)
    guest.control(1, c.PORT_OPEN, 0)
    guest.open(1)
    guest.console.set_status(0)
    assert guest.users[1].opened == [True, False, True, False]


def test_messages_about_ports_that_are_not_there_and_short_ones_are_nothing(guest: Guest) -> None:
    guest.open(77)
    guest.control(0xFFFFFFFF, c.PORT_READY)
    guest.write(c.CONTROL_OUT, b"short")
    guest.control(1, 0xFFFF)
    assert not guest.console.broken
    assert guest.console.state.messages == []


def test_a_port_that_comes_later_is_announced_and_one_that_goes_too(guest: Guest) -> None:
    guest.greet()
    user = User()
    guest.console.add_port(c.Port(2, user, name="late"))
    assert guest.messages() == [(2, c.PORT_ADD, 1)]
    guest.write(7, b"lost")
    assert guest.console.peek_output(2) is not None
    guest.console.remove_port(2)
    assert guest.messages() == [(2, c.PORT_REMOVE, 1)]
    assert len(guest.queues[7].collect()) == 1
    guest.write(7, b"nobody")
    assert user.output


def test_a_driver_without_several_ports_has_one_that_is_open() -> None:
    guest = Guest().start(DEFAULT)
    assert guest.users[0].opened == [True]
    guest.room(IN0, 4)
    assert guest.console.send_input(0, b"abcdef") == 4
    guest.write(OUT0, b"out")
    assert (guest.got(IN0), guest.take(0)) == (b"abcd", b"out")


def test_a_device_for_one_port_has_two_queues() -> None:
    guest = Guest(DEFAULT, max_ports=1).start()
    assert len(guest.console.queues) == 2
    guest.write(OUT0, b"x")
    assert guest.take(0) == b"x"


def test_an_emergency_character_goes_past_the_queues() -> None:
    guest = Guest()
    for character in b"oops":
        guest.console.write_config(c.EMERGENCY_OFFSET, bytes([character]) + bytes(3))
    assert guest.users[0].urgent == b"oops"
    assert guest.console.read_config(4, 4) == PORTS


def test_taking_output_of_before_a_reset_changes_nothing(guest: Guest) -> None:
    guest.write(OUT0, b"old")
    found = guest.console.peek_output(0)
    assert found is not None
    guest.console.set_status(0)
    assert guest.console.status == 0
    guest.start()
    guest.write(OUT0, b"new")
    assert guest.take(0, 1) == b"n"
    guest.console.take_output(0, found[0], 3)
    assert guest.take(0) == b"ew"


def test_saved_in_the_middle_of_output_the_loaded_one_goes_on_with_the_next_byte(guest: Guest) -> None:
    guest.control(0xFFFFFFFF, c.DEVICE_READY)
    guest.open(1)
    guest.write(OUT1, b"hello")
    guest.write(OUT1, b" world")
    assert guest.take(1, 2) == b"he"
    state = decode(c.ConsoleState, json.loads(json.dumps(encode(guest.console.save()))))
    other = Guest(guest.features, guest.memory)
    other.console.load(state)
    other.queues = guest.queues
    assert other.users[1].opened == [True]
    assert other.users[1].output
    assert [other.take(1), other.take(1), other.take(1)] == [b"llo", b" world", b""]
    assert len(guest.queues[OUT1].collect()) == 2
    for _ in range(2):
        other.room(c.CONTROL_IN, 8)
    assert other.messages() == [(0, c.PORT_ADD, 1), (1, c.PORT_ADD, 1)]


def test_the_state_of_a_device_with_other_ports_is_refused(guest: Guest) -> None:
    state = guest.console.save()
    guest.console.remove_port(1)
    with pytest.raises(StateError, match="other ports"):
        guest.console.load(state)


def test_a_chain_outside_memory_breaks_the_device_and_no_other_thing(guest: Guest) -> None:
    guest.offer(OUT0, Buffers([(1 << 50, 10, False)]))
    assert guest.console.peek_output(0) is None
    assert guest.console.broken
    assert guest.console.send_input(0, b"abc") == 0
