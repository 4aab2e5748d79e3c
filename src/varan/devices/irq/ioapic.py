"""The I/O APIC (Intel 82093AA data sheet): 24 inputs, each sent to a local APIC as its redirection entry says."""

from __future__ import annotations

import functools
from typing import Annotated

import msgspec
from msgspec import Meta

from varan.core.irq import IrqLine
from varan.core.memory import MemorySpace
from varan.core.state import Device, State
from varan.devices.fields import Byte
from varan.devices.irq.messages import FIXED, LOWEST_PRIORITY, Message, MessageBus

BASE = 0xFEC0_0000
SIZE = 0x1000
PINS = 24

IOREGSEL, IOWIN = 0x00, 0x10
ID, VERSION, ARBITRATION, TABLE = 0x00, 0x01, 0x02, 0x10

RESET_ID = 0
"""Its number after reset, which guests may change and nothing asks for."""
VERSION_NUMBER = 0x11

_VERSION = VERSION_NUMBER | (PINS - 1) << 16
LOGICAL, _STATUS, REMOTE_IRR, LEVEL, MASKED = 1 << 11, 1 << 12, 1 << 14, 1 << 15, 1 << 16
_READ_ONLY = _STATUS | REMOTE_IRR
_WRITABLE_LOW = 0x1FFFF & ~_READ_ONLY
_TRIGGERED = (FIXED, LOWEST_PRIORITY)
"""Delivery modes that know level-triggered requests; all others are edges."""


class IoApicState(State, kw_only=True):
    """Register names are the data sheet's."""

    select: Byte = 0
    id: Annotated[int, Meta(ge=0, le=15)] = RESET_ID
    inputs: Annotated[int, Meta(ge=0, lt=1 << PINS)] = 0
    """Levels at INTIN0 to INTIN23, asserted is 1 whatever the polarity."""
    low: Annotated[list[Annotated[int, Meta(ge=0, le=0x1FFFF)]], Meta(min_length=PINS, max_length=PINS)] = (
        msgspec.field(default_factory=lambda: [MASKED] * PINS)
    )
    """Bits 31 to 0 of the redirection entries."""
    destinations: Annotated[list[Byte], Meta(min_length=PINS, max_length=PINS)] = msgspec.field(
        default_factory=lambda: [0] * PINS
    )
    """Bits 63 to 56 of the redirection entries."""


class IoApic(Device[IoApicState]):
    """Its pins are lines; the polarity bits are kept and mean nothing, since a line is asserted or not."""

    state_type = IoApicState

    def __init__(self, bus: MessageBus) -> None:
        super().__init__()
        self._bus = bus
        self.requests = [0] * PINS
        """How often each pin has sent a message, for people who look."""
        self._messages: list[Message] = []
        bus.origins.append(self)
        self.restored()

    def map(self, memory: MemorySpace) -> None:
        """Answer at the standard address."""
        memory.map_mmio(BASE, SIZE, self.read, self.write, name="ioapic")

    def line(self, pin: int) -> IrqLine:
        """Input `pin` (0 to 23) as a line."""
        if not 0 <= pin < PINS:
            raise ValueError(f"the I/O APIC has no pin {pin}")
        bit = 1 << pin

        def drive(level: int) -> None:
            state = self.state
            if not level:
                state.inputs &= ~bit
            elif not state.inputs & bit:
                state.inputs |= bit
                # A request at a masked pin is not held (data sheet, "Interrupt Mask").
                if not state.low[pin] & MASKED:
                    self._request(pin)

        return drive

    def restored(self) -> None:
        self._messages = list(map(_message, self.state.low, self.state.destinations))

    def _request(self, pin: int) -> None:
        message = self._messages[pin]
        if message.level and self.state.low[pin] & REMOTE_IRR:
            return
        self.requests[pin] += 1
        if self._bus.send(message) and message.level:
            self.state.low[pin] |= REMOTE_IRR

    def end_of_interrupt(self, vector: int) -> None:
        """A level-triggered interrupt has ended: its pins may ask again."""
        low = self.state.low
        for pin, message in enumerate(self._messages):
            if message.vector == vector and message.level and low[pin] & REMOTE_IRR:
                low[pin] &= ~REMOTE_IRR
                self._ask_again(pin)

    def _ask_again(self, pin: int) -> None:
        """Send for a level-triggered pin that is asserted."""
        if self._messages[pin].level and self.state.inputs >> pin & 1 and not self.state.low[pin] & MASKED:
            self._request(pin)

    def read(self, offset: int, size: int) -> int:
        if offset == IOREGSEL:
            return self.state.select
        if offset != IOWIN:
            return 0
        return self._read_register(self.state.select) & (1 << 8 * size) - 1

    def _read_register(self, register: int) -> int:
        state = self.state
        if register in (ID, ARBITRATION):
            return state.id << 24
        if register == VERSION:
            return _VERSION
        pin, high = divmod(register - TABLE, 2)
        if not 0 <= pin < PINS:
            return 0
        return state.destinations[pin] << 24 if high else state.low[pin]

    def write(self, offset: int, size: int, value: int) -> None:
        if offset == IOREGSEL:
            self.state.select = value & 0xFF
        elif offset == IOWIN:
            self._write_register(self.state.select, value)

    def _write_register(self, register: int, value: int) -> None:
        state = self.state
        if register == ID:
            state.id = value >> 24 & 15
            return
        pin, high = divmod(register - TABLE, 2)
        if not 0 <= pin < PINS:
            return
        if high:
            state.destinations[pin] = value >> 24 & 0xFF
        else:
            kept = state.low[pin] & _READ_ONLY
            if not value & LEVEL:
                # Guests of chips without an EOI register end a stuck request by making the pin edge-triggered.
                kept &= ~REMOTE_IRR
            state.low[pin] = value & _WRITABLE_LOW | kept
        self._messages[pin] = _message(state.low[pin], state.destinations[pin])
        if not high:
            self._ask_again(pin)


@functools.lru_cache
def _message(low: int, destination: int) -> Message:
    """What a redirection entry says is to be sent."""
    mode = low >> 8 & 7
    level = bool(low & LEVEL) and mode in _TRIGGERED
    return Message(low & 0xFF, mode, destination, bool(low & LOGICAL), level)
