"""The 8042 keyboard controller: ports 60h and 64h, keyboard and mouse cables, A20 and the reset line.

One byte at a time sits in the output buffer and holds its interrupt line until it is read; the next one follows at
once, with an edge. Names of bits follow the IBM PS/2 technical reference.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from varan.core.irq import IrqLine
from varan.core.ports import PortSpace
from varan.core.state import Device, State
from varan.devices.fields import Byte
from varan.devices.input.ps2 import Ps2Device

DATA_PORT = 0x60
COMMAND_PORT = 0x64

STATUS_OBF = 0x01
STATUS_SYS = 0x04
STATUS_CMD = 0x08
STATUS_UNLOCKED = 0x10
STATUS_AUX_OBF = 0x20
CTR_KBD_INT = 0x01
CTR_AUX_INT = 0x02
CTR_SYS = 0x04
CTR_KBD_DISABLE = 0x10
CTR_AUX_DISABLE = 0x20
CTR_TRANSLATE = 0x40
OUT_RESET = 0x01
OUT_A20 = 0x02
OUT_KBD_OBF = 0x10
OUT_AUX_OBF = 0x20
INPUT_PORT = 0x80
"""Keyboard not locked."""

READ_RAM = 0x20
WRITE_RAM = 0x60
RAM_SIZE = 0x20
TEST_PASSWORD = 0xA4
NO_PASSWORD = 0xF1
AUX_DISABLE = 0xA7
AUX_ENABLE = 0xA8
AUX_TEST = 0xA9
SELF_TEST = 0xAA
SELF_TEST_PASSED = 0x55
KBD_TEST = 0xAB
KBD_DISABLE = 0xAD
KBD_ENABLE = 0xAE
READ_INPUT_PORT = 0xC0
READ_OUTPUT_PORT = 0xD0
WRITE_OUTPUT_PORT = 0xD1
WRITE_KBD_BUFFER = 0xD2
WRITE_AUX_BUFFER = 0xD3
WRITE_AUX = 0xD4
A20_OFF = 0xDD
A20_ON = 0xDF
READ_TEST_INPUTS = 0xE0
PULSE = 0xF0
WITH_ARGUMENT = frozenset({WRITE_OUTPUT_PORT, WRITE_KBD_BUFFER, WRITE_AUX_BUFFER, WRITE_AUX})

AUX = 0x100
"""In a reply: the byte seems to come from the mouse."""
REPLY_LIMIT = 16
BREAK = 0xF0
"""In scan code set 2: the key whose code follows went up."""

SET_2_TO_1 = bytes.fromhex(
    "ff43413f3d3b3c5864444240 3e0f2959 65382a701d10025a66712c1f1e11035b"
    "672e2d201205045c68392f21 1413065d 693130232215075e6a7232241608095f"
    "6b332517180b0a606c343526 27190c61 6d7328741a0d626e3a361c1b752b6376"
    "55567778797a0e7b7c4f7d4b 477e7f6f 5253504c4d480145574e514a37494654"
)
"""The controller's translation of key codes below 80h."""

Reply = Annotated[int, Meta(ge=0, le=AUX | 0xFF)]


class I8042State(State, kw_only=True):
    """The controller's registers. The command byte is `ram[0]`."""

    ram: Annotated[list[Byte], Meta(min_length=RAM_SIZE, max_length=RAM_SIZE)] = msgspec.field(
        default_factory=lambda: [CTR_KBD_INT | CTR_SYS | CTR_AUX_DISABLE | CTR_TRANSLATE] + [0] * (RAM_SIZE - 1)
    )
    output_port: Byte = OUT_RESET | OUT_A20
    output: Reply | None = None
    """The output buffer; bit 8 says that the byte is the mouse's."""
    replies: Annotated[list[Reply], Meta(max_length=REPLY_LIMIT)] = msgspec.field(default_factory=list)
    command: Byte = 0
    """A command whose argument is expected at port 60h; 0 for none."""
    wrote_command: bool = False
    break_prefix: bool = False
    """The keyboard has sent F0h, which translation folds into the next code."""


class I8042(Device[I8042State]):
    """The controller with its two cables and output lines."""

    state_type = I8042State

    def __init__(
        self,
        keyboard: Ps2Device[Any],
        mouse: Ps2Device[Any],
        irqs: tuple[IrqLine, IrqLine],
        set_a20: Callable[[bool], None],
        request_reset: Callable[[], None],
    ) -> None:
        """`irqs`: the keyboard's (IRQ 1) and the mouse's (IRQ 12)."""
        super().__init__()
        self._keyboard = keyboard
        self._mouse = mouse
        self._kbd_irq, self._aux_irq = irqs
        self._set_a20 = set_a20
        self._request_reset = request_reset
        keyboard.on_data = self._fill
        mouse.on_data = self._fill

    def map(self, ports: PortSpace) -> None:
        """Answer at the standard ports."""
        ports.map(DATA_PORT, 1, self._read_data, self._write_data, name="i8042-data")
        ports.map(COMMAND_PORT, 1, self._read_status, self._write_command, name="i8042-command")

    def restored(self) -> None:
        self._set_a20(bool(self.state.output_port & OUT_A20))
        self._drive()

    def _read_status(self, offset: int, size: int) -> int:
        state = self.state
        status = STATUS_UNLOCKED | state.ram[0] & STATUS_SYS
        if state.wrote_command:
            status |= STATUS_CMD
        if state.output is not None:
            status |= STATUS_OBF | (STATUS_AUX_OBF if state.output & AUX else 0)
        return status

    def _read_data(self, offset: int, size: int) -> int:
        state = self.state
        value, state.output = state.output, None
        if value is None:
            return 0
        self._drive()
        self._fill()
        return value & 0xFF

    def _fill(self) -> None:
        """Bring the next byte into an empty output buffer: the controller's, the keyboard's, the mouse's."""
        state = self.state
        if state.output is not None:
            return
        if state.replies:
            state.output = state.replies.pop(0)
        if state.output is None and not state.ram[0] & CTR_KBD_DISABLE:
            state.output = self._take_key()
        if state.output is None and not state.ram[0] & CTR_AUX_DISABLE:
            value = self._mouse.take()
            state.output = None if value is None else value | AUX
        if state.output is not None:
            self._drive()

    def _take_key(self) -> int | None:
        value = self._keyboard.take()
        state = self.state
        if value is None or not state.ram[0] & CTR_TRANSLATE:
            return value
        if value == BREAK:
            state.break_prefix = True
            return self._take_key()
        if value < 0x80:
            value = SET_2_TO_1[value]
        elif value in (0x83, 0x84):
            value = 0x41 if value == 0x83 else 0x54
        if state.break_prefix:
            state.break_prefix = False
            value |= 0x80
        return value

    def _drive(self) -> None:
        output, ctr = self.state.output, self.state.ram[0]
        self._kbd_irq(1 if output is not None and not output & AUX and ctr & CTR_KBD_INT else 0)
        self._aux_irq(1 if output is not None and output & AUX and ctr & CTR_AUX_INT else 0)

    def _reply(self, value: int) -> None:
        if len(self.state.replies) < REPLY_LIMIT:
            self.state.replies.append(value)
        self._fill()

    def _write_data(self, offset: int, size: int, value: int) -> None:
        state = self.state
        command, state.command = state.command, 0
        state.wrote_command = False
        if not command:
            # Talking to the keyboard needs its clock: the disable bit goes.
            state.ram[0] &= ~CTR_KBD_DISABLE
            self._keyboard.write(value)
        elif command == WRITE_OUTPUT_PORT:
            self._write_output_port(value)
        elif command == WRITE_KBD_BUFFER:
            self._reply(value)
        elif command == WRITE_AUX_BUFFER:
            self._reply(value | AUX)
        elif command == WRITE_AUX:
            state.ram[0] &= ~CTR_AUX_DISABLE
            self._mouse.write(value)
        elif WRITE_RAM <= command < WRITE_RAM + RAM_SIZE:
            self._write_ram(command - WRITE_RAM, value)

    def _write_ram(self, index: int, value: int) -> None:
        self.state.ram[index] = value
        if index == 0:
            self._drive()
            self._fill()

    def _write_output_port(self, value: int) -> None:
        self.state.output_port = value | OUT_RESET
        self._set_a20(bool(value & OUT_A20))
        if not value & OUT_RESET:
            self._request_reset()

    def _write_command(self, offset: int, size: int, value: int) -> None:
        state = self.state
        state.command = 0
        state.wrote_command = True
        if value in WITH_ARGUMENT or WRITE_RAM <= value < WRITE_RAM + RAM_SIZE:
            state.command = value
        elif READ_RAM <= value < READ_RAM + RAM_SIZE:
            self._reply(state.ram[value - READ_RAM])
        elif value >= PULSE:
            # The low four bits name output lines that are left alone.
            if not value & OUT_RESET:
                self._request_reset()
        elif value in (A20_OFF, A20_ON):
            self._write_output_port(state.output_port & ~OUT_A20 | (OUT_A20 if value == A20_ON else 0))
        elif value in (KBD_DISABLE, KBD_ENABLE, AUX_DISABLE, AUX_ENABLE):
            bit = CTR_KBD_DISABLE if value in (KBD_DISABLE, KBD_ENABLE) else CTR_AUX_DISABLE
            disable = value in (KBD_DISABLE, AUX_DISABLE)
            self._write_ram(0, state.ram[0] | bit if disable else state.ram[0] & ~bit)
        else:
            self._answer(value)

    def _answer(self, command: int) -> None:
        """Commands that only ask. Unknown ones are ignored."""
        if command == SELF_TEST:
            self.state.ram[0] |= CTR_SYS
            self._reply(SELF_TEST_PASSED)
        elif command in (AUX_TEST, KBD_TEST, READ_TEST_INPUTS):
            self._reply(0)
        elif command == TEST_PASSWORD:
            self._reply(NO_PASSWORD)
        elif command == READ_INPUT_PORT:
            self._reply(INPUT_PORT)
        elif command == READ_OUTPUT_PORT:
            output = self.state.output
            occupied = 0 if output is None else OUT_AUX_OBF if output & AUX else OUT_KBD_OBF
            self._reply(self.state.output_port & ~(OUT_KBD_OBF | OUT_AUX_OBF) | occupied)
