from __future__ import annotations

import pytest
from tests.support.bus import Bus

from varan.api.values import InputAxis, InputButton, QKeyCode
from varan.core import input as i

A, B = QKeyCode.A, QKeyCode.B


class Sink(i.InputSink):
    """Remembers what it was told."""

    def __init__(self, name: str, takes: int) -> None:
        self.name, self.takes = name, takes
        self.told: list[object] = []

    def key(self, code: QKeyCode, down: bool) -> None:
        self.told.append((code, down))

    def button(self, button: InputButton, down: bool) -> None:
        self.told.append((button, down))

    def motion(self, axis: InputAxis, delta: int) -> None:
        self.told.append((axis, delta))

    def position(self, axis: InputAxis, value: int) -> None:
        self.told.append((axis, value))

    def sync(self) -> None:
        self.told.append("sync")


@pytest.fixture
def hub() -> i.InputHub:
    return i.InputHub()


def test_each_event_goes_to_the_first_sink_that_takes_its_kind(hub: i.InputHub) -> None:
    keyboard, mouse, tablet = Sink("k", i.KEYS), Sink("m", i.BUTTONS | i.MOTION), Sink("t", i.BUTTONS | i.POSITION)
    for sink in (keyboard, mouse, tablet):
        hub.add(sink)
    hub.send(
        [
            i.Key(A, True),
            i.Button(InputButton.LEFT, True),
            i.Motion(InputAxis.X, -3),
            i.Position(InputAxis.Y, 99999),
        ]
    )
    assert keyboard.told == [(A, True), "sync"]
    assert mouse.told == [(InputButton.LEFT, True), (InputAxis.X, -3), "sync"]
    assert tablet.told == [(InputAxis.Y, i.POSITION_MAX), "sync"]


def test_a_preferred_sink_comes_before_all_others_until_it_is_deferred_or_gone(hub: i.InputHub) -> None:
    first, second = Sink("1", i.KEYS), Sink("2", i.KEYS)
    hub.add(first)
    hub.add(second)
    hub.prefer(second)
    assert hub.who_takes(i.KEYS) is second
    hub.defer(second)
    assert hub.who_takes(i.KEYS) is first
    hub.remove(first)
    assert hub.sinks == [(2, second)]
    hub.prefer(first)
    assert hub.who_takes(i.KEYS) is second
    hub.add(first)
    assert hub.sinks == [(2, second), (3, first)]


def test_what_nobody_takes_is_nothing(hub: i.InputHub) -> None:
    hub.send([i.Key(A, True)])


class TestTypist:
    @pytest.fixture
    def bus(self) -> Bus:
        return Bus()

    @pytest.fixture
    def sink(self, hub: i.InputHub) -> Sink:
        sink = Sink("k", i.KEYS)
        hub.add(sink)
        return sink

    def keys(self, sink: Sink) -> list[object]:
        told, sink.told = [event for event in sink.told if event != "sync"], []
        return told

    def test_keys_are_pressed_held_and_released_in_reverse(self, hub: i.InputHub, bus: Bus, sink: Sink) -> None:
        typist = i.Typist(hub, bus.clock, bus.timers)
        assert typist.type([A, B], 100)
        bus.run(i.BETWEEN_KEYS)
        assert self.keys(sink) == [(A, True), (B, True)]
        bus.run(100 * i.MILLISECOND - 1)
        assert self.keys(sink) == []
        bus.run(1 + i.BETWEEN_KEYS)
        assert self.keys(sink) == [(B, False), (A, False)]

    def test_chords_do_not_overlap(self, hub: i.InputHub, bus: Bus, sink: Sink) -> None:
        typist = i.Typist(hub, bus.clock, bus.timers)
        typist.type([A], 50)
        typist.type([B], 50)
        bus.run(10**9)
        assert self.keys(sink) == [(A, True), (A, False), (B, True), (B, False)]
        typist.type([A], 50)
        assert self.keys(sink) == [(A, True)]

    def test_what_waits_is_bounded(self, hub: i.InputHub, bus: Bus, sink: Sink) -> None:
        typist = i.Typist(hub, bus.clock, bus.timers)
        assert not typist.type([A] * i.MOST_KEYS, 0)
        assert self.keys(sink) == []
