from __future__ import annotations

import pytest
from tests.support.bus import Bus, Wire

from varan.api.values import InputAxis, InputButton, QKeyCode
from varan.devices.input import keys
from varan.devices.input.i8042 import I8042
from varan.devices.input.ps2_keyboard import Ps2Keyboard
from varan.devices.input.ps2_mouse import Ps2Mouse
from varan.devices.input.ps2_sinks import KeyboardSink, MouseSink

REAL = set(QKeyCode) - {QKeyCode.UNMAPPED}


@pytest.mark.parametrize(
    ("name", "number", "linux", "pressed", "released"),
    [
        ("esc", 0x01, 1, "76", "f076"),
        ("a", 0x1E, 30, "1c", "f01c"),
        ("spc", 0x39, 57, "29", "f029"),
        ("f7", 0x41, 65, "83", "f083"),
        ("f12", 0x58, 88, "07", "f007"),
        ("up", 0xC8, 103, "e075", "e0f075"),
        ("ctrl_r", 0x9D, 97, "e014", "e0f014"),
        ("meta_l", 0xDB, 125, "e01f", "e0f01f"),
        ("print", 0xB7, 99, "e012e07c", "e0f07ce0f012"),
        ("pause", 0xC6, 119, "e11477e1f014f077", ""),
        ("asterisk", 0x37, 55, "7c", "f07c"),
        ("kp_5", 0x4C, 76, "73", "f073"),
    ],
)
def test_keys_have_the_standards_numbers(name: str, number: int, linux: int, pressed: str, released: str) -> None:
    code = QKeyCode(name)
    assert (keys.key_number(code), keys.linux_key(code)) == (number, linux)
    assert (keys.scan_codes(code, True).hex(), keys.scan_codes(code, False).hex()) == (pressed, released)


def test_every_key_has_numbers_and_is_found_by_them() -> None:
    for code in REAL:
        number = keys.key_number(code)
        assert number is not None and keys.linux_key(code)
        assert keys.key_number(keys.by_number(number)) == number
    assert keys.by_number(0) is keys.by_number(5000) is QKeyCode.UNMAPPED
    assert keys.scan_codes(QKeyCode.UNMAPPED, True) == b""
    assert keys.by_number(0x37) is QKeyCode.KP_MULTIPLY


def test_the_controller_translates_to_the_keys_own_number() -> None:
    for code in REAL - {QKeyCode.PAUSE, QKeyCode.PRINT}:
        sent = keys.scan_codes(code, True)
        if not sent:
            continue
        bus, keyboard = Bus(), Ps2Keyboard()
        I8042(keyboard, Ps2Mouse(), (Wire(), Wire()), lambda on: None, lambda: None).map(bus.ports)
        KeyboardSink(keyboard).key(code, True)
        got = [bus.inb(0x60) for _ in sent]
        number = keys.key_number(code)
        assert number is not None
        assert got == ([0xE0, number & 0x7F] if number & keys.EXTENDED else [number]), code


def test_a_mouse_gathers_one_movement() -> None:
    mouse = Ps2Mouse()
    mouse.write(0xF4)
    mouse.take()
    sink = MouseSink(mouse)
    sink.motion(InputAxis.X, 5)
    sink.motion(InputAxis.Y, 3)
    sink.motion(InputAxis.X, 1)
    sink.button(InputButton.LEFT, True)
    sink.sync()
    assert [mouse.take() for _ in range(3)] == [0x29, 6, 0xFD]
    sink.button(InputButton.LEFT, False)
    sink.button(InputButton.SIDE, True)
    sink.sync()
    assert [mouse.take() for _ in range(3)] == [0x08, 0, 0]


def test_a_wheel_is_turned_by_clicks() -> None:
    mouse = Ps2Mouse()
    for rate in (200, 100, 80):
        mouse.write(0xF3)
        mouse.write(rate)
    mouse.write(0xF4)
    while mouse.take() is not None:
        pass
    sink = MouseSink(mouse)
    for down in (True, False):
        sink.button(InputButton.WHEEL_UP, down)
    sink.sync()
    assert [mouse.take() for _ in range(4)] == [0x08, 0, 0, 0xFF]
