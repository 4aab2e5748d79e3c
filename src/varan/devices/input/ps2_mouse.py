"""A PS/2 mouse with three buttons, and a wheel for hosts that knock for it (sample rates 200, 100, 80)."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from varan.devices.fields import Byte
from varan.devices.input.ps2 import ACK, QUEUE_SIZE, RESEND, TEST_PASSED, Ps2Device, Ps2State

SCALING_1_1 = 0xE6
SCALING_2_1 = 0xE7
RESOLUTION = 0xE8
STATUS = 0xE9
STREAM_MODE = 0xEA
READ_DATA = 0xEB
WRAP_RESET = 0xEC
WRAP_MODE = 0xEE
REMOTE_MODE = 0xF0
IDENTIFY = 0xF2
SAMPLE_RATE = 0xF3
ENABLE = 0xF4
DISABLE = 0xF5
DEFAULTS = 0xF6
RESET = 0xFF

WHEEL_KNOCK = [200, 100, 80]
STANDARD_ID = 0
WHEEL_ID = 3
PACKET_SIZE_LIMIT = 4
MOTION_LIMIT = 255
"""Counts one packet can carry."""

PACKET_ALWAYS = 0x08
PACKET_X_SIGN = 0x10
PACKET_Y_SIGN = 0x20
STATUS_SCALING = 0x10
STATUS_ENABLED = 0x20
STATUS_REMOTE = 0x40


class MouseState(Ps2State, kw_only=True):
    """What the host has set, and motion not sent yet."""

    enabled: bool = False
    remote: bool = False
    wrap: bool = False
    scaling: bool = False
    resolution: Byte = 2
    rate: Byte = 100
    id: Byte = STANDARD_ID
    rates: Annotated[list[Byte], Meta(max_length=len(WHEEL_KNOCK))] = msgspec.field(default_factory=list)
    """The last three sample rates set."""
    dx: int = 0
    dy: int = 0
    dz: int = 0
    buttons: Annotated[int, Meta(ge=0, le=7)] = 0
    """Bit 0 left, 1 right, 2 middle."""


def clamp(value: int, limit: int) -> int:
    """`value` brought into -limit to limit."""
    return max(-limit, min(limit, value))


class Ps2Mouse(Ps2Device[MouseState]):
    """The mouse. `move` takes host motion."""

    state_type = MouseState

    def move(self, dx: int, dy: int, dz: int, buttons: int) -> None:
        """Motion right, up and of the wheel towards the user, in counts; `buttons` as in `MouseState`."""
        state = self.state
        changed = buttons != state.buttons or dx or dy or dz
        if changed:
            self.on_input()
        state.buttons = buttons & 7
        state.dx = clamp(state.dx + dx, 4 * MOTION_LIMIT)
        state.dy = clamp(state.dy + dy, 4 * MOTION_LIMIT)
        state.dz = clamp(state.dz + dz, 7)
        if changed and state.enabled and not state.remote and not state.wrap:
            self._report()
            self.on_data()

    def take(self) -> int | None:
        value = super().take()
        state = self.state
        if value is not None and not state.queue and state.enabled and not state.remote and state.dx | state.dy:
            self._report()
        return value

    def write(self, value: int) -> None:
        state = self.state
        command, state.command = state.command, 0
        if state.wrap and value not in (WRAP_RESET, RESET):
            self.reply(value)
        elif command == SAMPLE_RATE:
            self._set_rate(value)
        elif command == RESOLUTION:
            state.resolution = value & 3
            self.reply(ACK)
        else:
            self._command(value)

    def _set_rate(self, value: int) -> None:
        state = self.state
        state.rate = value
        state.rates = [*state.rates, value][-3:]
        if state.rates == WHEEL_KNOCK:
            state.id = WHEEL_ID
        self.reply(ACK)

    def _command(self, value: int) -> None:
        state = self.state
        if value in (SAMPLE_RATE, RESOLUTION):
            state.command = value
        elif value in (SCALING_1_1, SCALING_2_1):
            state.scaling = value == SCALING_2_1
        elif value in (STREAM_MODE, REMOTE_MODE):
            state.remote = value == REMOTE_MODE
        elif value in (WRAP_MODE, WRAP_RESET):
            state.wrap = value == WRAP_MODE
        elif value in (ENABLE, DISABLE):
            state.enabled = value == ENABLE
        elif value in (DEFAULTS, RESET):
            state.queue.clear()
            self._defaults()
        elif value not in (STATUS, READ_DATA, IDENTIFY):
            self.reply(RESEND)
            return
        self.reply(ACK, *self._data(value))

    def _data(self, command: int) -> tuple[int, ...]:
        """What follows the acknowledgement of `command`."""
        state = self.state
        if command == IDENTIFY:
            return (state.id,)
        if command == READ_DATA:
            return tuple(self._packet())
        if command == RESET:
            state.id = STANDARD_ID
            return (TEST_PASSED, STANDARD_ID)
        if command == STATUS:
            left, right, middle = state.buttons & 1, state.buttons >> 1 & 1, state.buttons >> 2
            flags = left << 2 | middle << 1 | right
            flags |= STATUS_SCALING if state.scaling else 0
            flags |= STATUS_ENABLED if state.enabled else 0
            flags |= STATUS_REMOTE if state.remote else 0
            return (flags, state.resolution, state.rate)
        return ()

    def _defaults(self) -> None:
        state = self.state
        state.enabled = state.remote = state.wrap = state.scaling = False
        state.resolution, state.rate, state.rates = 2, 100, []
        state.dx = state.dy = state.dz = 0

    def _packet(self) -> bytes:
        """Motion since the last packet, as far as one carries it."""
        state = self.state
        dx, dy, dz = clamp(state.dx, MOTION_LIMIT), clamp(state.dy, MOTION_LIMIT), state.dz
        state.dx -= dx
        state.dy -= dy
        state.dz = 0
        flags = PACKET_ALWAYS | state.buttons
        flags |= PACKET_X_SIGN if dx < 0 else 0
        flags |= PACKET_Y_SIGN if dy < 0 else 0
        packet = bytes((flags, dx & 0xFF, dy & 0xFF))
        return packet + bytes((dz & 0xFF,)) if state.id == WHEEL_ID else packet

    def _report(self) -> None:
        """Queue a packet if there is room; motion waits in the counters otherwise."""
        if len(self.state.queue) + PACKET_SIZE_LIMIT <= QUEUE_SIZE:
            self.state.queue.extend(self._packet())
