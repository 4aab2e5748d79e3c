"""The threads that run vCPUs.

A `VcpuThread` owns one thread and the vCPUs on it: all of them where the accelerator wants that, one otherwise. It
runs guest code while the machine runs, fires the machine's timers (the first thread only), sleeps while its vCPUs are
halted, and does work that others ask of it between two runs, which is how anybody reads or changes a vCPU.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from varan.accel.base import Exit, ExitReason, Vcpu, Vm
from varan.core.clock import NANOSECONDS, Timer, TimerQueue
from varan.errors import GenericError

log = logging.getLogger("varan.accel")

T = TypeVar("T")
SLICE = 1_000_000
"""Nanoseconds that a vCPU runs while others wait for the thread."""
ExitHandler = Callable[[Vcpu, Exit], None]
"""Called on the vCPU thread for SHUTDOWN and INTERNAL_ERROR; the thread has paused itself by then."""


class Alarm:
    """Kicks a vCPU at a deadline, from a thread of its own that starts with the first deadline.

    Earlier deadlines replace later ones; one that has become stale costs a spurious kick and no more.
    """

    def __init__(self, kick: Callable[[], None]) -> None:
        self._kick = kick
        self._condition = threading.Condition()
        self._deadline: int | None = None
        self._thread: threading.Thread | None = None
        self._closed = False

    def set(self, deadline: int) -> None:
        """Kick at `deadline` (host monotonic nanoseconds) at the latest."""
        current = self._deadline
        if current is not None and current <= deadline:
            return
        with self._condition:
            self._deadline = deadline
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, name="alarm", daemon=True)
                self._thread.start()
            self._condition.notify()

    def close(self) -> None:
        """End the thread."""
        with self._condition:
            self._closed = True
            self._condition.notify()
        if self._thread is not None:
            self._thread.join()

    def _work(self) -> None:
        with self._condition:
            while not self._closed:
                if self._deadline is None:
                    self._condition.wait()
                    continue
                wait = self._deadline - time.monotonic_ns()
                if wait > 0:
                    self._condition.wait(wait / NANOSECONDS)
                    continue
                self._deadline = None
                self._kick()


class VcpuThread:
    """One thread with its vCPUs (see the module's text)."""

    def __init__(
        self,
        vm: Vm,
        indices: list[int],
        lock: threading.RLock,
        timers: TimerQueue | None,
        on_exit: ExitHandler,
        name: str,
    ) -> None:
        self._vm = vm
        self._indices = indices
        self._lock = lock
        self._timers = timers
        self._on_exit = on_exit
        self.vcpus: list[Vcpu] = []
        self.thread_id = 0
        """The host's number for the thread, as `ps -L` shows it."""
        self._current: Vcpu | None = None
        self._next = 0
        """Place in `vcpus` of the one whose turn is next."""
        self._work: deque[Callable[[], None]] = deque()
        self._wake = threading.Condition(threading.Lock())
        self._woken = False
        self._running = False
        self._resting = False
        self._counting = False
        """Whether the vCPUs' time-stamp counters advance; follows `_running`, on the thread itself."""
        self._stopping = False
        self._ended = False
        """Whether nobody looks at `_work` any more; guarded by `_wake`."""
        self._alarm = Alarm(self.kick)
        self._started: Future[None] = Future()
        if timers is not None:
            timers.on_earlier = self._timer_earlier
        self._thread = threading.Thread(target=self._main, name=name, daemon=True)
        self._thread.start()
        self._started.result()

    def kick(self) -> None:
        """Make the thread look at its requests and timers. Any thread; never blocks for long."""
        with self._wake:
            self._woken = True
            self._wake.notify()
        current = self._current
        if current is not None:
            current.kick()

    def call(self, work: Callable[[], T]) -> Future[T]:
        """Run `work` on the thread between two runs of guest code. Inline when called from the thread itself.

        A future that is cancelled before its turn takes `work` with it. GenericError is raised by that of an ended
        thread.
        """
        future: Future[T] = Future()

        def perform() -> None:
            if not future.set_running_or_notify_cancel():
                return
            try:
                future.set_result(work())
            except BaseException as error:
                future.set_exception(error)

        if threading.current_thread() is self._thread:
            perform()
            return future
        with self._wake:
            ended = self._ended
            if not ended:
                self._work.append(perform)
        if ended:
            future.set_exception(GenericError("The machine has ended"))
        else:
            self.kick()
        return future

    def resume(self) -> None:
        """Let guest code run."""
        self._resting = False
        self._running = True
        self.kick()

    def pause(self) -> Future[None]:
        """Stop guest code; the future is done when no instruction runs any more."""

        def stop_running() -> None:
            self._running = self._resting = False
            self._count(False)

        return self.call(stop_running)

    def hold(self) -> None:
        """Like `pause`, but waits for nothing and so may be called from a device handler or another vCPU's thread."""
        self._running = False
        self.kick()

    def rest(self) -> None:
        """Run the machine's timers but no guest code (a sleeping machine), until `resume` or `pause`."""
        self._resting = True
        self.kick()

    def close(self) -> None:
        """End the thread and release its vCPUs. Not from the thread itself."""
        self._stopping = True
        self.kick()
        self._thread.join()
        self._alarm.close()

    def _timer_earlier(self, timer: Timer) -> None:
        """A timer is due before all others: set the alarm from a device handler, else make the thread look."""
        if threading.current_thread() is not self._thread:
            self.kick()
        elif timer.deadline is not None and timer.clock.running():
            self._alarm.set(time.monotonic_ns() + timer.deadline - timer.clock.now())

    def _main(self) -> None:
        self.thread_id = threading.get_native_id()
        try:
            for index in self._indices:
                vcpu = self._vm.create_vcpu(index)
                vcpu.wake = self.kick
                self.vcpus.append(vcpu)
        except BaseException as error:
            self._started.set_exception(error)
            return
        self._started.set_result(None)
        try:
            while not self._stopping:
                self._turn_or_fail()
        finally:
            with self._wake:
                self._ended = True
            while self._work:
                self._work.popleft()()
            for vcpu in self.vcpus:
                vcpu.close()

    def _count(self, counting: bool) -> None:
        if self._counting == counting:
            return
        self._counting = counting
        for vcpu in self.vcpus:
            if counting:
                vcpu.start_counter()
            else:
                vcpu.stop_counter()

    def _turn_or_fail(self) -> None:
        try:
            self._turn()
        except Exception as error:
            # Whatever a device did wrong, the thread goes on: the control plane asks it things.
            log.exception("a device or the accelerator failed while a vCPU ran")
            vcpu, self._current = self._current or self.vcpus[0], None
            self._leave(vcpu, Exit(ExitReason.INTERNAL_ERROR, f"{type(error).__name__}: {error}"))

    def _leave(self, vcpu: Vcpu, exit: Exit) -> None:
        self._running = False
        self._on_exit(vcpu, exit)

    def _turn(self) -> None:
        # Whatever there was to wake for is looked at from here on.
        self._woken = False
        while self._work:
            self._work.popleft()()
        # Read once: another thread may set it meanwhile, and guest code must not run with its counter held.
        running = self._running
        self._count(running)
        if not running:
            self._sleep(self._run_timers() if self._resting else None)
            return
        wait = self._run_timers()
        runnable = [vcpu for vcpu in self.vcpus if not vcpu.halted or vcpu.has_work()]
        if not runnable:
            self._sleep(wait)
            return
        vcpu = runnable[0]
        if len(self.vcpus) > 1:
            vcpu = self._choose(runnable)
            if vcpu.gives_way and (wait is None or wait > SLICE):
                wait = SLICE
        if wait is not None:
            self._alarm.set(time.monotonic_ns() + wait)
        self._run(vcpu)

    def _choose(self, runnable: list[Vcpu]) -> Vcpu:
        """Who has its turn: in order of place, from the one behind the last that had it."""
        places = [self.vcpus.index(vcpu) for vcpu in runnable]
        place = next((place for place in places if place >= self._next), places[0])
        self._next = place + 1
        vcpu = self.vcpus[place]
        vcpu.gives_way = len(runnable) > 1
        return vcpu

    def _run_timers(self) -> int | None:
        if self._timers is None:
            return None
        with self._lock:
            return self._timers.run_due()

    def _run(self, vcpu: Vcpu) -> None:
        self._current = vcpu
        if self._woken:
            # A kick that came before `_current` was set reached no vCPU: look at its reason first.
            self._current = None
            return
        exit = vcpu.run()
        self._current = None
        if exit.reason in (ExitReason.SHUTDOWN, ExitReason.INTERNAL_ERROR):
            self._leave(vcpu, exit)

    def _sleep(self, nanoseconds: int | None) -> None:
        with self._wake:
            if not self._woken and not self._work and not self._stopping:
                self._wake.wait(None if nanoseconds is None else nanoseconds / NANOSECONDS)
            self._woken = False
