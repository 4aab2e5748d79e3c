"""A port between the guest's driver and a chardev with a limited appetite."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from tests.support.virtio_driver import GuestMemory
from tests.unit.devices.virtio.test_console import IN1, OUT1, Guest

from varan.chardev.base import Pipe
from varan.devices.virtio import console as c
from varan.devices.virtio.console_link import ConsoleLink


class Host(Pipe):
    """A pipe that takes `room` bytes (None: any number)."""

    def __init__(self) -> None:
        self.got = b""
        self.room: int | None = None
        self.paused = False

    def write(self, data: bytes | bytearray | memoryview) -> int:
        taken = len(data) if self.room is None else min(self.room, len(data))
        if self.room is not None:
            self.room -= taken
        self.got += bytes(data[:taken])
        return taken

    def close(self) -> None:
        return

    def pause_input(self) -> None:
        self.paused = True

    def resume_input(self) -> None:
        self.paused = False


class Rig:
    """A guest whose port 2 leads to a host."""

    def __init__(self) -> None:
        self.guest = Guest(c.F_MULTIPORT, GuestMemory())
        self.posted: list[Callable[[], None]] = []
        self.opened: list[bool] = []
        self.link = ConsoleLink(threading.RLock(), self.posted.append, self.opened.append)
        self.guest.console.remove_port(1)
        self.guest.console.add_port(c.Port(1, self.link))
        self.link.connect(self.guest.console, 1)
        self.host = Host()
        self.guest.start()
        self.guest.greet()

    def settle(self) -> None:
        """Let the loop do what was posted."""
        while self.posted:
            self.posted.pop(0)()


@pytest.fixture
def rig() -> Rig:
    made = Rig()
    made.link.opened(made.host)
    made.settle()
    return made


def test_the_driver_learns_of_who_listens(rig: Rig) -> None:
    assert rig.guest.messages() == [(1, c.PORT_OPEN, 1)]
    rig.link.closed()
    assert rig.guest.messages() == [(1, c.PORT_OPEN, 0)]


def test_output_goes_to_the_host_in_one_turn_of_the_loop(rig: Rig) -> None:
    for number in range(4):
        rig.guest.write(OUT1, b"%d" % number)
    assert len(rig.posted) == 1
    rig.settle()
    assert rig.host.got == b"0123"
    assert len(rig.guest.queues[OUT1].collect()) == 4


def test_a_host_that_takes_no_more_leaves_output_in_the_guest(rig: Rig) -> None:
    rig.host.room = 3
    rig.guest.write(OUT1, b"hello")
    rig.guest.write(OUT1, b" you")
    rig.settle()
    assert rig.host.got == b"hel"
    assert rig.guest.queues[OUT1].collect() == []
    rig.guest.write(OUT1, b"!")
    assert rig.posted == []
    rig.host.room = None
    rig.link.writable()
    rig.settle()
    assert rig.host.got == b"hello you!"


def test_output_that_nobody_listens_to_is_dropped(rig: Rig) -> None:
    rig.link.closed()
    rig.guest.write(OUT1, b"anybody?")
    rig.settle()
    assert len(rig.guest.queues[OUT1].collect()) == 1


def test_input_that_the_guest_has_no_room_for_holds_the_host_back(rig: Rig) -> None:
    rig.guest.open(1)
    rig.guest.room(IN1, 4)
    rig.link.receive(b"abcdef")
    assert rig.host.paused
    assert rig.guest.got(IN1) == b"abcd"
    rig.guest.room(IN1, 4)
    rig.settle()
    assert not rig.host.paused
    assert rig.guest.got(IN1) == b"ef"


def test_input_waits_for_a_program_that_opens_the_port(rig: Rig) -> None:
    rig.guest.room(IN1, 8)
    rig.link.receive(b"early")
    assert rig.host.paused
    rig.guest.open(1)
    rig.settle()
    assert rig.opened == [True]
    assert (rig.guest.got(IN1), rig.host.paused) == (b"early", False)


def test_a_guest_that_never_stops_printing_lets_the_loop_do_other_things(rig: Rig) -> None:
    class Endless(Host):
        def write(self, data: bytes | bytearray | memoryview) -> int:
            rig.guest.queues[OUT1].collect()
            rig.guest.write(OUT1, b"more")
            return super().write(data)

    rig.link.opened(Endless())
    rig.guest.write(OUT1, b"more")
    rig.posted.pop(0)()
    assert len(rig.posted) == 1


def test_characters_of_an_emergency_come_first(rig: Rig) -> None:
    rig.guest.write(OUT1, b"later")
    for character in b"now ":
        rig.link.emergency(character)
    rig.settle()
    assert rig.host.got == b"now later"
