"""The two 8237A DMA controllers of a PC, and the page registers that give their addresses an upper part.

Section names are those of Intel's 8237A data sheet. The first controller moves bytes (channels 0 to 3), the second
words (5 to 7; channel 4 is where the first one hangs). Transfers take no time: a device that is ready and a channel
that is not masked make one piece.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import msgspec
from msgspec import Meta

from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace
from varan.core.state import Device, State
from varan.devices.fields import Byte, Word

CHANNELS = 8
LOW_PORT = 0x00
"""Sixteen registers, a port each."""
HIGH_PORT = 0xC0
"""The same, two ports apart."""
PAGE_PORT = 0x81
PAGES = {0x1: 2, 0x2: 3, 0x3: 1, 0x7: 0, 0x9: 6, 0xA: 7, 0xB: 5}
"""Which channel's page register port 80h and the number is; the others only remember."""

_PAGE_OF = {channel: at for at, channel in PAGES.items()}

COMMAND, REQUEST, SINGLE_MASK, MODE, CLEAR_FLIP_FLOP, MASTER_CLEAR, CLEAR_MASKS, ALL_MASKS = range(8, 16)
DISABLED = 0x04
"""Of the command register."""
WRITE_TRANSFER = 0x04
READ_TRANSFER = 0x08
TRANSFER = 0x0C
AUTOINITIALIZE = 0x10
DECREMENT = 0x20
CASCADE = 0xC0
ALL = 0x0F

Four = Annotated[int, Meta(ge=0, le=ALL)]


class ChannelState(msgspec.Struct):
    """One channel; counts are one less than what is left."""

    base_address: Word = 0
    base_count: Word = 0
    address: Word = 0
    count: Word = 0
    mode: Byte = 0


def _four() -> list[ChannelState]:
    return [ChannelState() for _ in range(4)]


class ChipState(msgspec.Struct):
    """One controller."""

    channels: Annotated[list[ChannelState], Meta(min_length=4, max_length=4)] = msgspec.field(default_factory=_four)
    command: Byte = 0
    masks: Four = ALL
    reached: Four = 0
    """Channels that came to their terminal count since the status was read."""
    upper_byte: bool = False
    """Whether the next access of a 16-bit register means its upper byte."""
    temporary: Byte = 0


class DmaState(State, kw_only=True):
    """Both controllers and the page registers."""

    low: ChipState = msgspec.field(default_factory=ChipState)
    high: ChipState = msgspec.field(default_factory=ChipState)
    pages: Annotated[list[Byte], Meta(min_length=16, max_length=16)] = msgspec.field(default_factory=lambda: [0] * 16)


class Dma(Device[DmaState]):
    """See the module's text."""

    state_type = DmaState

    def __init__(self, memory: MemorySpace) -> None:
        super().__init__()
        self.memory = memory
        self.channels = [DmaChannel(self, number) for number in range(CHANNELS)]

    def map(self, ports: PortSpace) -> None:
        """Answer at the standard ports; port 80h is somebody else's."""
        ports.map(LOW_PORT, 16, self._read_low, self._write_low, name="dma1")
        ports.map(HIGH_PORT, 32, self._read_high, self._write_high, name="dma2")
        ports.map(PAGE_PORT, 15, self._read_page, self._write_page, name="dma-page")

    def chip(self, number: int) -> ChipState:
        """The controller that has channel `number`."""
        return self.state.low if number < 4 else self.state.high

    def page(self, number: int) -> int:
        """The page register of a channel."""
        return self.state.pages[_PAGE_OF.get(number, 0xF)]

    def restored(self) -> None:
        # Devices that still wait for a channel ask again when their turn comes.
        for channel in self.channels:
            channel.drop()

    def _serve(self) -> None:
        """Serve requests that may go now."""
        for channel in self.channels:
            channel.serve()

    # Registers

    def _read_page(self, offset: int, size: int) -> int:
        return self.state.pages[offset + 1]

    def _write_page(self, offset: int, size: int, value: int) -> None:
        self.state.pages[offset + 1] = value

    def _read_low(self, offset: int, size: int) -> int:
        return self._read(self.state.low, 0, offset)

    def _write_low(self, offset: int, size: int, value: int) -> None:
        self._write(self.state.low, offset, value)

    def _read_high(self, offset: int, size: int) -> int:
        return self._read(self.state.high, 4, offset >> 1)

    def _write_high(self, offset: int, size: int, value: int) -> None:
        self._write(self.state.high, offset >> 1, value)

    def _read(self, chip: ChipState, first: int, register: int) -> int:
        if register < 8:
            channel = chip.channels[register >> 1]
            chip.upper_byte = not chip.upper_byte
            value = channel.count if register & 1 else channel.address
            return value & 0xFF if chip.upper_byte else value >> 8
        if register == COMMAND:
            requests = sum(self.channels[first + n].requested << n for n in range(4))
            value, chip.reached = chip.reached | requests << 4, 0
            return value
        return chip.temporary if register == MASTER_CLEAR else chip.masks | 0xF0 if register == ALL_MASKS else 0

    def _write(self, chip: ChipState, register: int, value: int) -> None:
        bit = 1 << (value & 3)
        if register < 8:
            self._write_word(chip, register, value)
        elif register == COMMAND:
            chip.command = value
        elif register == SINGLE_MASK:
            chip.masks = chip.masks | bit if value & 4 else chip.masks & ~bit
        elif register == MODE:
            chip.channels[value & 3].mode = value & 0xFC
        elif register == CLEAR_FLIP_FLOP:
            chip.upper_byte = False
        elif register == MASTER_CLEAR:
            chip.command = chip.reached = chip.temporary = 0
            chip.upper_byte, chip.masks = False, ALL
        elif register == CLEAR_MASKS:
            chip.masks = 0
        elif register == ALL_MASKS:
            chip.masks = value & ALL
        self._serve()

    def _write_word(self, chip: ChipState, register: int, value: int) -> None:
        channel = chip.channels[register >> 1]
        name = "count" if register & 1 else "address"
        before = getattr(channel, f"base_{name}")
        word = before & 0xFF | value << 8 if chip.upper_byte else before & 0xFF00 | value
        chip.upper_byte = not chip.upper_byte
        setattr(channel, f"base_{name}", word)
        setattr(channel, name, word)


class DmaChannel:
    """A channel as the device sees it that uses it. All calls are made under the machine lock."""

    def __init__(self, dma: Dma, number: int) -> None:
        self._dma = dma
        self._number = number
        self._service: Callable[[], None] | None = None

    @property
    def _state(self) -> ChannelState:
        return self._dma.chip(self._number).channels[self._number & 3]

    @property
    def _unit(self) -> int:
        """Bytes of one transfer."""
        return 1 if self._number < 4 else 2

    @property
    def requested(self) -> bool:
        """Whether the device waits for it."""
        return self._service is not None

    @property
    def ready(self) -> bool:
        """Whether it would serve a request now."""
        chip = self._dma.chip(self._number)
        cascade = self._state.mode & CASCADE == CASCADE
        return not (cascade or chip.command & DISABLED or chip.masks >> (self._number & 3) & 1)

    @property
    def remaining(self) -> int:
        """Bytes up to the terminal count."""
        return (self._state.count + 1) * self._unit

    def request(self, service: Callable[[], None]) -> None:
        """Ask for service: `service` is called, once, as soon as the channel is ready, perhaps at once."""
        self._service = service
        self.serve()

    def drop(self) -> None:
        """Ask no more."""
        self._service = None

    def serve(self) -> None:
        """Call a device that waits, if the channel is ready."""
        if self._service is not None and self.ready:
            service, self._service = self._service, None
            service()

    def put(self, data: bytes | memoryview) -> tuple[int, bool]:
        """Move `data` from the device into memory: how many bytes went, and whether that was the terminal count.

        In a channel that is set up for anything but a write transfer they are counted and go nowhere.
        """
        length = min(len(data) // self._unit * self._unit, self.remaining)
        moves = self._state.mode & TRANSFER == WRITE_TRANSFER
        at = 0
        for address, count in self._pieces(length):
            part = bytes(data[at : at + count])
            at += count
            if moves:
                self._dma.memory.write_ram(address, part[::-1] if self._state.mode & DECREMENT else part)
        return length, self._count(length)

    def take(self, length: int) -> tuple[bytes, bool]:
        """Up to `length` bytes from memory for the device, and whether those were all up to the terminal count.

        They are zeros in a channel that is set up for anything but a read transfer.
        """
        length = min(length // self._unit * self._unit, self.remaining)
        if self._state.mode & TRANSFER != READ_TRANSFER:
            return bytes(length), self._count(length)
        parts = [self._dma.memory.read_bytes(address, count) for address, count in self._pieces(length)]
        if self._state.mode & DECREMENT:
            parts = [part[::-1] for part in parts]
        return b"".join(parts), self._count(length)

    def _pieces(self, length: int) -> list[tuple[int, int]]:
        """Where the next bytes lie in memory: (lowest address, number of bytes) of up to two runs, in order.

        The address counts within its 16 bits; the page stays.
        """
        unit, start = self._unit, self._state.address
        page = self._dma.page(self._number)
        base = page << 16 if unit == 1 else (page & 0xFE) << 16
        count = length // unit
        if self._state.mode & DECREMENT:
            first = min(count, start + 1)
            runs = [(start - first + 1, first), (0x10000 - (count - first), count - first)]
        else:
            first = min(count, 0x10000 - start)
            runs = [(start, first), (0, count - first)]
        return [(base + at * unit, number * unit) for at, number in runs if number]

    def _count(self, length: int) -> bool:
        """Account for what was moved; whether the terminal count is reached (Autoinitialize, Mask Register)."""
        state, chip, bit = self._state, self._dma.chip(self._number), 1 << (self._number & 3)
        done = length == self.remaining
        steps = length // self._unit
        state.address = (state.address + (-steps if state.mode & DECREMENT else steps)) & 0xFFFF
        state.count = (state.count - steps) & 0xFFFF
        if done:
            chip.reached |= bit
            if state.mode & AUTOINITIALIZE:
                state.address, state.count = state.base_address, state.base_count
            else:
                chip.masks |= bit
        return done
