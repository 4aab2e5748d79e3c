"""What users do with keyboards, mice and tablets, on its way to the devices that show it to the guest.

A *sink* is such a device. The hub gives each event to the first sink that takes its kind, and tells all that were given
something when a movement is complete. Everything here is called under the machine lock.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from varan.api.values import InputAxis, InputButton, QKeyCode
from varan.core.clock import Clock, TimerQueue

KEYS, BUTTONS, MOTION, POSITION = 1, 2, 4, 8
"""Kinds of events, as bits of what a sink takes."""
POINTER = MOTION | POSITION
POSITION_MAX = 0x7FFF
"""Positions go from 0 to here, whatever the screen's size."""

MILLISECOND = 1_000_000
BETWEEN_KEYS = 10 * MILLISECOND
MOST_KEYS = 1024
"""Presses and releases that wait in a `Typist`."""


class InputSink:
    """A device that takes events of some kinds. The methods for other kinds are not called."""

    name: str
    """What people call it."""
    takes: int

    def key(self, code: QKeyCode, down: bool) -> None:
        """A key was pressed or let go."""

    def button(self, button: InputButton, down: bool) -> None:
        """A button was pressed or let go; for a wheel each click is one."""

    def motion(self, axis: InputAxis, delta: int) -> None:
        """The mouse was moved, right or down for positive deltas."""

    def position(self, axis: InputAxis, value: int) -> None:
        """The pen is at `value`, from 0 to POSITION_MAX."""

    def sync(self) -> None:
        """What came since the last time belongs together and is complete."""


@dataclass(frozen=True, slots=True)
class Key:
    """A key event."""

    code: QKeyCode
    down: bool


@dataclass(frozen=True, slots=True)
class Button:
    """A button event."""

    button: InputButton
    down: bool


@dataclass(frozen=True, slots=True)
class Motion:
    """A relative motion."""

    axis: InputAxis
    delta: int


@dataclass(frozen=True, slots=True)
class Position:
    """An absolute one."""

    axis: InputAxis
    value: int


UserEvent = Key | Button | Motion | Position


class InputHub:
    """The sinks of one machine, by precedence."""

    def __init__(self) -> None:
        self._sinks: list[InputSink] = []
        self._numbers: dict[InputSink, int] = {}
        self._next_number = 1

    @property
    def sinks(self) -> list[tuple[int, InputSink]]:
        """Those there are, with numbers that stay, the preferred ones first."""
        return [(self._numbers[sink], sink) for sink in self._sinks]

    def add(self, sink: InputSink) -> None:
        """A further sink, after all others."""
        self._sinks.append(sink)
        self._numbers[sink] = self._next_number
        self._next_number += 1

    def remove(self, sink: InputSink) -> None:
        """A sink that is no longer there."""
        self._sinks.remove(sink)
        del self._numbers[sink]

    def prefer(self, sink: InputSink) -> None:
        """Events that `sink` takes go to it from now on."""
        if sink in self._numbers:
            self._sinks.remove(sink)
            self._sinks.insert(0, sink)

    def defer(self, sink: InputSink) -> None:
        """Others come before `sink` from now on."""
        if sink in self._numbers:
            self._sinks.remove(sink)
            self._sinks.append(sink)

    def who_takes(self, kinds: int) -> InputSink | None:
        """The first sink that takes any of `kinds`."""
        return next((sink for sink in self._sinks if sink.takes & kinds), None)

    def send(self, events: Iterable[UserEvent]) -> None:
        """One movement of the user."""
        touched: dict[InputSink, None] = {}
        for event in events:
            sink = self.who_takes(_KINDS[type(event)])
            if sink is not None:
                touched[sink] = None
                _give(sink, event)
        for sink in touched:
            sink.sync()


_KINDS = {Key: KEYS, Button: BUTTONS, Motion: MOTION, Position: POSITION}


def _give(sink: InputSink, event: UserEvent) -> None:
    match event:
        case Key(code, down):
            sink.key(code, down)
        case Button(button, down):
            sink.button(button, down)
        case Motion(axis, delta):
            sink.motion(axis, delta)
        case Position(axis, value):
            sink.position(axis, min(max(value, 0), POSITION_MAX))


class Typist:
    """Presses keys and lets go of them in guest time, one chord after the other."""

    def __init__(self, hub: InputHub, clock: Clock, timers: TimerQueue) -> None:
        self._hub = hub
        self._clock = clock
        self._timer = timers.timer(clock, self._step, "typist")
        self._waiting: deque[tuple[Key, int]] = deque()
        """Events, each with the nanoseconds until the next one."""

    def type(self, codes: list[QKeyCode], hold_ms: int) -> bool:
        """Press `codes` in turn, hold them, let go in reverse order; False (and nothing done) when too many wait."""
        if len(self._waiting) + 2 * len(codes) > MOST_KEYS:
            return False
        events = [Key(code, True) for code in codes] + [Key(code, False) for code in reversed(codes)]
        idle = not self._waiting and self._timer.deadline is None
        for position, event in enumerate(events):
            pressed_all = position == len(codes) - 1
            self._waiting.append((event, hold_ms * MILLISECOND if pressed_all else BETWEEN_KEYS))
        if idle:
            self._step()
        return True

    def _step(self) -> None:
        if self._waiting:
            event, pause = self._waiting.popleft()
            self._hub.send([event])
            self._timer.arm(self._clock.now() + pause)
