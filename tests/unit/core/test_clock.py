from __future__ import annotations

import pytest

from varan.core.clock import STALE_LIMIT, ManualClock, TimerQueue, VirtualClock


class Stopped(ManualClock):
    """A clock that can be held."""

    held = False

    def running(self) -> bool:
        return not self.held


@pytest.fixture
def clock() -> Stopped:
    return Stopped()


@pytest.fixture
def queue() -> TimerQueue:
    return TimerQueue()


def test_virtual_time_advances_between_start_and_stop_only() -> None:
    host = ManualClock(1000)
    clock = VirtualClock(host.now)
    host.advance(5)
    assert clock.now() == 0
    clock.start()
    clock.start()
    host.advance(7)
    clock.stop()
    host.advance(100)
    assert clock.now() == 7
    assert not clock.running()


def test_virtual_time_can_be_set_while_it_runs_and_while_it_stands() -> None:
    host = ManualClock()
    clock = VirtualClock(host.now)
    clock.set(50)
    assert clock.now() == 50
    clock.start()
    host.advance(1)
    clock.set(200)
    host.advance(3)
    assert clock.now() == 203


def test_timer_runs_once_at_its_deadline(clock: Stopped, queue: TimerQueue) -> None:
    calls: list[int] = []
    timer = queue.timer(clock, lambda: calls.append(clock.now()))
    timer.arm(10)
    assert queue.run_due() == 10
    clock.advance(10)
    assert queue.run_due() is None
    assert calls == [10]
    assert timer.deadline is None


def test_timers_run_in_the_order_of_their_deadlines(clock: Stopped, queue: TimerQueue) -> None:
    calls: list[str] = []
    queue.timer(clock, lambda: calls.append("late")).arm(20)
    queue.timer(clock, lambda: calls.append("early")).arm(10)
    clock.advance(30)
    queue.run_due()
    assert calls == ["early", "late"]


def test_timer_armed_anew_runs_at_the_new_deadline_only(clock: Stopped, queue: TimerQueue) -> None:
    calls: list[int] = []
    timer = queue.timer(clock, lambda: calls.append(clock.now()))
    timer.arm(10)
    timer.arm(30)
    timer.arm(20)
    for _ in range(4):
        clock.advance(10)
        queue.run_due()
    assert calls == [20]


def test_cancelled_timer_does_not_run_even_when_armed_for_the_same_time_again(
    clock: Stopped, queue: TimerQueue
) -> None:
    calls: list[int] = []
    timer = queue.timer(clock, lambda: calls.append(1))
    timer.arm(10)
    timer.cancel()
    assert queue.run_due() is None
    timer.arm(10)
    timer.cancel()
    timer.arm(10)
    clock.advance(10)
    queue.run_due()
    assert calls == [1]


def test_callback_may_arm_its_timer_again(clock: Stopped, queue: TimerQueue) -> None:
    calls: list[int] = []

    def again() -> None:
        calls.append(clock.now())
        timer.arm(clock.now() + 5)

    timer = queue.timer(clock, again)
    timer.arm(5)
    for _ in range(3):
        clock.advance(5)
        assert queue.run_due() == 5
    assert calls == [5, 10, 15]


def test_timers_of_a_stopped_clock_wait_without_a_deadline(clock: Stopped, queue: TimerQueue) -> None:
    calls: list[int] = []
    queue.timer(clock, lambda: calls.append(1)).arm(10)
    clock.advance(20)
    clock.held = True
    assert queue.run_due() is None
    assert not calls
    clock.held = False
    queue.run_due()
    assert calls == [1]


def test_soonest_of_several_clocks_is_told(clock: Stopped, queue: TimerQueue) -> None:
    queue.timer(clock, lambda: None).arm(50)
    queue.timer(ManualClock(100), lambda: None).arm(120)
    assert queue.run_due() == 20


def test_sleeper_is_told_of_earlier_timers_only(clock: Stopped, queue: TimerQueue) -> None:
    calls: list[int] = []
    queue.on_earlier = lambda timer: calls.append(1)
    queue.timer(clock, lambda: None).arm(50)
    queue.timer(clock, lambda: None).arm(60)
    assert len(calls) == 1
    queue.timer(clock, lambda: None).arm(40)
    assert len(calls) == 2


def test_a_timer_quicker_than_its_callback_does_not_keep_the_others_waiting(clock: Stopped, queue: TimerQueue) -> None:
    calls: list[str] = []

    def rise() -> None:
        calls.append("rise")
        assert len(calls) < 10
        clock.advance(100)
        quick.arm(clock.now() + 1)
        clock.advance(1)

    quick = queue.timer(clock, rise)
    quick.arm(10)
    queue.timer(clock, lambda: calls.append("other")).arm(20)
    clock.advance(20)
    assert queue.run_due() == 0
    assert calls == ["rise", "other"]


def test_a_timer_armed_over_and_over_takes_no_more_memory_and_fires_once(clock: Stopped, queue: TimerQueue) -> None:
    calls: list[int] = []
    far = queue.timer(clock, lambda: calls.append(clock.now()))
    other = queue.timer(clock, lambda: calls.append(clock.now()))
    other.arm(5000)
    for deadline in range(100_000, 120_000):
        far.arm(deadline)
    assert sum(len(heap) for _, heap in queue._heaps.values()) <= STALE_LIMIT
    clock.advance(200_000)
    queue.run_due()
    assert len(calls) == 2
