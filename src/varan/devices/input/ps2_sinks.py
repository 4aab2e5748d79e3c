"""The PS/2 keyboard and mouse as takers of what users do."""

from __future__ import annotations

from varan.api.values import InputAxis, InputButton, QKeyCode
from varan.core.input import BUTTONS, KEYS, MOTION, InputSink
from varan.devices.input.keys import scan_codes
from varan.devices.input.ps2_keyboard import Ps2Keyboard
from varan.devices.input.ps2_mouse import Ps2Mouse

_BITS = {InputButton.LEFT: 1, InputButton.RIGHT: 2, InputButton.MIDDLE: 4}
_WHEEL = {InputButton.WHEEL_UP: -1, InputButton.WHEEL_DOWN: 1}


class KeyboardSink(InputSink):
    """Keys become scan codes; those for which the keyboard has no room are lost."""

    name = "Varan PS/2 Keyboard"
    takes = KEYS

    def __init__(self, keyboard: Ps2Keyboard) -> None:
        self._keyboard = keyboard

    def key(self, code: QKeyCode, down: bool) -> None:
        data = scan_codes(code, down)
        if data:
            self._keyboard.press(data)


class MouseSink(InputSink):
    """Motion and buttons are gathered into one movement."""

    name = "Varan PS/2 Mouse"
    takes = BUTTONS | MOTION

    def __init__(self, mouse: Ps2Mouse) -> None:
        self._mouse = mouse
        self._buttons = 0
        self._right = self._down = self._wheel = 0

    def button(self, button: InputButton, down: bool) -> None:
        if down:
            self._wheel += _WHEEL.get(button, 0)
        bit = _BITS.get(button, 0)
        self._buttons = self._buttons | bit if down else self._buttons & ~bit

    def motion(self, axis: InputAxis, delta: int) -> None:
        if axis is InputAxis.X:
            self._right += delta
        else:
            self._down += delta

    def sync(self) -> None:
        right, down, wheel = self._right, self._down, self._wheel
        self._right = self._down = self._wheel = 0
        self._mouse.move(right, -down, wheel, self._buttons)
