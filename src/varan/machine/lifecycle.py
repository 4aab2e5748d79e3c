"""Start, pause, resume, reset, shutdown: the one task that moves a machine between run states.

Everything that wants a move, a command or the guest itself, puts a request in one queue; the task takes them in order,
so that two monitors, a triple fault and a signal at the same moment still happen one after the other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from varan.accel.base import Exit, ExitReason, Vcpu
from varan.accel.executor import VcpuThread
from varan.api import events
from varan.api.values import (
    GuestPanicAction,
    PanicAction,
    RebootAction,
    RunState,
    ShutdownAction,
    ShutdownCause,
    WatchdogAction,
)
from varan.core.events import EventBus
from varan.devices.environment import WakeCause
from varan.errors import GenericError, MigrationExpected
from varan.machine.runstate import NEEDS_RESET, RunStateMachine
from varan.machine.spec import Actions

log = logging.getLogger("varan.machine")

GUEST_CAUSES = frozenset(
    {
        ShutdownCause.GUEST_SHUTDOWN,
        ShutdownCause.GUEST_RESET,
        ShutdownCause.GUEST_PANIC,
        ShutdownCause.SUBSYSTEM_RESET,
    }
)
"""Causes that count as the guest's own doing in events."""

_PAUSABLE = GUEST_CAUSES | {ShutdownCause.HOST_QMP_SYSTEM_RESET}
"""Causes of an end that the shutdown action `pause` turns into a pause; who quits or sends a signal means the end."""

ENDED = "The machine has ended"


class Guest(Protocol):
    """The parts of a machine whose execution the lifecycle controls."""

    @property
    def threads(self) -> Sequence[VcpuThread]:
        """The threads that run vCPUs."""

    async def drain(self) -> None:
        """Wait until what the guest has begun no longer uses its memory. Called when no guest code runs."""

    def start_clock(self) -> None:
        """Let guest time advance."""

    def stop_clock(self) -> None:
        """Hold guest time."""

    async def restart(self) -> None:
        """Put all devices and vCPUs into reset state and load what boots; called while nothing runs."""

    async def inject_nmi(self) -> None:
        """Raise a non-maskable interrupt on every vCPU."""

    def press_power_button(self) -> None:
        """Tell the guest that it is wanted to shut down."""

    def pending_wake(self) -> WakeCause | None:
        """What ends a sleep that has just begun: it happened while the guest went to bed."""

    async def flush(self) -> None:
        """Put what is on disks into their images, as far as that goes. Called when no guest code runs."""

    def retry(self) -> None:
        """Begin anew what disks failed to do and what has waited since."""

    async def wake(self, cause: WakeCause) -> bool:
        """Lead the guest out of its sleep; False when only a reset goes on from there. Called while nothing runs."""


class Lifecycle:
    """The moves of one machine (see the module's text). Call `open` on the machine's loop first."""

    def __init__(self, guest: Guest, events: EventBus, actions: Actions) -> None:
        self._guest = guest
        self._events = events
        self.actions = actions
        self.run_state = RunStateMachine()
        self._queue: asyncio.Queue[tuple[Callable[[], Awaitable[None]], asyncio.Future[None] | None]]
        self._loop: asyncio.AbstractEventLoop
        self._task: asyncio.Task[None] | None = None
        self._ended: asyncio.Future[ShutdownCause]
        self._io_failed = False
        """A disk's requests wait since the guest was last let go on."""

    def open(self) -> None:
        """Begin to take requests."""
        self._loop = asyncio.get_running_loop()
        self._queue = asyncio.Queue()
        self._ended = self._loop.create_future()
        self._task = self._loop.create_task(self._serve(), name="lifecycle")

    async def close(self) -> None:
        """Take no more requests; those that wait raise GenericError."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            while not self._queue.empty():
                _refuse(self._queue.get_nowait()[1], GenericError(ENDED))
        if not self._ended.done():
            self._ended.cancel()

    async def ended(self) -> ShutdownCause:
        """Wait until the machine is to end; says why."""
        return await asyncio.shield(self._ended)

    async def stop(self) -> None:
        """Pause the guest. Succeeds on a paused one."""
        await self._request(lambda: self._rest(RunState.PAUSED))

    async def cont(self) -> None:
        """Let the guest run. Raises GenericError where only a reset helps, MigrationExpected while one is awaited."""
        await self._request(self._cont)

    async def reset(self, cause: ShutdownCause = ShutdownCause.HOST_QMP_SYSTEM_RESET) -> None:
        """Reset the machine (or end it, where the reboot action says so)."""
        await self._request(lambda: self._reset(cause))

    async def wakeup(self) -> None:
        """End the guest's sleep. Raises GenericError for a guest that does not sleep."""
        await self._request(self._wakeup)

    def request_shutdown(self, cause: ShutdownCause) -> None:
        """End the machine; returns at once."""
        self._queue.put_nowait((lambda: self._shutdown(cause), None))

    def guest_reset(self) -> None:
        """The guest asks for a reset. Any thread; guest code stops until it has been done."""
        self._from_guest(lambda: self._reset(ShutdownCause.GUEST_RESET))

    def guest_shutdown(self) -> None:
        """The guest powers the machine off. Any thread; guest code stops."""
        self._from_guest(lambda: self._shutdown(ShutdownCause.GUEST_SHUTDOWN))

    def guest_suspend(self) -> None:
        """The guest goes to sleep (ACPI S3). Any thread; guest code stops."""
        self._from_guest(self._suspend)

    def guest_hibernate(self) -> None:
        """The guest powers the machine off, having saved its memory (ACPI S4). Any thread; guest code stops."""
        self._from_guest(self._hibernate)

    def wake(self, cause: WakeCause) -> None:
        """Something happened that wakes a sleeping guest. Any thread."""
        if self.run_state.state is RunState.SUSPENDED:
            self._queue_soon(lambda: self._wake(cause))

    def guest_panicked(self) -> None:
        """The guest reports a crash. Any thread; guest code stops until what the action says has been done."""
        self._from_guest(self._panic)

    def io_error(self) -> None:
        """A disk's request failed and waits for something to be mended. On the loop; guest code stops until `cont`."""
        self._io_failed = True
        self._from_guest(self._io_error)

    def watchdog_expired(self) -> None:
        """A watchdog ran out. Any thread; guest code stops until what the action says has been done."""
        self._from_guest(self._watchdog)

    def vcpu_exit(self, vcpu: Vcpu, exit: Exit) -> None:
        """A vCPU cannot go on (called on its thread)."""
        if exit.reason is ExitReason.SHUTDOWN:
            log.info("CPU %d: triple fault", vcpu.index)
            self.guest_reset()
        else:
            log.error("CPU %d stopped at %#x: %s", vcpu.index, vcpu.pc, exit.detail)
            self._from_guest(lambda: self._rest(RunState.INTERNAL_ERROR))

    def _from_guest(self, work: Callable[[], Awaitable[None]]) -> None:
        for thread in self._guest.threads:
            thread.hold()
        self._queue_soon(work)

    def _queue_soon(self, work: Callable[[], Awaitable[None]]) -> None:
        with contextlib.suppress(RuntimeError):
            self._loop.call_soon_threadsafe(self._queue.put_nowait, (work, None))

    async def _request(self, work: Callable[[], Awaitable[None]]) -> None:
        if self._task is None or self._task.done():
            raise GenericError("The machine is not open")
        future: asyncio.Future[None] = self._loop.create_future()
        self._queue.put_nowait((work, future))
        await future

    async def _serve(self) -> None:
        while True:
            work, future = await self._queue.get()
            try:
                await work()
            except asyncio.CancelledError:
                _refuse(future, GenericError(ENDED))
                raise
            except Exception as error:
                if future is None:
                    log.exception("a request of the guest failed")
                _refuse(future, error)
            else:
                if future is not None and not future.done():
                    future.set_result(None)

    async def pause_threads(self) -> None:
        """Wait until neither guest code nor a disk's request runs; the run state stays as it is."""
        await asyncio.gather(*(asyncio.wrap_future(thread.pause()) for thread in self._guest.threads))
        await self._guest.drain()

    async def _rest(self, state: RunState) -> None:
        if not self.run_state.running:
            return
        await self.pause_threads()
        self._guest.stop_clock()
        self.run_state.move(state)
        self._events.emit(events.Stop())
        await self._guest.flush()

    def _resume_threads(self) -> None:
        for thread in self._guest.threads:
            thread.resume()

    async def _cont(self) -> None:
        state = self.run_state.state
        if state in (RunState.RUNNING, RunState.SUSPENDED):
            return
        if state is RunState.INMIGRATE:
            raise MigrationExpected
        if state in NEEDS_RESET:
            raise GenericError("Resetting the Virtual Machine is required")
        self.run_state.move(RunState.RUNNING)
        self._events.emit(events.Resume())
        self._guest.start_clock()
        self._retry()
        self._resume_threads()

    def _retry(self) -> None:
        self._io_failed = False
        self._guest.retry()

    async def _io_error(self) -> None:
        # Whoever let the guest go on meanwhile has had everything tried again.
        if self._io_failed:
            await self._rest(RunState.IO_ERROR)
        self._go_on()

    async def _reset(self, cause: ShutdownCause) -> None:
        if self.actions.reboot is RebootAction.SHUTDOWN:
            await self._shutdown(cause)
            return
        log.info("reset: %s", cause.value)
        await self.pause_threads()
        await self._guest.restart()
        if not self.run_state.running:
            self._guest.stop_clock()
            self.run_state.move(RunState.PRELAUNCH)
        self._events.emit(events.Reset(guest=cause in GUEST_CAUSES, reason=cause))
        if self.run_state.running:
            self._resume_threads()

    async def _suspend(self) -> None:
        if not self.run_state.running:
            return
        await self.pause_threads()
        self.run_state.move(RunState.SUSPENDED)
        self._events.emit(events.Suspend())
        for thread in self._guest.threads:
            thread.rest()
        cause = self._guest.pending_wake()
        if cause is not None:
            await self._wake(cause)

    async def _hibernate(self) -> None:
        self._events.emit(events.SuspendDisk())
        await self._shutdown(ShutdownCause.GUEST_SHUTDOWN)

    async def _wakeup(self) -> None:
        if self.run_state.state is not RunState.SUSPENDED:
            raise GenericError("Unable to wake up: guest is not in suspended state")
        await self._wake(WakeCause.BUTTON)

    async def _wake(self, cause: WakeCause) -> None:
        if self.run_state.state is not RunState.SUSPENDED:
            return
        await self.pause_threads()
        woken = await self._guest.wake(cause)
        self.run_state.move(RunState.RUNNING)
        self._events.emit(events.Wakeup())
        if woken:
            self._retry()
            self._resume_threads()
        else:
            await self._reset(ShutdownCause.GUEST_RESET)

    async def _panic(self) -> None:
        actions = self.actions
        pauses = actions.panic is PanicAction.PAUSE or (
            actions.panic is PanicAction.SHUTDOWN and actions.shutdown is ShutdownAction.PAUSE
        )
        if pauses:
            self._events.emit(events.GuestPanicked(action=GuestPanicAction.PAUSE))
            await self._rest(RunState.GUEST_PANICKED)
        elif actions.panic is PanicAction.NONE:
            self._events.emit(events.GuestPanicked(action=GuestPanicAction.RUN))
            self._go_on()
        else:
            self._events.emit(events.GuestPanicked(action=GuestPanicAction.POWEROFF))
            await self._rest(RunState.GUEST_PANICKED)
            await self._shutdown(ShutdownCause.GUEST_PANIC)

    async def _watchdog(self) -> None:
        action = self.actions.watchdog
        log.info("a watchdog ran out: %s", action.value)
        self._events.emit(events.Watchdog(action=action))
        if action is WatchdogAction.RESET:
            await self._reset(ShutdownCause.GUEST_RESET)
        elif action is WatchdogAction.POWEROFF:
            await self._shutdown(ShutdownCause.GUEST_SHUTDOWN)
        elif action is WatchdogAction.PAUSE:
            await self._rest(RunState.WATCHDOG)
        elif action is WatchdogAction.SHUTDOWN:
            self._guest.press_power_button()
        elif action is WatchdogAction.INJECT_NMI:
            await self._guest.inject_nmi()
        elif action is WatchdogAction.DEBUG:
            log.warning("a watchdog ran out")
        self._go_on()

    def _go_on(self) -> None:
        """Let vCPUs that a guest's request holds run again, where the machine runs."""
        if self.run_state.running and not self._ended.done():
            self._resume_threads()

    async def _shutdown(self, cause: ShutdownCause) -> None:
        if self._ended.done():
            return
        log.info("shutdown: %s", cause.value)
        self._events.emit(events.Shutdown(guest=cause in GUEST_CAUSES, reason=cause))
        if self.actions.shutdown is ShutdownAction.PAUSE and cause in _PAUSABLE:
            await self._rest(RunState.SHUTDOWN)
            return
        await self.pause_threads()
        self._guest.stop_clock()
        self._ended.set_result(cause)


def _refuse(future: asyncio.Future[None] | None, error: Exception) -> None:
    if future is not None and not future.done():
        future.set_exception(error)
