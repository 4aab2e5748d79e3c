"""The task that moves a machine between run states, with vCPUs that only idle."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator

import pytest
from tests.support.fake_vm import IdleVcpu, IdleVm

from varan.accel.base import SHUTDOWN, Exit, ExitReason
from varan.accel.executor import VcpuThread
from varan.api import events
from varan.api.events import Event
from varan.api.values import RebootAction, RunState, ShutdownAction, ShutdownCause
from varan.core.clock import HostClock, TimerQueue
from varan.core.events import EventBus
from varan.devices.environment import WakeCause
from varan.errors import GenericError
from varan.machine.lifecycle import Lifecycle
from varan.machine.spec import Actions


class IdleGuest:
    """What a Lifecycle controls: one idle vCPU, a clock that is a flag, and a count of restarts."""

    def __init__(self, actions: Actions) -> None:
        self.events = EventBus()
        self.seen: list[Event] = []
        self.events.subscribe(lambda event, seconds, microseconds: self.seen.append(event))
        self.lifecycle = Lifecycle(self, self.events, actions)
        self.lifecycle.open()
        self.clock_runs = False
        self.restarts = self.retries = self.flushes = 0
        self.woken_by: list[WakeCause] = []
        self.wakes = True
        self.wakes_at_once: WakeCause | None = None
        self.lock, self.timers = threading.RLock(), TimerQueue()
        thread = VcpuThread(IdleVm(), [0], self.lock, self.timers, self.lifecycle.vcpu_exit, "test")
        self.threads = [thread]
        vcpu = thread.vcpus[0]
        assert isinstance(vcpu, IdleVcpu)
        self.vcpu = vcpu

    async def drain(self) -> None:
        return

    async def flush(self) -> None:
        assert not self.vcpu.running.is_set()
        self.flushes += 1

    def retry(self) -> None:
        self.retries += 1

    def start_clock(self) -> None:
        self.clock_runs = True

    def stop_clock(self) -> None:
        self.clock_runs = False

    async def restart(self) -> None:
        assert not self.vcpu.running.is_set()
        self.restarts += 1

    def pending_wake(self) -> WakeCause | None:
        return self.wakes_at_once

    async def wake(self, cause: WakeCause) -> bool:
        assert not self.vcpu.running.is_set()
        self.woken_by.append(cause)
        return self.wakes

    def kinds(self) -> list[str]:
        return [type(event).NAME for event in self.seen]

    async def until(self, kind: str) -> None:
        async with asyncio.timeout(10):
            while kind not in self.kinds():
                await asyncio.sleep(0.001)


async def made(actions: Actions) -> AsyncIterator[IdleGuest]:
    guest = IdleGuest(actions)
    yield guest
    for thread in guest.threads:
        thread.close()
    await guest.lifecycle.close()


@pytest.fixture
async def guest() -> AsyncIterator[IdleGuest]:
    async for one in made(Actions()):
        yield one


@pytest.fixture
async def stubborn() -> AsyncIterator[IdleGuest]:
    """As with -no-reboot and -no-shutdown."""
    async for one in made(Actions(reboot=RebootAction.SHUTDOWN, shutdown=ShutdownAction.PAUSE)):
        yield one


async def test_cont_runs_vcpus_and_clock_and_tells(guest: IdleGuest) -> None:
    await guest.lifecycle.cont()
    assert guest.lifecycle.run_state.state is RunState.RUNNING
    assert guest.clock_runs
    assert guest.vcpu.running.wait(10)
    assert guest.kinds() == ["RESUME"]


async def test_stop_returns_when_no_guest_code_runs_any_more(guest: IdleGuest) -> None:
    await guest.lifecycle.cont()
    assert guest.vcpu.running.wait(10)
    await guest.lifecycle.stop()
    assert not guest.vcpu.running.is_set()
    assert not guest.clock_runs
    assert guest.kinds() == ["RESUME", "STOP"]
    assert guest.flushes == 1


async def test_stop_and_cont_of_a_machine_that_is_there_already_say_nothing(guest: IdleGuest) -> None:
    await guest.lifecycle.stop()
    assert guest.lifecycle.run_state.state is RunState.PRELAUNCH
    await guest.lifecycle.cont()
    await guest.lifecycle.cont()
    assert guest.kinds() == ["RESUME"]


async def test_a_reset_of_a_running_machine_restarts_it_and_it_runs_on(guest: IdleGuest) -> None:
    await guest.lifecycle.cont()
    await guest.lifecycle.reset()
    assert guest.restarts == 1
    assert guest.lifecycle.run_state.running
    assert guest.seen[-1] == events.Reset(guest=False, reason=ShutdownCause.HOST_QMP_SYSTEM_RESET)
    assert guest.vcpu.running.wait(10)


async def test_a_reset_of_a_paused_machine_leaves_it_in_prelaunch(guest: IdleGuest) -> None:
    await guest.lifecycle.cont()
    await guest.lifecycle.stop()
    await guest.lifecycle.reset()
    assert guest.lifecycle.run_state.state is RunState.PRELAUNCH


async def test_a_triple_fault_is_the_guests_own_reset(guest: IdleGuest) -> None:
    guest.vcpu.exits.append(SHUTDOWN)
    await guest.lifecycle.cont()
    await guest.until("RESET")
    assert guest.seen[-1] == events.Reset(guest=True, reason=ShutdownCause.GUEST_RESET)
    assert guest.restarts == 1


async def test_an_accelerator_failure_stops_in_internal_error_until_a_reset(guest: IdleGuest) -> None:
    guest.vcpu.exits.append(Exit(ExitReason.INTERNAL_ERROR, "a very odd instruction"))
    await guest.lifecycle.cont()
    await guest.until("STOP")
    assert guest.lifecycle.run_state.state is RunState.INTERNAL_ERROR
    with pytest.raises(GenericError, match="Resetting"):
        await guest.lifecycle.cont()
    await guest.lifecycle.reset()
    await guest.lifecycle.cont()
    assert guest.lifecycle.run_state.running


async def test_quitting_ends_the_machine_with_its_cause(guest: IdleGuest) -> None:
    await guest.lifecycle.cont()
    guest.lifecycle.request_shutdown(ShutdownCause.HOST_SIGNAL)
    assert await guest.lifecycle.ended() is ShutdownCause.HOST_SIGNAL
    assert guest.seen[-1] == events.Shutdown(guest=False, reason=ShutdownCause.HOST_SIGNAL)
    assert not guest.vcpu.running.is_set()


async def test_with_no_reboot_a_reset_ends_the_machine(guest: IdleGuest) -> None:
    guest.lifecycle.actions.reboot = RebootAction.SHUTDOWN
    await guest.lifecycle.cont()
    guest.lifecycle.guest_reset()
    assert await guest.lifecycle.ended() is ShutdownCause.GUEST_RESET
    assert guest.restarts == 0


async def test_with_no_shutdown_the_guests_end_pauses_it_and_quit_still_ends_it(stubborn: IdleGuest) -> None:
    await stubborn.lifecycle.cont()
    stubborn.lifecycle.guest_reset()
    await stubborn.until("STOP")
    assert stubborn.kinds() == ["RESUME", "SHUTDOWN", "STOP"]
    assert stubborn.lifecycle.run_state.state is RunState.SHUTDOWN
    stubborn.lifecycle.request_shutdown(ShutdownCause.HOST_QMP_QUIT)
    assert await stubborn.lifecycle.ended() is ShutdownCause.HOST_QMP_QUIT


async def test_with_no_reboot_and_no_shutdown_the_reset_command_pauses(stubborn: IdleGuest) -> None:
    await stubborn.lifecycle.cont()
    await stubborn.lifecycle.reset()
    assert stubborn.kinds() == ["RESUME", "SHUTDOWN", "STOP"]
    assert stubborn.lifecycle.run_state.state is RunState.SHUTDOWN
    assert stubborn.restarts == 0


async def test_a_machine_ends_once_whoever_else_wants_it_to(guest: IdleGuest) -> None:
    await guest.lifecycle.cont()
    guest.lifecycle.request_shutdown(ShutdownCause.HOST_QMP_QUIT)
    guest.lifecycle.request_shutdown(ShutdownCause.HOST_SIGNAL)
    await guest.lifecycle.stop()
    assert await guest.lifecycle.ended() is ShutdownCause.HOST_QMP_QUIT
    assert guest.kinds().count("SHUTDOWN") == 1


async def test_requests_from_many_sides_happen_one_after_the_other(guest: IdleGuest) -> None:
    lifecycle = guest.lifecycle
    await asyncio.gather(*(work() for _ in range(20) for work in (lifecycle.cont, lifecycle.stop, lifecycle.reset)))
    kinds = [kind for kind in guest.kinds() if kind != "RESET"]
    assert kinds == ["RESUME", "STOP"] * (len(kinds) // 2)
    assert guest.restarts == 20


async def test_requests_that_wait_when_the_machine_is_released_fail(guest: IdleGuest) -> None:
    lifecycle = guest.lifecycle
    begun, never = asyncio.Event(), asyncio.Event()

    async def restart() -> None:
        begun.set()
        await never.wait()

    guest.restart = restart  # type: ignore[method-assign]
    requests = [asyncio.ensure_future(work()) for work in (lifecycle.reset, lifecycle.cont, lifecycle.stop)]
    await begun.wait()
    await lifecycle.close()
    async with asyncio.timeout(10):
        outcomes = await asyncio.gather(*requests, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["The machine has ended"] * 3


async def asleep(guest: IdleGuest) -> None:
    await guest.lifecycle.cont()
    guest.lifecycle.guest_suspend()
    await guest.until("SUSPEND")
    assert guest.lifecycle.run_state.state is RunState.SUSPENDED


async def test_a_sleeping_guest_executes_nothing_while_time_and_timers_go_on(guest: IdleGuest) -> None:
    ticked = threading.Event()
    await asleep(guest)
    assert guest.clock_runs
    with guest.lock:
        guest.timers.timer(HostClock(), ticked.set).arm(1)
    assert await asyncio.to_thread(ticked.wait, 10)
    assert not guest.vcpu.running.is_set()


async def test_a_wakeup_goes_on_where_the_guest_wanted_to_and_tells(guest: IdleGuest) -> None:
    await asleep(guest)
    await guest.lifecycle.wakeup()
    assert guest.kinds() == ["RESUME", "SUSPEND", "WAKEUP"]
    assert guest.woken_by == [WakeCause.BUTTON]
    assert guest.vcpu.running.wait(10)


async def test_a_guest_that_left_no_word_where_to_wake_is_reset(guest: IdleGuest) -> None:
    guest.wakes = False
    await asleep(guest)
    await guest.lifecycle.wakeup()
    assert guest.kinds() == ["RESUME", "SUSPEND", "WAKEUP", "RESET"]
    assert guest.restarts == 1
    assert guest.vcpu.running.wait(10)


async def test_an_alarm_wakes_a_sleeping_guest_and_leaves_others_alone(guest: IdleGuest) -> None:
    await guest.lifecycle.cont()
    guest.lifecycle.wake(WakeCause.RTC)
    await guest.lifecycle.stop()
    assert guest.woken_by == []
    await asleep(guest)
    guest.lifecycle.wake(WakeCause.RTC)
    await guest.until("WAKEUP")
    assert guest.woken_by == [WakeCause.RTC]


async def test_stop_and_cont_leave_a_sleeping_guest_asleep(guest: IdleGuest) -> None:
    await asleep(guest)
    await guest.lifecycle.stop()
    await guest.lifecycle.cont()
    assert guest.lifecycle.run_state.state is RunState.SUSPENDED
    assert guest.kinds() == ["RESUME", "SUSPEND"]


async def test_a_guest_that_saved_itself_to_disk_powers_off(guest: IdleGuest) -> None:
    await guest.lifecycle.cont()
    guest.lifecycle.guest_hibernate()
    assert await guest.lifecycle.ended() is ShutdownCause.GUEST_SHUTDOWN
    assert guest.kinds() == ["RESUME", "SUSPEND_DISK", "SHUTDOWN"]


async def test_what_wakes_a_guest_on_its_way_to_sleep_is_not_lost(guest: IdleGuest) -> None:
    guest.wakes_at_once = WakeCause.RTC
    await guest.lifecycle.cont()
    guest.lifecycle.guest_suspend()
    await guest.until("WAKEUP")
    assert guest.woken_by == [WakeCause.RTC]
    assert guest.vcpu.running.wait(10)


async def test_a_reset_of_a_sleeping_guest_leaves_it_in_prelaunch_with_its_time_held(guest: IdleGuest) -> None:
    await asleep(guest)
    await guest.lifecycle.reset()
    assert guest.lifecycle.run_state.state is RunState.PRELAUNCH
    assert not guest.clock_runs


async def test_a_disks_error_stops_the_guest_until_cont_which_tries_again(guest: IdleGuest) -> None:
    await guest.lifecycle.cont()
    guest.lifecycle.io_error()
    guest.lifecycle.io_error()
    await guest.until("STOP")
    assert guest.lifecycle.run_state.state is RunState.IO_ERROR
    before = guest.retries
    await guest.lifecycle.cont()
    assert guest.lifecycle.run_state.running
    assert guest.retries == before + 1
    await guest.until("RESUME")
    assert guest.vcpu.running.wait(10)


async def test_an_error_of_before_a_cont_does_not_stop_the_guest_after_it(guest: IdleGuest) -> None:
    await guest.lifecycle.cont()
    await guest.lifecycle.stop()
    async with asyncio.TaskGroup() as group:
        group.create_task(guest.lifecycle.cont())
        await asyncio.sleep(0)
        guest.lifecycle.io_error()
    await guest.lifecycle.cont()
    assert guest.kinds() == ["RESUME", "STOP", "RESUME"]
    assert guest.vcpu.running.wait(10)


async def test_an_error_while_the_guest_is_paused_leaves_it_paused(guest: IdleGuest) -> None:
    await guest.lifecycle.cont()
    await guest.lifecycle.stop()
    guest.lifecycle.io_error()
    await guest.lifecycle.stop()
    assert guest.lifecycle.run_state.state is RunState.PAUSED
    before = guest.retries
    await guest.lifecycle.cont()
    assert guest.retries == before + 1


async def test_a_reset_after_a_disks_error_leaves_the_machine_in_prelaunch(guest: IdleGuest) -> None:
    await guest.lifecycle.cont()
    guest.lifecycle.io_error()
    await guest.until("STOP")
    await guest.lifecycle.reset()
    assert guest.lifecycle.run_state.state is RunState.PRELAUNCH


async def test_a_guest_that_wakes_has_its_disks_requests_tried_again(guest: IdleGuest) -> None:
    await asleep(guest)
    before = guest.retries
    guest.lifecycle.io_error()
    await guest.lifecycle.wakeup()
    assert guest.retries == before + 1
    assert guest.lifecycle.run_state.running
