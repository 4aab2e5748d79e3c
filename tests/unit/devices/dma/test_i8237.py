"""The DMA controllers, programmed as a PC's software does."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.bus import Bus

from varan.core.memory import GuestRam, MemorySpace
from varan.core.state import decode, encode
from varan.devices.dma.i8237 import PAGES, Dma, DmaState

RAM = 1 << 20
TO_MEMORY, FROM_MEMORY, VERIFY = 0x44, 0x48, 0x40
AUTO, DOWN = 0x10, 0x20


class Rig:
    """The controllers with a megabyte of memory."""

    def __init__(self) -> None:
        self.ram = GuestRam(RAM)
        memory = MemorySpace()
        memory.map_ram(0, self.ram)
        self.bus = Bus()
        self.dma = Dma(memory)
        self.dma.map(self.bus.ports)

    def program(self, channel: int, address: int, count: int, mode: int, *, unmask: bool = True) -> None:
        """Set up a channel for `count` transfers at a memory address in bytes."""
        low, step, number = channel < 4, 1 if channel < 4 else 2, channel & 3
        base = 0x00 if low else 0xC0
        self.bus.outb(base + 10 * step, 4 | number)
        self.bus.outb(base + 12 * step, 0)
        offset = address if low else address >> 1
        for value in (offset & 0xFF, offset >> 8 & 0xFF):
            self.bus.outb(base + 2 * number * step, value)
        for value in (count - 1 & 0xFF, count - 1 >> 8):
            self.bus.outb(base + (2 * number + 1) * step, value)
        page = next(port for port, owner in PAGES.items() if owner == channel)
        self.bus.outb(0x80 + page, address >> 16)
        self.bus.outb(base + 11 * step, mode | number)
        if unmask:
            self.bus.outb(base + 10 * step, number)

    def status(self) -> int:
        return self.bus.inb(0x08)


@pytest.fixture
def rig() -> Rig:
    return Rig()


@pytest.mark.parametrize("channel", [0, 1, 2, 3])
def test_bytes_go_where_the_channel_says(rig: Rig, channel: int) -> None:
    data = random.Random(channel).randbytes(300)
    rig.program(channel, 0x21234, 300, TO_MEMORY)
    assert rig.dma.channels[channel].put(data[:100]) == (100, False)
    assert rig.dma.channels[channel].put(data[100:] + b"more") == (200, True)
    assert bytes(rig.ram.view[0x21234 : 0x21234 + 304]) == data + bytes(4)
    assert rig.status() & 0x0F == 1 << channel
    assert rig.status() == 0, "the status forgets what it has told"
    assert not rig.dma.channels[channel].ready, "the terminal count masks the channel"


def test_bytes_come_from_where_the_channel_says(rig: Rig) -> None:
    rig.ram.view[0x30000:0x30100] = bytes(range(256))
    rig.program(2, 0x30000, 256, FROM_MEMORY)
    assert rig.dma.channels[2].take(200) == (bytes(range(200)), False)
    assert rig.dma.channels[2].take(200) == (bytes(range(200, 256)), True)


@pytest.mark.parametrize("channel", [5, 6, 7])
def test_the_second_controller_moves_words(rig: Rig, channel: int) -> None:
    rig.program(channel, 0x31000, 4, TO_MEMORY)
    assert rig.dma.channels[channel].remaining == 8
    assert rig.dma.channels[channel].put(b"abcdefghij") == (8, True)
    assert bytes(rig.ram.view[0x31000:0x31009]) == b"abcdefgh\0"


def test_the_address_stays_in_its_page(rig: Rig) -> None:
    rig.program(2, 0x2FFFE, 4, TO_MEMORY)
    rig.dma.channels[2].put(b"abcd")
    assert bytes(rig.ram.view[0x2FFFE:0x30000]) == b"ab"
    assert bytes(rig.ram.view[0x20000:0x20002]) == b"cd"


def test_addresses_may_go_down(rig: Rig) -> None:
    rig.program(2, 0x20001, 4, TO_MEMORY | DOWN)
    rig.dma.channels[2].put(b"abcd")
    assert bytes(rig.ram.view[0x20000:0x20002]) == b"ba"
    assert bytes(rig.ram.view[0x2FFFE:0x30000]) == b"dc"
    rig.program(2, 0x20001, 4, FROM_MEMORY | DOWN)
    assert rig.dma.channels[2].take(4) == (b"abcd", True)


def test_autoinitialize_begins_anew(rig: Rig) -> None:
    rig.program(2, 0x20000, 4, TO_MEMORY | AUTO)
    assert rig.dma.channels[2].put(b"abcdef") == (4, True)
    assert rig.dma.channels[2].put(b"xy") == (2, False)
    assert bytes(rig.ram.view[0x20000:0x20004]) == b"xycd"


@pytest.mark.parametrize("mode", [VERIFY, FROM_MEMORY])
def test_what_is_no_write_transfer_leaves_memory_alone(rig: Rig, mode: int) -> None:
    rig.program(2, 0x20000, 4, mode)
    assert rig.dma.channels[2].put(b"abcd") == (4, True)
    assert not any(rig.ram.view[0x20000:0x20004])


def test_current_registers_are_read_low_byte_first(rig: Rig) -> None:
    rig.program(2, 0x21234, 0x500, TO_MEMORY)
    rig.dma.channels[2].put(b"abc")
    rig.bus.outb(0x0C, 0)
    assert [rig.bus.inb(0x04), rig.bus.inb(0x04)] == [0x37, 0x12]
    assert [rig.bus.inb(0x05), rig.bus.inb(0x05)] == [0xFC, 0x04]


def test_a_request_waits_for_the_mask(rig: Rig) -> None:
    served: list[str] = []
    channel = rig.dma.channels[2]
    channel.request(lambda: served.append("early"))
    assert not served
    assert rig.status() == 0x40
    rig.program(2, 0x20000, 4, TO_MEMORY)
    assert served == ["early"]
    channel.request(lambda: served.append("at once"))
    assert served == ["early", "at once"]
    rig.bus.outb(0x08, 0x04)
    channel.request(lambda: served.append("enabled"))
    rig.bus.outb(0x0E, 0)
    assert served == ["early", "at once"], "the controller is disabled"
    rig.bus.outb(0x08, 0)
    assert served[-1] == "enabled"


def test_masks_and_master_clear(rig: Rig) -> None:
    rig.bus.outb(0x0E, 0)
    assert rig.bus.inb(0x0F) == 0xF0
    rig.bus.outb(0x0F, 0x05)
    assert rig.bus.inb(0x0F) == 0xF5
    rig.bus.outb(0x0D, 0)
    assert rig.bus.inb(0x0F) == 0xFF


def test_page_registers_remember(rig: Rig) -> None:
    for port in range(0x81, 0x90):
        rig.bus.outb(port, port)
    assert [rig.bus.inb(port) for port in range(0x81, 0x90)] == list(range(0x81, 0x90))


def test_saved_channels_go_on(rig: Rig) -> None:
    rig.program(2, 0x20000, 8, TO_MEMORY)
    rig.dma.channels[2].put(b"abcd")
    other = Rig()
    other.dma.load(decode(DmaState, encode(rig.dma.save())))
    assert other.dma.channels[2].put(b"efghi") == (4, True)
    assert bytes(other.ram.view[0x20004:0x20008]) == b"efgh"


@settings(max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from([*range(16), *range(0xC0, 0xE0), *range(0x81, 0x90)]), st.integers(0, 255))),
    st.integers(0, 7),
    st.integers(0, 300_000),
)
def test_nothing_that_a_guest_writes_is_too_much(writes: list[Any], channel: int, length: int) -> None:
    rig = Rig()
    for port, value in writes:
        rig.bus.outb(port, value)
        rig.bus.inb(port)
    went, _ = rig.dma.channels[channel].put(bytes(length))
    assert went <= 1 << 17
    data, _ = rig.dma.channels[channel].take(length)
    assert len(data) <= length
