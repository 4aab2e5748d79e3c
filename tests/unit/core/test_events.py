from __future__ import annotations

import asyncio

import pytest

from varan.api import events
from varan.api.values import WatchdogAction
from varan.core import events as bus_module
from varan.core.events import EventBus


@pytest.fixture
def bus(monkeypatch: pytest.MonkeyPatch) -> tuple[EventBus, list[tuple[events.Event, int]]]:
    """A bus whose windows are short, and what it sent with the microseconds of the clock then."""
    monkeypatch.setattr(bus_module, "WINDOW_SECONDS", 0.01)
    ticks = iter(range(1000, 1_000_000, 1000))
    bus = EventBus(lambda: next(ticks))
    sent: list[tuple[events.Event, int]] = []
    bus.subscribe(lambda event, _, microseconds: sent.append((event, microseconds)))
    return bus, sent


async def until_quiet(bus: EventBus) -> None:
    while bus._windows:
        await asyncio.sleep(0.001)


async def test_of_limited_events_the_first_and_the_last_of_a_window_are_sent(
    bus: tuple[EventBus, list[tuple[events.Event, int]]],
) -> None:
    emitter, sent = bus
    for size in (1, 2, 3):
        emitter.emit(events.BalloonChange(actual=size))
    assert sent == [(events.BalloonChange(actual=1), 1)]
    await until_quiet(emitter)
    assert sent == [(events.BalloonChange(actual=1), 1), (events.BalloonChange(actual=3), 3)]
    emitter.emit(events.BalloonChange(actual=4))
    assert sent[-1] == (events.BalloonChange(actual=4), 4)


async def test_kinds_of_events_are_limited_apart_and_others_not_at_all(
    bus: tuple[EventBus, list[tuple[events.Event, int]]],
) -> None:
    emitter, sent = bus
    several = [
        events.BalloonChange(actual=1),
        events.Watchdog(action=WatchdogAction.NONE),
        events.Stop(),
        events.Stop(),
    ]
    for event in several:
        emitter.emit(event)
    assert [event for event, _ in sent] == several
    await until_quiet(emitter)
