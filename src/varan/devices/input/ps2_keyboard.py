"""A PS/2 keyboard (101 keys, scan code sets 1 to 3 selectable, set 2 sent)."""

from __future__ import annotations

from varan.devices.fields import Byte
from varan.devices.input.ps2 import ACK, RESEND, TEST_PASSED, Ps2Device, Ps2State

SET_LEDS = 0xED
ECHO = 0xEE
SCAN_CODE_SET = 0xF0
IDENTIFY = 0xF2
TYPEMATIC = 0xF3
ENABLE = 0xF4
DISABLE = 0xF5
DEFAULTS = 0xF6
RESEND_LAST = 0xFE
RESET = 0xFF
SET_3_KEY_TYPES = range(0xF7, 0xFE)
"""Commands that choose how keys behave in set 3: acknowledged; this keyboard sends set 2."""
IDENTITY = (0xAB, 0x83)
TYPEMATIC_DEFAULT = 0x2B
"""10.9 characters in a second after half a second."""


class KeyboardState(Ps2State, kw_only=True):
    """What the host has set."""

    scanning: bool = True
    leds: Byte = 0
    scan_code_set: Byte = 2
    typematic: Byte = TYPEMATIC_DEFAULT


class Ps2Keyboard(Ps2Device[KeyboardState]):
    """The keyboard. `press` takes scan codes as set 2 has them."""

    state_type = KeyboardState

    def press(self, code: bytes) -> bool:
        """Send a make or break code; False when scanning is off or the queue is full."""
        self.on_input()
        return self.state.scanning and self.send(code)

    def write(self, value: int) -> None:
        command, self.state.command = self.state.command, 0
        if command and value < SET_LEDS:
            self._argument(command, value)
        else:
            self._command(value)

    def _argument(self, command: int, value: int) -> None:
        state = self.state
        if command == SET_LEDS:
            state.leds = value & 7
        elif command == TYPEMATIC:
            state.typematic = value & 0x7F
        elif value == 0:
            self.reply(ACK, state.scan_code_set)
            return
        elif value > 3:
            self.reply(RESEND)
            return
        else:
            state.scan_code_set = value
        self.reply(ACK)

    def _command(self, value: int) -> None:
        state = self.state
        if value in (SET_LEDS, SCAN_CODE_SET, TYPEMATIC):
            state.command = value
            self.reply(ACK)
        elif value == ECHO:
            self.reply(ECHO)
        elif value == IDENTIFY:
            self.reply(ACK, *IDENTITY)
        elif value in (ENABLE, DISABLE, DEFAULTS):
            state.queue.clear()
            if value != ENABLE:
                self._defaults()
            state.scanning = value != DISABLE
            self.reply(ACK)
        elif value == RESEND_LAST:
            self.reply(state.last)
        elif value == RESET:
            state.queue.clear()
            state.leds = 0
            state.scanning = True
            self._defaults()
            self.reply(ACK, TEST_PASSED)
        elif value in SET_3_KEY_TYPES:
            self.reply(ACK)
        else:
            self.reply(RESEND)

    def _defaults(self) -> None:
        self.state.scan_code_set = 2
        self.state.typematic = TYPEMATIC_DEFAULT
