"""The thread that runs vCPUs: work between runs, pause and resume, timers, failures."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
from tests.support.fake_vm import IdleVcpu, IdleVm

from varan.accel.base import KICKED, SHUTDOWN, Exit, ExitReason, Vcpu
from varan.accel.executor import VcpuThread
from varan.core.clock import TimerQueue, VirtualClock
from varan.errors import GenericError

SOON = 10
"""Seconds that nothing here may take."""


class Bench:
    """A thread with one idle vCPU and what its exits were."""

    def __init__(self, indices: list[int] | None = None) -> None:
        self.lock = threading.RLock()
        self.timers = TimerQueue()
        self.exits: list[Exit] = []
        self.exited = threading.Event()
        self.thread = VcpuThread(IdleVm(), indices or [0], self.lock, self.timers, self._exit, "test")
        vcpu = self.thread.vcpus[0]
        assert isinstance(vcpu, IdleVcpu)
        self.vcpu = vcpu

    def _exit(self, vcpu: Vcpu, exit: Exit) -> None:
        self.exits.append(exit)
        self.exited.set()


@pytest.fixture
def bench() -> Iterator[Bench]:
    bench = Bench()
    yield bench
    bench.thread.close()


def test_a_new_thread_runs_no_guest_code(bench: Bench) -> None:
    bench.thread.call(lambda: None).result(SOON)
    assert bench.vcpu.runs == 0


def test_resume_runs_the_guest_and_pause_ends_it(bench: Bench) -> None:
    bench.thread.resume()
    assert bench.vcpu.running.wait(SOON)
    bench.thread.pause().result(SOON)
    runs = bench.vcpu.runs
    bench.thread.call(lambda: None).result(SOON)
    assert bench.vcpu.runs == runs


def test_time_stamp_counters_advance_only_while_the_guest_may_run(bench: Bench) -> None:
    bench.thread.resume()
    assert bench.vcpu.running.wait(SOON)
    assert bench.vcpu.counting
    bench.thread.pause().result(SOON)
    assert not bench.vcpu.counting
    bench.thread.resume()
    assert bench.vcpu.running.wait(SOON)
    bench.thread.hold()
    bench.thread.call(lambda: None).result(SOON)
    bench.thread.call(lambda: None).result(SOON)
    assert not bench.vcpu.counting


def test_work_interrupts_a_running_guest_and_runs_on_its_thread(bench: Bench) -> None:
    bench.thread.resume()
    assert bench.vcpu.running.wait(SOON)
    assert bench.thread.call(threading.get_native_id).result(SOON) == bench.thread.thread_id
    assert bench.vcpu.running.wait(SOON)


def test_a_thousand_calls_against_a_running_guest_all_come_back(bench: Bench) -> None:
    bench.thread.resume()
    assert [bench.thread.call(lambda n=n: n).result(SOON) for n in range(1000)] == list(range(1000))


def test_an_exception_in_work_reaches_the_caller(bench: Bench) -> None:
    with pytest.raises(ZeroDivisionError):
        bench.thread.call(lambda: 1 // 0).result(SOON)


def test_a_timer_armed_from_outside_fires_while_the_guest_runs(bench: Bench) -> None:
    clock = VirtualClock()
    clock.start()
    fired = threading.Event()
    timer = bench.timers.timer(clock, fired.set)
    bench.thread.resume()
    assert bench.vcpu.running.wait(SOON)
    with bench.lock:
        timer.arm(clock.now() + 1_000_000)
    assert fired.wait(SOON)


def test_a_timer_that_a_device_arms_while_the_guest_runs_fires_without_an_exit(bench: Bench) -> None:
    clock = VirtualClock()
    clock.start()
    fired = threading.Event()
    timer = bench.timers.timer(clock, fired.set)
    bench.vcpu.on_run = lambda: timer.arm(clock.now() + 1_000_000)
    bench.thread.resume()
    assert fired.wait(SOON)


def test_a_timer_fires_while_all_vcpus_are_halted(bench: Bench) -> None:
    bench.vcpu.is_halted, bench.vcpu.work = True, False
    clock = VirtualClock()
    clock.start()
    fired = threading.Event()
    with bench.lock:
        bench.timers.timer(clock, fired.set).arm(clock.now() + 1_000_000)
    bench.thread.resume()
    assert fired.wait(SOON)
    assert bench.vcpu.runs == 0


def test_no_timer_fires_while_paused(bench: Bench) -> None:
    clock = VirtualClock()
    clock.start()
    fired = threading.Event()
    with bench.lock:
        bench.timers.timer(clock, fired.set).arm(0)
    bench.thread.call(lambda: None).result(SOON)
    assert not fired.is_set()


def test_a_triple_fault_stops_the_thread_and_is_reported(bench: Bench) -> None:
    bench.vcpu.exits.append(SHUTDOWN)
    bench.thread.resume()
    assert bench.exited.wait(SOON)
    bench.thread.call(lambda: None).result(SOON)
    assert bench.exits == [SHUTDOWN]
    assert bench.vcpu.runs == 1


def test_a_failing_device_handler_becomes_an_internal_error_with_its_message(bench: Bench) -> None:
    bench.vcpu.exits.append(ValueError("a device slipped"))
    bench.thread.resume()
    assert bench.exited.wait(SOON)
    assert bench.exits[0].reason is ExitReason.INTERNAL_ERROR
    assert "a device slipped" in bench.exits[0].detail


def test_closing_releases_the_vcpus_and_refuses_further_work() -> None:
    bench = Bench()
    bench.thread.resume()
    bench.thread.close()
    assert bench.vcpu.closed
    with pytest.raises(GenericError, match="The machine has ended"):
        bench.thread.call(lambda: None).result(SOON)


def test_work_that_is_cancelled_before_its_turn_is_not_done_and_harms_nobody(bench: Bench) -> None:
    done: list[str] = []
    entered, go_on = threading.Event(), threading.Event()

    def occupy() -> None:
        entered.set()
        go_on.wait(SOON)

    bench.thread.call(occupy)
    assert entered.wait(SOON)
    waiting = bench.thread.call(lambda: done.append("cancelled"))
    assert waiting.cancel()
    go_on.set()
    bench.thread.call(lambda: done.append("next")).result(SOON)
    assert done == ["next"]


def test_a_failing_timer_becomes_an_internal_error_and_the_thread_still_answers(bench: Bench) -> None:
    clock = VirtualClock()
    clock.start()

    def fail() -> None:
        raise ValueError("a timer slipped")

    with bench.lock:
        bench.timers.timer(clock, fail).arm(0)
    bench.thread.resume()
    assert bench.exited.wait(SOON)
    assert bench.exits == [Exit(ExitReason.INTERNAL_ERROR, "ValueError: a timer slipped")]
    assert bench.thread.call(lambda: "alive").result(SOON) == "alive"


def test_a_vcpu_that_cannot_be_made_fails_the_constructor() -> None:
    class Broken(IdleVm):
        def create_vcpu(self, index: int) -> IdleVcpu:
            raise OSError("no vCPU today")

    with pytest.raises(OSError, match="no vCPU today"):
        VcpuThread(Broken(), [0], threading.RLock(), None, lambda vcpu, exit: None, "test")


class SpinningVcpu(IdleVcpu):
    """Runs until it is kicked, each time kicked by somebody else."""

    kicker: VcpuThread | None = None

    @property
    def halted(self) -> bool:
        return False

    def run(self) -> Exit:
        self.runs += 1
        assert self.kicker is not None
        self.kicker.kick()
        return KICKED


class SpinningVm(IdleVm):
    def create_vcpu(self, index: int) -> SpinningVcpu:
        return SpinningVcpu(index)


def test_busy_vcpus_of_one_thread_take_turns_however_often_they_are_kicked() -> None:
    lock, exits = threading.RLock(), []
    thread = VcpuThread(SpinningVm(), [0, 1, 2], lock, None, lambda vcpu, exit: exits.append(exit), "test")
    vcpus = [vcpu for vcpu in thread.vcpus if isinstance(vcpu, SpinningVcpu)]
    for vcpu in vcpus:
        vcpu.kicker = thread
    thread.resume()
    for _ in range(1000):
        if min(vcpu.runs for vcpu in vcpus) > 5:
            break
        thread.call(lambda: None).result(SOON)
    thread.pause().result(SOON)
    runs = [vcpu.runs for vcpu in vcpus]
    thread.close()
    assert min(runs) > 5 and max(runs) - min(runs) <= 1
    assert all(vcpu.gives_way for vcpu in vcpus)
