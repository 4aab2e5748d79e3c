"""The 16550A against a bare bus, by the sections of its data sheet."""

from __future__ import annotations

import pytest
from tests.support.bus import Bus, Wire

from varan.devices.char.uart16550 import Uart16550

BASE = 0x3F8
DATA, IER, IIR, FCR, LCR, MCR, LSR, MSR, SCR = (BASE + offset for offset in (0, 1, 2, 2, 3, 4, 5, 6, 7))
CHARACTER = 1_041_666
"""Nanoseconds of one character at 9600 baud, the divisor after reset."""


class Setup:
    def __init__(self) -> None:
        self.bus = Bus()
        self.irq = Wire()
        self.sent = bytearray()
        self.uart = Uart16550(self.bus.clock, self.bus.timers, self.sent.append, self.irq)
        self.bus.ports.map(BASE, 8, self.uart.read, self.uart.write, name="uart")
        self.bus.outb(MCR, 0x0B)

    def iir(self) -> int:
        return self.bus.inb(IIR) & 0x0F


@pytest.fixture
def setup() -> Setup:
    return Setup()


@pytest.fixture
def fifo(setup: Setup) -> Setup:
    setup.bus.outb(FCR, 0x81)
    return setup


def test_transmitter_is_ready_again_at_once(setup: Setup) -> None:
    setup.bus.outb(DATA, *b"hello")
    assert setup.sent == b"hello"
    assert setup.bus.inb(LSR) == 0x60


def test_divisor_is_behind_dlab_and_scratch_keeps_its_value(setup: Setup) -> None:
    setup.bus.outb(LCR, 0x83)
    setup.bus.outb(DATA, 0x01)
    setup.bus.outb(IER, 0x02)
    assert [setup.bus.inb(DATA), setup.bus.inb(IER)] == [0x01, 0x02]
    setup.bus.outb(LCR, 0x03)
    assert [setup.bus.inb(DATA), setup.bus.inb(IER), setup.bus.inb(LCR)] == [0, 0, 3]
    setup.bus.outb(SCR, 0x5A)
    assert setup.bus.inb(SCR) == 0x5A
    assert not setup.sent


def test_unused_bits_of_ier_and_mcr_read_zero(setup: Setup) -> None:
    setup.bus.outb(IER, 0xFF)
    setup.bus.outb(MCR, 0xFF)
    assert [setup.bus.inb(IER), setup.bus.inb(MCR)] == [0x0F, 0x1F]


def test_fifo_bits_of_iir_show_that_fifos_are_on(setup: Setup) -> None:
    assert setup.bus.inb(IIR) == 0x01
    setup.bus.outb(FCR, 0x01)
    assert setup.bus.inb(IIR) == 0xC1


def test_received_character_sets_data_ready_until_it_is_read(setup: Setup) -> None:
    assert setup.uart.receive(b"xyz") == 1
    assert setup.bus.inb(LSR) == 0x61
    assert setup.bus.inb(DATA) == ord("x")
    assert setup.bus.inb(LSR) == 0x60


def test_fifo_takes_sixteen_characters(fifo: Setup) -> None:
    assert fifo.uart.receive(bytes(range(20))) == 16
    assert [fifo.bus.inb(DATA) for _ in range(16)] == list(range(16))
    assert fifo.bus.inb(LSR) == 0x60


@pytest.mark.parametrize(("fcr", "trigger"), [(0x01, 1), (0x41, 4), (0x81, 8), (0xC1, 14)])
def test_data_interrupt_comes_at_the_trigger_level_and_goes_below_it(setup: Setup, fcr: int, trigger: int) -> None:
    setup.bus.outb(FCR, fcr)
    setup.bus.outb(IER, 0x01)
    setup.uart.receive(bytes(trigger - 1))
    assert setup.irq.level == 0
    setup.uart.receive(b"!")
    assert (setup.irq.level, setup.iir()) == (1, 0x04)
    setup.bus.inb(DATA)
    assert (setup.irq.level, setup.iir()) == (0, 0x01)


def test_character_timeout_comes_after_four_character_times(fifo: Setup) -> None:
    fifo.bus.outb(IER, 0x01)
    fifo.uart.receive(b"ab")
    fifo.bus.run(4 * CHARACTER - 10)
    assert fifo.irq.level == 0
    fifo.bus.run(20)
    assert (fifo.irq.level, fifo.iir()) == (1, 0x0C)


def test_character_timeout_starts_again_with_each_read_and_character(fifo: Setup) -> None:
    fifo.bus.outb(IER, 0x01)
    fifo.uart.receive(b"abc")
    fifo.bus.run(3 * CHARACTER)
    fifo.bus.inb(DATA)
    fifo.bus.run(3 * CHARACTER)
    fifo.uart.receive(b"d")
    fifo.bus.run(3 * CHARACTER)
    assert fifo.irq.level == 0
    fifo.bus.run(2 * CHARACTER)
    assert fifo.irq.level == 1
    fifo.bus.inb(DATA)
    assert fifo.irq.level == 0


def test_no_timeout_while_the_fifo_is_empty_or_its_interrupt_off(fifo: Setup) -> None:
    fifo.uart.receive(b"a")
    assert fifo.bus.timers.run_due() is None
    fifo.bus.outb(IER, 0x01)
    assert fifo.bus.timers.run_due() is not None
    fifo.bus.inb(DATA)
    assert fifo.bus.timers.run_due() is None


def test_thre_interrupt_comes_when_enabled_and_goes_when_identified(setup: Setup) -> None:
    setup.bus.outb(IER, 0x02)
    assert setup.irq.level == 1
    assert setup.iir() == 0x02
    assert setup.irq.level == 0
    assert setup.iir() == 0x01


def test_thre_interrupt_comes_again_when_enabled_again(setup: Setup) -> None:
    setup.bus.outb(IER, 0x02)
    setup.iir()
    setup.bus.outb(IER, 0x00)
    setup.bus.outb(IER, 0x02)
    assert setup.iir() == 0x02


def test_thre_interrupt_follows_each_transmission(setup: Setup) -> None:
    setup.bus.outb(IER, 0x02)
    setup.iir()
    setup.bus.outb(DATA, 1)
    assert (setup.irq.level, setup.irq.rises) == (1, 2)
    setup.bus.outb(DATA, 2)
    assert (setup.irq.level, setup.irq.rises) == (1, 3)


def test_thre_is_not_cleared_by_identifying_a_higher_interrupt(setup: Setup) -> None:
    setup.bus.outb(IER, 0x03)
    setup.uart.receive(b"a")
    assert setup.iir() == 0x04
    setup.bus.inb(DATA)
    assert setup.iir() == 0x02


def test_interrupts_are_identified_in_the_order_of_priority(setup: Setup) -> None:
    setup.bus.outb(IER, 0x0F)
    setup.uart.set_modem(0x00)
    setup.uart.receive_break()
    order = []
    order.append(setup.iir())
    setup.bus.inb(LSR)
    order.append(setup.iir())
    setup.bus.inb(DATA)
    order.append(setup.iir())
    order.append(setup.iir())
    setup.bus.inb(MSR)
    order.append(setup.iir())
    assert order == [0x06, 0x04, 0x02, 0x00, 0x01]


def test_out2_connects_the_interrupt_line(setup: Setup) -> None:
    setup.bus.outb(MCR, 0x03)
    setup.bus.outb(IER, 0x02)
    assert setup.irq.level == 0
    setup.bus.outb(MCR, 0x0B)
    assert setup.irq.level == 1


def test_received_break_is_a_zero_with_break_set_until_lsr_is_read(fifo: Setup) -> None:
    fifo.uart.receive(b"a")
    fifo.uart.receive_break()
    assert fifo.bus.inb(LSR) == 0xE1
    fifo.bus.inb(DATA)
    assert fifo.bus.inb(LSR) == 0xF1
    assert fifo.bus.inb(LSR) == 0x61
    assert fifo.bus.inb(DATA) == 0


def test_break_control_is_reported(setup: Setup) -> None:
    seen: list[bool] = []
    setup.uart.on_break = seen.append
    setup.bus.outb(LCR, 0x43, 0x43, 0x03)
    assert seen == [True, False]


def test_modem_lines_are_up_at_first_and_changes_are_remembered_once(setup: Setup) -> None:
    assert setup.bus.inb(MSR) == 0xB0
    setup.uart.set_modem(0x30)
    assert setup.bus.inb(MSR) == 0x38
    assert setup.bus.inb(MSR) == 0x30


def test_trailing_edge_of_ring_is_reported_and_its_beginning_is_not(setup: Setup) -> None:
    setup.uart.set_modem(0xF0)
    assert setup.bus.inb(MSR) == 0xF0
    setup.uart.set_modem(0xB0)
    assert setup.bus.inb(MSR) == 0xB4


def test_loopback_receives_what_is_transmitted(setup: Setup) -> None:
    setup.bus.outb(MCR, 0x1B)
    setup.bus.outb(DATA, 0x42)
    assert not setup.sent
    assert setup.bus.inb(DATA) == 0x42
    assert setup.uart.receive(b"x") == 0


def test_loopback_connects_modem_outputs_to_inputs(setup: Setup) -> None:
    for mcr, msr in ((0x10, 0x00), (0x11, 0x20), (0x12, 0x10), (0x14, 0x40), (0x18, 0x80)):
        setup.bus.outb(MCR, mcr)
        assert setup.bus.inb(MSR) & 0xF0 == msr


def test_overrun_replaces_the_character_without_fifos(setup: Setup) -> None:
    setup.bus.outb(MCR, 0x1B)
    setup.bus.outb(DATA, 1, 2)
    assert setup.bus.inb(LSR) & 0x02
    assert not setup.bus.inb(LSR) & 0x02
    assert setup.bus.inb(DATA) == 2


def test_overrun_drops_the_character_with_fifos(fifo: Setup) -> None:
    fifo.bus.outb(MCR, 0x1B)
    fifo.bus.outb(DATA, *range(17))
    assert fifo.bus.inb(LSR) & 0x02
    assert [fifo.bus.inb(DATA) for _ in range(16)] == list(range(16))
    assert not fifo.bus.inb(LSR) & 0x01


def test_clearing_the_receiver_fifo_drops_its_characters(fifo: Setup) -> None:
    fifo.uart.receive(b"abc")
    fifo.bus.outb(FCR, 0x83)
    assert fifo.bus.inb(LSR) == 0x60


def test_changing_the_fifo_mode_drops_characters(fifo: Setup) -> None:
    fifo.uart.receive(b"abc")
    fifo.bus.outb(FCR, 0x00)
    assert fifo.bus.inb(LSR) == 0x60
    assert fifo.uart.room == 1


def test_blocked_host_end_keeps_the_transmitter_busy_and_loses_nothing(fifo: Setup) -> None:
    fifo.uart.set_blocked(True)
    fifo.bus.outb(DATA, *b"abc")
    assert fifo.bus.inb(LSR) == 0x00
    fifo.bus.outb(IER, 0x02)
    assert fifo.irq.level == 0
    fifo.uart.set_blocked(False)
    assert fifo.sent == b"abc"
    assert fifo.bus.inb(LSR) == 0x60
    assert fifo.irq.level == 1


def test_drained_is_called_when_the_last_character_is_read(fifo: Setup) -> None:
    calls: list[int] = []
    fifo.uart.on_drained = lambda: calls.append(1)
    fifo.uart.receive(b"ab")
    fifo.bus.inb(DATA)
    assert not calls
    fifo.bus.inb(DATA)
    assert calls


@pytest.mark.parametrize(("base", "nanoseconds"), [(115_200, 1_041_666), (1_152_000, 104_166)])
def test_a_character_takes_ten_bits_at_the_speed_set(base: int, nanoseconds: int) -> None:
    bus = Bus()
    uart = Uart16550(bus.clock, bus.timers, lambda value: None, baud_base=base)
    assert uart.character_time() == nanoseconds
