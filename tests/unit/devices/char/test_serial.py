"""A serial port between a bare bus and a chardev that tests play."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
from tests.support.bus import Bus, Wire

from varan.chardev.base import Chardev, Frontend
from varan.devices.char.debugcon import DebugConsolePort
from varan.devices.char.pump import HIGH_WATER, LIMIT
from varan.devices.char.serial import SerialPort

BASE = 0x3F8


class Host(Chardev):
    """The other end of the cable, with a limited appetite."""

    def __init__(self) -> None:
        super().__init__("host")
        self.got = bytearray()
        self.writes = 0
        self.appetite: int | None = None
        self.paused = False
        self.pauses = 0

    @property
    def filename(self) -> str:
        return "test"

    async def open(self) -> None:
        return

    async def close(self) -> None:
        return

    def attach(self, frontend: Frontend) -> None:
        self.frontend = frontend
        frontend.opened(self)

    def detach(self, frontend: Frontend) -> None:
        self.frontend = None

    def write(self, data: bytes | bytearray | memoryview) -> int:
        self.writes += 1
        taken = len(data) if self.appetite is None else min(self.appetite, len(data))
        if self.appetite is not None:
            self.appetite -= taken
        self.got += data[:taken]
        return taken

    def pause_input(self) -> None:
        self.paused = True
        self.pauses += 1

    def resume_input(self) -> None:
        self.paused = False

    def feed(self, count: int | None) -> None:
        self.appetite = count
        assert self.frontend is not None
        self.frontend.writable()


class Setup:
    def __init__(self) -> None:
        self.bus = Bus()
        self.irq = Wire()
        self.lock = threading.RLock()
        self.serial = SerialPort(self.lock, self.bus.clock, self.bus.timers, self.irq, lambda: None)
        self.serial.map(self.bus.ports, BASE, "serial1")
        self.host = Host()

    def outb(self, *values: int) -> None:
        with self.lock:
            self.bus.outb(BASE, *values)

    def lsr(self) -> int:
        with self.lock:
            return self.bus.inb(BASE + 5)


async def until(condition: object) -> None:
    """Let the loop run until `condition()`."""
    assert callable(condition)
    async with asyncio.timeout(5):
        while not condition():
            await asyncio.sleep(0.0005)


@pytest.fixture
def setup() -> Setup:
    return Setup()


async def test_output_reaches_the_chardev_from_another_thread(setup: Setup) -> None:
    setup.serial.attach(setup.host)
    await asyncio.to_thread(setup.outb, *b"hello")
    await until(lambda: setup.host.got == b"hello")


async def test_output_is_handed_over_in_bursts_not_in_bytes(setup: Setup) -> None:
    setup.serial.attach(setup.host)

    def chatter() -> int:
        end = time.monotonic() + 0.05
        count = 0
        while time.monotonic() < end:
            setup.outb(0x2E)
            count += 1
        return count

    count = await asyncio.to_thread(chatter)
    await until(lambda: len(setup.host.got) == count)
    assert setup.host.writes < 100 < count


async def test_output_without_a_chardev_is_dropped(setup: Setup) -> None:
    setup.outb(*b"nobody")
    setup.serial.attach(setup.host)
    setup.outb(*b"somebody")
    await until(lambda: setup.host.got == b"somebody")


async def test_full_chardev_keeps_the_transmitter_busy_until_it_takes_more(setup: Setup) -> None:
    setup.serial.attach(setup.host)
    setup.host.appetite = 2
    setup.outb(*b"abcd")
    await until(lambda: setup.host.writes)
    setup.outb(ord("e"))
    assert setup.lsr() & 0x60 == 0
    assert setup.host.got == b"ab"
    setup.host.feed(None)
    await until(lambda: setup.host.got == b"abcde")
    assert setup.lsr() & 0x60 == 0x60


async def test_loop_that_is_late_holds_the_transmitter_back(setup: Setup) -> None:
    setup.serial.attach(setup.host)
    for _ in range(HIGH_WATER + 100):
        if not setup.lsr() & 0x20:
            break
        setup.outb(0x2E)
    assert not setup.lsr() & 0x20
    await until(lambda: setup.lsr() & 0x20)
    assert len(setup.host.got) >= HIGH_WATER


async def test_disconnect_drops_what_nobody_takes_and_frees_the_transmitter(setup: Setup) -> None:
    setup.serial.attach(setup.host)
    setup.host.appetite = 0
    setup.outb(*b"lost")
    await until(lambda: setup.host.writes)
    setup.outb(ord("!"))
    assert setup.lsr() & 0x60 == 0
    setup.serial.closed()
    assert setup.lsr() & 0x60 == 0x60
    setup.host.appetite = None
    setup.serial.opened(setup.host)
    setup.outb(*b"kept")
    await until(lambda: setup.host.got.endswith(b"kept"))
    assert b"lost" not in setup.host.got


async def test_input_fills_the_fifo_and_pauses_the_chardev_until_the_guest_has_read(setup: Setup) -> None:
    setup.bus.outb(BASE + 2, 0x01)
    setup.serial.attach(setup.host)
    text = bytes(range(40))
    setup.serial.receive(text)
    assert setup.host.paused
    got = bytearray()
    while len(got) < 40:
        while setup.lsr() & 1:
            got.append(setup.bus.inb(BASE))
        setup.bus.run(2_000_000)
    assert got == text
    await until(lambda: not setup.host.paused)
    assert setup.host.pauses == 1


async def test_next_burst_of_input_waits_a_moment_so_that_the_guests_handler_can_return(setup: Setup) -> None:
    setup.bus.outb(BASE + 2, 0x01)
    setup.serial.attach(setup.host)
    setup.serial.receive(bytes(17))
    for _ in range(16):
        setup.bus.inb(BASE)
    assert not setup.lsr() & 1
    setup.bus.run(2_000_000)
    assert setup.lsr() & 1


async def test_input_that_waits_comes_after_loopback_ends(setup: Setup) -> None:
    setup.serial.attach(setup.host)
    setup.bus.outb(BASE + 4, 0x18)
    setup.serial.receive(b"x")
    assert not setup.lsr() & 1
    setup.bus.outb(BASE + 4, 0x08)
    setup.bus.run(2_000_000)
    assert setup.bus.inb(BASE) == ord("x")


async def test_loaded_transmitter_that_was_busy_goes_on_with_this_machines_chardev(setup: Setup) -> None:
    setup.serial.attach(setup.host)
    setup.host.appetite = 0
    setup.outb(ord("a"))
    await until(lambda: setup.host.writes)
    setup.outb(ord("b"))
    assert setup.lsr() & 0x60 == 0
    other = Setup()
    other.serial.attach(other.host)
    other.serial.uart.load(setup.serial.uart.save())
    with other.lock:
        other.serial.resync()
    await until(lambda: other.host.got == b"b")
    assert other.lsr() & 0x60 == 0x60


async def test_debug_console_reads_e9_and_passes_its_output_on(setup: Setup) -> None:
    port = DebugConsolePort(setup.lock)
    setup.bus.ports.map(0x402, 1, port.console.read, port.console.write, name="debug-console")
    port.attach(setup.host)
    assert setup.bus.inb(0x402) == 0xE9
    setup.bus.outb(0x402, *b"boot")
    await until(lambda: setup.host.got == b"boot")


async def test_debug_console_that_nobody_reads_is_bounded(setup: Setup) -> None:
    port = DebugConsolePort(setup.lock)
    port.attach(setup.host)
    setup.host.appetite = 0
    for _ in range(LIMIT + 10):
        port.console.write(0, 1, 0)
    setup.host.feed(None)
    await until(lambda: len(setup.host.got) == LIMIT)
