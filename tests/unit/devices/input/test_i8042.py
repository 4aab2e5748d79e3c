"""The keyboard controller with both its devices against a bare bus."""

from __future__ import annotations

import pytest
from tests.support.bus import Bus, Wire

from varan.devices.input.i8042 import I8042
from varan.devices.input.ps2_keyboard import Ps2Keyboard
from varan.devices.input.ps2_mouse import Ps2Mouse

DATA, COMMAND = 0x60, 0x64


class Setup:
    def __init__(self) -> None:
        self.bus = Bus()
        self.irq1, self.irq12 = Wire(), Wire()
        self.a20: list[bool] = []
        self.resets: list[int] = []
        self.keyboard, self.mouse = Ps2Keyboard(), Ps2Mouse()
        self.controller = I8042(
            self.keyboard, self.mouse, (self.irq1, self.irq12), self.a20.append, lambda: self.resets.append(1)
        )
        self.controller.map(self.bus.ports)

    def command(self, command: int, *arguments: int) -> None:
        self.bus.outb(COMMAND, command)
        self.bus.outb(DATA, *arguments)

    def status(self) -> int:
        return self.bus.inb(COMMAND)

    def read(self) -> list[int]:
        """All bytes that come out of the output buffer."""
        out = []
        while self.status() & 1:
            out.append(self.bus.inb(DATA))
        return out

    def ask(self, command: int) -> list[int]:
        self.command(command)
        return self.read()

    def keyboard_says(self, *values: int) -> list[int]:
        self.bus.outb(DATA, *values)
        return self.read()

    def mouse_says(self, *values: int) -> list[int]:
        out = []
        for value in values:
            self.command(0xD4, value)
            out += self.read()
        return out


@pytest.fixture
def setup() -> Setup:
    return Setup()


@pytest.fixture
def raw(setup: Setup) -> Setup:
    """With translation off, mouse and both interrupts on."""
    setup.command(0x60, 0x07)
    return setup


def test_self_tests_pass(setup: Setup) -> None:
    assert [setup.ask(command) for command in (0xAA, 0xAB, 0xA9)] == [[0x55], [0x00], [0x00]]


def test_command_byte_and_ram_read_back(setup: Setup) -> None:
    assert setup.ask(0x20) == [0x65]
    setup.command(0x60, 0x47)
    setup.command(0x65, 0x99)
    assert setup.ask(0x20) == [0x47]
    assert setup.ask(0x25) == [0x99]


def test_status_tells_command_from_data_and_the_system_flag(setup: Setup) -> None:
    setup.command(0xAE)
    assert setup.status() == 0x1C
    setup.bus.outb(DATA, 0xEE)
    assert setup.status() == 0x15


def test_empty_output_buffer_reads_zero(setup: Setup) -> None:
    assert setup.bus.inb(DATA) == 0


def test_password_input_port_and_test_inputs(setup: Setup) -> None:
    assert [setup.ask(command) for command in (0xA4, 0xC0, 0xE0)] == [[0xF1], [0x80], [0x00]]


def test_enable_and_disable_commands_set_the_command_byte(setup: Setup) -> None:
    for command, byte in ((0xAD, 0x75), (0xAE, 0x65), (0xA8, 0x45), (0xA7, 0x65)):
        setup.command(command)
        assert setup.ask(0x20) == [byte]


def test_a20_follows_the_output_port_and_its_commands(setup: Setup) -> None:
    setup.command(0xD1, 0x01)
    setup.command(0xDF)
    setup.command(0xDD)
    assert setup.a20 == [False, True, False]
    assert setup.ask(0xD0) == [0x01]


def test_reset_line_is_pulsed_by_fe_and_by_the_output_port(setup: Setup) -> None:
    setup.command(0xFE)
    setup.command(0xD1, 0x02)
    assert len(setup.resets) == 2


def test_pulse_of_other_lines_resets_nothing(setup: Setup) -> None:
    setup.command(0xFF)
    assert not setup.resets


def test_loop_commands_show_bytes_as_keyboards_and_as_mouses(raw: Setup) -> None:
    raw.command(0xD2, 0x12)
    assert raw.status() & 0x21 == 0x01
    assert (raw.irq1.level, raw.irq12.level) == (1, 0)
    raw.read()
    raw.command(0xD3, 0x34)
    assert raw.status() & 0x21 == 0x21
    assert (raw.irq1.level, raw.irq12.level) == (0, 1)
    assert raw.read() == [0x34]
    assert raw.irq12.level == 0


def test_each_byte_gives_an_edge(raw: Setup) -> None:
    raw.keyboard.press(b"\x1c\xf0\x1c")
    assert raw.irq1.rises == 1
    assert raw.read() == [0x1C, 0xF0, 0x1C]
    assert raw.irq1.rises == 3


def test_interrupts_are_enabled_by_the_command_byte(setup: Setup) -> None:
    setup.command(0x60, 0x00)
    setup.keyboard.press(b"\x1c")
    assert setup.irq1.level == 0
    setup.command(0x60, 0x01)
    assert setup.irq1.level == 1


def test_disabled_keyboard_keeps_its_bytes(raw: Setup) -> None:
    raw.command(0xAD)
    raw.keyboard.press(b"\x1c")
    assert raw.status() & 1 == 0
    raw.command(0xAE)
    assert raw.read() == [0x1C]


def test_writing_to_the_keyboard_enables_it(raw: Setup) -> None:
    raw.command(0xAD)
    assert raw.keyboard_says(0xEE) == [0xEE]


@pytest.mark.parametrize(
    ("set2", "set1"),
    [
        (b"\x1c", [0x1E]),
        (b"\xf0\x1c", [0x9E]),
        (b"\xe0\x75", [0xE0, 0x48]),
        (b"\xe0\xf0\x75", [0xE0, 0xC8]),
        (b"\x83", [0x41]),
        (b"\xf0\x83", [0xC1]),
        (b"\x5a\x29\x76\x66\x0d", [0x1C, 0x39, 0x01, 0x0E, 0x0F]),
    ],
)
def test_translation_gives_scan_code_set_1(setup: Setup, set2: bytes, set1: list[int]) -> None:
    setup.keyboard.press(set2)
    assert setup.read() == set1


def test_translation_is_one_to_one() -> None:
    from varan.devices.input.i8042 import SET_2_TO_1

    assert len(SET_2_TO_1) == len(set(SET_2_TO_1)) == 128


def test_keyboard_resets_identifies_and_echoes(raw: Setup) -> None:
    assert raw.keyboard_says(0xFF) == [0xFA, 0xAA]
    assert raw.keyboard_says(0xF2) == [0xFA, 0xAB, 0x83]
    assert raw.keyboard_says(0xEE) == [0xEE]
    assert raw.keyboard_says(0xFE) == [0xEE]


def test_keyboard_takes_leds_and_typematic_rate(raw: Setup) -> None:
    assert raw.keyboard_says(0xED, 0x05) == [0xFA, 0xFA]
    assert raw.keyboard_says(0xF3, 0x7F) == [0xFA, 0xFA]
    assert (raw.keyboard.state.leds, raw.keyboard.state.typematic) == (5, 0x7F)


def test_keyboard_tells_and_changes_its_scan_code_set(raw: Setup) -> None:
    assert raw.keyboard_says(0xF0, 0x00) == [0xFA, 0xFA, 0x02]
    assert raw.keyboard_says(0xF0, 0x03) == [0xFA, 0xFA]
    assert raw.keyboard_says(0xF0, 0x00) == [0xFA, 0xFA, 0x03]
    assert raw.keyboard_says(0xF0, 0x09) == [0xFA, 0xFE]


def test_keyboard_takes_a_command_where_it_expects_an_argument(raw: Setup) -> None:
    assert raw.keyboard_says(0xED, 0xF2) == [0xFA, 0xFA, 0xAB, 0x83]


def test_keyboard_that_is_disabled_sends_no_keys(raw: Setup) -> None:
    raw.keyboard_says(0xF5)
    assert not raw.keyboard.press(b"\x1c")
    raw.keyboard_says(0xF4)
    assert raw.keyboard.press(b"\x1c")


def test_keyboard_asks_to_repeat_an_unknown_command(raw: Setup) -> None:
    assert raw.keyboard_says(0xEF) == [0xFE]


def test_keys_that_nobody_reads_are_bounded(raw: Setup) -> None:
    assert sum(raw.keyboard.press(b"\x1c") for _ in range(100)) == 17


def test_mouse_resets_and_identifies(raw: Setup) -> None:
    assert raw.mouse_says(0xFF) == [0xFA, 0xAA, 0x00]
    assert raw.mouse_says(0xF2) == [0xFA, 0x00]


def test_mouse_sends_motion_once_enabled(raw: Setup) -> None:
    raw.mouse.move(1, 1, 0, 0)
    assert raw.read() == []
    raw.mouse_says(0xF6, 0xF4)
    raw.mouse.move(5, -3, 0, 1)
    assert raw.status() & 0x20
    assert raw.read() == [0x29, 0x05, 0xFD]


def test_mouse_has_a_wheel_after_the_knock(raw: Setup) -> None:
    raw.mouse_says(0xF3, 200, 0xF3, 100, 0xF3, 80)
    assert raw.mouse_says(0xF2) == [0xFA, 0x03]
    raw.mouse_says(0xF4)
    raw.mouse.move(0, 0, -1, 0)
    assert raw.read() == [0x08, 0x00, 0x00, 0xFF]


def test_mouse_motion_that_nobody_reads_is_summed_up(raw: Setup) -> None:
    raw.mouse_says(0xF4)
    for _ in range(50):
        raw.mouse.move(2, 0, 0, 0)
    packets = raw.read()
    assert len(packets) % 3 == 0
    assert sum(packets[1::3]) == 100


def test_mouse_reports_its_settings(raw: Setup) -> None:
    raw.mouse_says(0xE8, 3, 0xF3, 60, 0xE7, 0xF4)
    raw.mouse.move(0, 0, 0, 2)
    raw.read()
    assert raw.mouse_says(0xE9) == [0xFA, 0x31, 3, 60]


def test_mouse_in_remote_mode_sends_when_asked(raw: Setup) -> None:
    raw.mouse_says(0xF0, 0xF4)
    raw.mouse.move(7, 0, 0, 0)
    assert raw.read() == []
    assert raw.mouse_says(0xEB) == [0xFA, 0x08, 0x07, 0x00]


def test_mouse_in_wrap_mode_gives_bytes_back(raw: Setup) -> None:
    assert raw.mouse_says(0xEE, 0x42, 0xEC) == [0xFA, 0x42, 0xFA]


def test_replies_that_nobody_reads_are_bounded(setup: Setup) -> None:
    for _ in range(1000):
        setup.command(0xAA)
        setup.bus.outb(DATA, 0xF2)
    assert len(setup.read()) < 100
