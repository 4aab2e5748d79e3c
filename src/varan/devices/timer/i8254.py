"""The 8254 programmable interval timer.

Nothing is counted: a channel remembers at which tick of the 1.193182 MHz clock its count was loaded, and every value
that a guest can see (counter, output, status) follows from that and the tick of the virtual clock now. Only channel 0
interrupts, so only it arms a timer, for the next rise of its output. A guest that runs too slowly gets an interrupt for
each of the last few rises that it missed (`MISSED_TICKS`), one after another.

Times are in ticks unless a name says otherwise. Modes and register names follow the 8254 data sheet.
"""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from varan.core.clock import MISSED_TICKS, NANOSECONDS, Clock, TimerQueue
from varan.core.irq import IrqLine
from varan.core.ports import PortSpace
from varan.core.state import Device, State
from varan.devices.fields import Byte

FREQUENCY = 1_193_182
"""Ticks in a second."""
PORT = 0x40
CHANNELS = 3

CONTROL = 3
"""Offset of the control word register."""
RW_LATCH = 0
RW_LSB = 1
RW_MSB = 2
RW_WORD = 3
READ_BACK = 3
READ_BACK_NO_COUNT = 0x20
READ_BACK_NO_STATUS = 0x10
STATUS_OUT = 0x80
STATUS_NULL_COUNT = 0x40


def ticks(nanoseconds: int) -> int:
    """Clock edges up to a time."""
    return nanoseconds * FREQUENCY // NANOSECONDS


def nanoseconds(tick: int) -> int:
    """The first nanosecond at which `ticks` gives `tick`."""
    return -(-tick * NANOSECONDS // FREQUENCY)


Count = Annotated[int, Meta(ge=1, le=0x10000)]


class ChannelState(msgspec.Struct, kw_only=True):
    """One counter. `count` is the number of ticks that CR holds (never 0)."""

    mode: Annotated[int, Meta(ge=0, le=5)] = 0
    rw: Annotated[int, Meta(ge=0, le=3)] = RW_WORD
    bcd: bool = False
    count: Count = 0x10000
    loaded: bool = False
    """A count has been written (and, in modes 1 and 5, the gate has triggered) since the control word."""
    start: int = 0
    """The tick at which CE was loaded."""
    held: int | None = None
    """Ticks counted, while the gate or a half-written count holds the counter."""
    next_count: Count | None = None
    """A count that modes 1, 2, 3 and 5 take over later."""
    next_start: int | None = None
    """When `next_count` takes over in modes 2 and 3."""
    gate: bool = True
    write_low: Byte | None = None
    """The low byte of a count whose high byte is still to come."""
    read_high: bool = False
    """The next read gives the high byte."""
    latched: Annotated[list[Byte], Meta(max_length=2)] = msgspec.field(default_factory=list)
    """Bytes of a latched count still to be read."""
    status: Byte | None = None
    """A latched status byte."""


class PitState(State, kw_only=True):
    """All channels, and up to which tick channel 0's output has been turned into interrupts."""

    channels: Annotated[list[ChannelState], Meta(min_length=CHANNELS, max_length=CHANNELS)] = msgspec.field(
        default_factory=lambda: [ChannelState(), ChannelState(), ChannelState(gate=False)]
    )
    delivered: int = 0


def advance(channel: ChannelState, now: int) -> None:
    """Let a count that waited for the end of a (half) cycle take over."""
    if channel.next_start is not None and channel.next_count is not None and now >= channel.next_start:
        if channel.mode == 3 and not square_high(channel, channel.next_start):
            channel.start = channel.next_start - (channel.next_count + 1) // 2
        else:
            channel.start = channel.next_start
        channel.count = channel.next_count
        channel.next_count = channel.next_start = None


def elapsed(channel: ChannelState, now: int) -> int:
    """Ticks counted since the count was loaded (negative for the tick before loading)."""
    return now - channel.start if channel.held is None else channel.held


def square_high(channel: ChannelState, now: int) -> bool:
    """Whether mode 3 is in the high half of its cycle."""
    return (now - channel.start) % channel.count < (channel.count + 1) // 2


def output(channel: ChannelState, now: int) -> bool:
    """OUT at tick `now`. The channel has been advanced."""
    mode = channel.mode
    if not channel.loaded:
        return mode != 0
    passed = elapsed(channel, now)
    if mode == 0:
        return passed >= channel.count
    if mode == 1:
        return not 0 <= passed < channel.count
    if mode in (4, 5):
        return passed != channel.count
    if channel.held is not None or passed < 0:
        return True
    if mode == 2:
        return passed % channel.count != channel.count - 1
    return passed % channel.count < (channel.count + 1) // 2


def counter(channel: ChannelState, now: int) -> int:
    """CE at tick `now`, in ticks. The channel has been advanced."""
    span = 10_000 if channel.bcd else 0x10000
    if not channel.loaded:
        return channel.count % span
    passed = max(elapsed(channel, now), 0)
    count = channel.count
    if channel.mode == 2:
        return (count - passed % count) % span
    if channel.mode == 3:
        passed %= count
        high = (count + 1) // 2
        if passed >= high:
            passed -= high
        return ((count & ~1) - 2 * passed) % span
    return (count - passed) % span


def rise_after(channel: ChannelState, tick: int) -> int | None:
    """The first tick after `tick` at which OUT goes high, None for never. The channel has been advanced."""
    if not channel.loaded or channel.held is not None:
        return None
    passed = tick - channel.start
    count = channel.count
    if channel.mode in (0, 1):
        return channel.start + count if passed < count else None
    if channel.mode in (4, 5):
        return channel.start + count + 1 if passed <= count else None
    rise = channel.start + (max(passed, 0) // count + 1) * count
    if channel.next_start is not None and channel.next_count is not None and channel.next_start < rise:
        # Mode 3 takes the new count over between its halves: the low half has the new length.
        return channel.next_start + channel.next_count // 2
    return rise


def load(channel: ChannelState, count: int, now: int) -> None:
    """A whole count has been written to CR."""
    mode = channel.mode
    if mode in (1, 5):
        if channel.loaded:
            channel.next_count = count
        else:
            channel.count = count
        return
    if mode in (2, 3) and channel.loaded and channel.held is None and now >= channel.start:
        channel.next_count = count
        channel.next_start = cycle_end(channel, now)
        return
    channel.count = count
    channel.loaded = True
    channel.next_count = channel.next_start = None
    channel.start = now + 1
    channel.held = None if channel.gate else 0


def cycle_end(channel: ChannelState, now: int) -> int:
    """When mode 2's cycle, or mode 3's half cycle, ends."""
    passed = (now - channel.start) % channel.count
    begin = now - passed
    high = (channel.count + 1) // 2
    if channel.mode == 3 and passed < high:
        return begin + high
    return begin + channel.count


def set_gate(channel: ChannelState, gate: bool, now: int) -> None:
    """Drive GATE."""
    if gate == channel.gate:
        return
    advance(channel, now)
    channel.gate = gate
    mode = channel.mode
    if gate and mode in (1, 2, 3, 5):
        _trigger(channel, now)
    elif mode in (0, 2, 3, 4) and channel.loaded:
        _hold(channel, now, not gate)


def _trigger(channel: ChannelState, now: int) -> None:
    if channel.next_count is not None:
        channel.count = channel.next_count
        channel.next_count = channel.next_start = None
    if channel.mode in (1, 5) or channel.loaded:
        channel.loaded = True
        channel.start = now + 1
        channel.held = None


def _hold(channel: ChannelState, now: int, hold: bool) -> None:
    if hold and channel.held is None:
        channel.held = max(now - channel.start, 0)
    elif not hold and channel.held is not None:
        channel.start = now - channel.held
        channel.held = None


def decode_count(channel: ChannelState, value: int) -> int:
    """CR's 16 bits as a number of ticks; zero is the largest count."""
    if not channel.bcd:
        return value or 0x10000
    digits = (value >> shift & 0xF for shift in (12, 8, 4, 0))
    total = 0
    for digit in digits:
        total = total * 10 + digit
    return min(total, 9999) or 10_000


def encode_count(channel: ChannelState, value: int) -> int:
    """A number of ticks as CE's 16 bits."""
    if not channel.bcd:
        return value & 0xFFFF
    return int(str(value % 10_000), 16)


class I8254(Device[PitState]):
    """The timer chip: three channels on the virtual clock, OUT of channel 0 on an interrupt line."""

    state_type = PitState

    def __init__(self, clock: Clock, timers: TimerQueue, irq: IrqLine) -> None:
        super().__init__()
        self._clock = clock
        self._irq = irq
        self._timer = timers.timer(clock, self._rise, "i8254")

    def map(self, ports: PortSpace) -> None:
        """Answer at the standard ports."""
        ports.map(PORT, 4, self.read, self.write, name="i8254")

    def set_gate(self, index: int, gate: bool) -> None:
        """Drive the gate of channel `index`."""
        set_gate(self.state.channels[index], gate, self._now())

    def output(self, index: int) -> bool:
        """OUT of channel `index` now."""
        now = self._now()
        channel = self.state.channels[index]
        advance(channel, now)
        return output(channel, now)

    def read(self, offset: int, size: int) -> int:
        if offset == CONTROL:
            return 0xFF
        channel = self.state.channels[offset]
        if channel.status is not None:
            status, channel.status = channel.status, None
            return status
        if channel.latched:
            return channel.latched.pop(0)
        now = self._now()
        advance(channel, now)
        value = encode_count(channel, counter(channel, now))
        if channel.rw == RW_LSB:
            return value & 0xFF
        if channel.rw == RW_MSB:
            return value >> 8
        channel.read_high = not channel.read_high
        return value & 0xFF if channel.read_high else value >> 8

    def write(self, offset: int, size: int, value: int) -> None:
        now = self._now()
        if offset == CONTROL:
            self._write_control(value, now)
            return
        channel = self.state.channels[offset]
        advance(channel, now)
        if channel.rw == RW_WORD and channel.write_low is None:
            channel.write_low = value
            if channel.mode == 0 and channel.loaded:
                # The first byte stops the count and drops OUT (data sheet, mode 0).
                channel.loaded = False
        else:
            word = value << 8 | (channel.write_low or 0) if channel.rw != RW_LSB else value
            channel.write_low = None
            load(channel, decode_count(channel, word), now)
        if offset == 0:
            self._follow(now)

    def restored(self) -> None:
        channel = self.state.channels[0]
        advance(channel, self.state.delivered)
        self._irq(self._level(channel, self.state.delivered))
        self._arm(channel)

    def _now(self) -> int:
        return ticks(self._clock.now())

    def _write_control(self, value: int, now: int) -> None:
        select, rw = value >> 6, value >> 4 & 3
        if select == READ_BACK:
            for index, channel in enumerate(self.state.channels):
                if value & 2 << index:
                    self._read_back(channel, value, now)
            return
        channel = self.state.channels[select]
        if rw == RW_LATCH:
            self._latch(channel, now)
            return
        mode = value >> 1 & 7
        self.state.channels[select] = ChannelState(
            mode=mode & 3 if mode > 5 else mode,
            rw=rw,
            bcd=bool(value & 1),
            count=channel.count,
            gate=channel.gate,
        )
        if select == 0:
            self._follow(now)

    def _read_back(self, channel: ChannelState, value: int, now: int) -> None:
        if not value & READ_BACK_NO_COUNT:
            self._latch(channel, now)
        if not value & READ_BACK_NO_STATUS and channel.status is None:
            advance(channel, now)
            null = not channel.loaded or channel.next_count is not None or now < channel.start
            channel.status = (
                (STATUS_OUT if output(channel, now) else 0)
                | (STATUS_NULL_COUNT if null else 0)
                | channel.rw << 4
                | channel.mode << 1
                | channel.bcd
            )

    def _latch(self, channel: ChannelState, now: int) -> None:
        if channel.latched:
            return
        advance(channel, now)
        value = encode_count(channel, counter(channel, now))
        low, high = value & 0xFF, value >> 8
        channel.latched = {RW_LSB: [low], RW_MSB: [high]}.get(channel.rw, [low, high])

    def _level(self, channel: ChannelState, now: int) -> int:
        """What the interrupt line shows: the low phases of periodic modes end in the rise and show only there."""
        return 1 if channel.mode != 0 or output(channel, now) else 0

    def _follow(self, now: int) -> None:
        """Channel 0 was written: its output is what it is now, and rises from here on count."""
        channel = self.state.channels[0]
        self.state.delivered = now
        self._irq(self._level(channel, now))
        self._arm(channel)

    def _arm(self, channel: ChannelState) -> None:
        rise = rise_after(channel, self.state.delivered)
        if rise is None:
            self._timer.cancel()
        else:
            self._timer.arm(nanoseconds(rise))

    def _rise(self) -> None:
        now = self._now()
        channel = self.state.channels[0]
        due = rise_after(channel, self.state.delivered)
        advance(channel, now)
        forgotten = now - MISSED_TICKS * channel.count
        self.state.delivered = now if due is None else min(max(due, forgotten), now)
        self._irq(0)
        self._irq(1)
        self._arm(channel)
        self._timer.arm_later(self._clock.now())
