"""Virtio over memory-mapped registers."""

from __future__ import annotations

import random

import pytest
from tests.support.bus import Wire
from tests.support.virtio_driver import GuestMemory, SplitDriver, chain
from tests.support.virtio_echo import Echo

from varan.devices.virtio.mmio import VirtioMmio

BASE = 0xFEB00000


class Guest:
    """A guest with one device."""

    def __init__(self) -> None:
        self.memory = GuestMemory()
        self.core = Echo(self.memory.space)
        self.line = Wire()
        self.transport = VirtioMmio(self.line)
        self.transport.connect(self.core)
        self.transport.map(self.memory.space, BASE)

    def get(self, offset: int, size: int = 4) -> int:
        return self.memory.space.read(BASE + offset, size)

    def put(self, offset: int, value: int, size: int = 4) -> None:
        self.memory.space.write(BASE + offset, size, value)

    def start(self) -> SplitDriver:
        for status in (0, 1, 3):
            self.put(0x70, status)
        for select, features in ((0, 1 << 28), (1, 1)):
            self.put(0x24, select)
            self.put(0x20, features)
        self.put(0x70, 11)
        assert self.get(0x70) == 11
        driver = SplitDriver(self.memory, 8)
        self.put(0x30, 0)
        self.put(0x38, 8)
        for register, address in ((0x80, driver.descriptors), (0x90, driver.driver), (0xA0, driver.device)):
            self.put(register, address)
            self.put(register + 4, 0)
        self.put(0x44, 1)
        self.put(0x70, 15)
        return driver


@pytest.fixture
def guest() -> Guest:
    return Guest()


def test_the_device_says_what_it_is(guest: Guest) -> None:
    assert [guest.get(offset) for offset in (0x00, 0x04, 0x08)] == [0x74726976, 2, 42]
    assert guest.get(0xB0) == 0xFFFFFFFF
    assert guest.get(0x34) == 8


def test_features_come_in_two_words(guest: Guest) -> None:
    words = []
    for select in (0, 1, 2):
        guest.put(0x14, select)
        words.append(guest.get(0x10))
    assert words == [guest.core.offered & 0xFFFFFFFF, guest.core.offered >> 32, 0]


def test_a_driver_talks_to_the_device(guest: Guest) -> None:
    driver = guest.start()
    buffers = chain(guest.memory, [b"word"], [4])
    driver.add(buffers)
    guest.put(0x50, 0)
    guest.core.answer()
    assert buffers.answer(guest.memory) == b"drow"
    assert (guest.line.level, guest.get(0x60)) == (1, 1)
    guest.put(0x64, 1)
    assert (guest.line.level, guest.get(0x60)) == (0, 0)


def test_the_configuration_can_be_read_and_written(guest: Guest) -> None:
    assert guest.get(0x100, 2).to_bytes(2, "little") == b"co"
    guest.put(0x101, ord("O"), 1)
    assert guest.get(0x100, 2).to_bytes(2, "little") == b"cO"
    guest.start()
    guest.core.announce_config()
    assert (guest.get(0xFC), guest.get(0x60)) == (1, 2)


def test_a_queue_can_be_taken_back(guest: Guest) -> None:
    guest.start()
    guest.put(0x44, 0)
    assert guest.get(0x44) == 0
    guest.put(0x50, 0)
    assert guest.core.kept == []


def test_odd_accesses_do_nothing(guest: Guest) -> None:
    guest.put(0x70, 1, 1)
    assert guest.get(0x70) == 0
    assert guest.get(0x00, 2) == 0
    guest.put(0x30, 7)
    for offset in (0x34, 0x44):
        assert guest.get(offset) == 0
    for offset in (0x38, 0x44, 0x80):
        guest.put(offset, 1)


def test_registers_without_a_device_say_so(guest: Guest) -> None:
    guest.start()
    guest.transport.connect(None)
    assert [guest.get(offset) for offset in (0x00, 0x04)] == [0x74726976, 2]
    assert not any(guest.get(offset) for offset in (0x08, 0x10, 0x34, 0x70, 0x100))
    guest.put(0x70, 1)
    guest.put(0x100, 1)
    guest.put(0x50, 0)
    assert guest.get(0x70) == 0


@pytest.mark.parametrize("seed", range(20))
def test_random_accesses_break_nothing(guest: Guest, seed: int) -> None:
    source = random.Random(seed)
    guest.start()
    for _ in range(500):
        offset, size = source.randrange(0, 0x120, 4), source.choice((1, 2, 4, 4, 4, 8))
        if source.random() < 0.3:
            guest.get(offset, size)
        else:
            guest.put(offset, source.getrandbits(source.choice((1, 3, 8, 8 * size))) & (1 << 8 * size) - 1, size)
