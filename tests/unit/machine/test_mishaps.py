"""What a crash that the guest reports, or a watchdog that it did not feed, leads to."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from tests.support.fake_machine import FakeMachine

from varan.api.events import Event
from varan.api.values import PanicAction, RunState, ShutdownAction, ShutdownCause, WatchdogAction


async def after(machine: FakeMachine, mishap: Callable[[], None]) -> list[str]:
    """The events that `mishap` on the running machine leads to."""
    await machine.cont()
    seen: list[Event] = []
    machine.events.subscribe(lambda event, seconds, microseconds: seen.append(event))
    mishap()
    async with asyncio.timeout(10):
        while not seen:
            await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        await machine.lifecycle.stop() if machine.run_state.running else None
    return [
        f"{event.NAME}:{action.value}" if (action := getattr(event, "action", None)) else event.NAME for event in seen
    ]


async def test_a_panic_ends_the_machine() -> None:
    async with FakeMachine() as machine:
        assert await after(machine, machine.lifecycle.guest_panicked) == ["GUEST_PANICKED:poweroff", "STOP", "SHUTDOWN"]
        assert await machine.lifecycle.ended() is ShutdownCause.GUEST_PANIC


@pytest.mark.parametrize(
    ("panic", "shutdown"),
    [(PanicAction.PAUSE, ShutdownAction.POWEROFF), (PanicAction.SHUTDOWN, ShutdownAction.PAUSE)],
)
async def test_a_panic_pauses_where_its_action_or_the_shutdowns_says_so(
    panic: PanicAction, shutdown: ShutdownAction
) -> None:
    async with FakeMachine() as machine:
        machine.actions.panic, machine.actions.shutdown = panic, shutdown
        assert await after(machine, machine.lifecycle.guest_panicked) == ["GUEST_PANICKED:pause", "STOP"]
        assert machine.run_state.state is RunState.GUEST_PANICKED
        await machine.cont()
        assert machine.run_state.running


async def test_a_panic_without_action_lets_the_guest_go_on() -> None:
    async with FakeMachine() as machine:
        machine.actions.panic = PanicAction.NONE
        await machine.cont()
        machine.lifecycle.guest_panicked()
        assert not machine.threads[0].running
        async with asyncio.timeout(10):
            while not machine.threads[0].running:
                await asyncio.sleep(0)


@pytest.mark.parametrize(
    ("action", "events"),
    [
        (WatchdogAction.RESET, ["WATCHDOG:reset", "RESET", "STOP"]),
        (WatchdogAction.POWEROFF, ["WATCHDOG:poweroff", "SHUTDOWN", "STOP"]),
        (WatchdogAction.PAUSE, ["WATCHDOG:pause", "STOP"]),
        (WatchdogAction.SHUTDOWN, ["WATCHDOG:shutdown", "STOP"]),
        (WatchdogAction.INJECT_NMI, ["WATCHDOG:inject-nmi", "STOP"]),
        (WatchdogAction.DEBUG, ["WATCHDOG:debug", "STOP"]),
        (WatchdogAction.NONE, ["WATCHDOG:none", "STOP"]),
    ],
)
async def test_a_watchdog_does_what_its_action_says(action: WatchdogAction, events: list[str]) -> None:
    async with FakeMachine() as machine:
        machine.actions.watchdog = action
        assert await after(machine, machine.lifecycle.watchdog_expired) == events
        paused = RunState.WATCHDOG if action is WatchdogAction.PAUSE else RunState.PAUSED
        assert machine.run_state.state is paused
        assert machine.restarts == (action is WatchdogAction.RESET)
        assert machine.button_presses == (action is WatchdogAction.SHUTDOWN)
        assert [cpu.nmis for cpu in machine.cpus] == [int(action is WatchdogAction.INJECT_NMI)] * 2
