"""The watchdog of Intel's 6300ESB: a PCI function whose timer counts down twice.

The first stage warns, the second one acts. Registers are written one at a time, each after an unlocking sequence.
Source: Intel 6300ESB I/O Controller Hub data sheet (300641), "Watchdog timer".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, ClassVar

from msgspec import Meta

from varan.core.clock import NANOSECONDS, Clock, TimerQueue
from varan.core.state import Device, State
from varan.devices.environment import Environment
from varan.devices.pci.bar import Bar
from varan.devices.pci.device import PciDevice
from varan.devices.pci.function import PciFunction
from varan.devices.pci.layout import Identity

IDENTITY = Identity(vendor=0x8086, device=0x25AB, class_code=0x088000)
PCI_CLOCK = 33_000_000
BAR_SIZE = 16

CONFIGURATION = 0x60
"""Configuration register (16 bits): what the stages do, and how fast the timer counts."""
PRESCALE_1_MHZ = 1 << 2
OUTPUT_DISABLED = 1 << 5
CONFIGURATION_WRITABLE = 0x27
LOCK = 0x68
"""Lock register (8 bits)."""
LOCKED = 1 << 0
ENABLED = 1 << 1
FREE_RUNNING = 1 << 2
LOCK_WRITABLE = 0x07

PRELOAD_1, PRELOAD_2, INTERRUPT_STATUS, RELOAD = 0x0, 0x4, 0x8, 0xC
"""Offsets in the memory BAR."""
PRELOAD_MASK = 0xFFFFF
INTERRUPT_ACTIVE = 1 << 0
RELOAD_TIMER = 1 << 8
TIMED_OUT = 1 << 9
UNLOCK = (0x80, 0x86)

Preload = Annotated[int, Meta(ge=0, le=PRELOAD_MASK)]


class I6300EsbState(State, kw_only=True):
    """What lies behind the memory BAR, and the running stage. Survives a reset: that the watchdog caused it."""

    battery_backed: ClassVar[frozenset[str]] = frozenset({"timed_out"})

    preload1: Preload = PRELOAD_MASK
    preload2: Preload = PRELOAD_MASK
    unlocking: Annotated[int, Meta(ge=0, le=len(UNLOCK))] = 0
    """How much of the unlocking sequence has been written."""
    interrupt: bool = False
    """The first stage has run out."""
    timed_out: bool = False
    """The second stage has run out."""
    stage: Annotated[int, Meta(ge=1, le=2)] = 1
    deadline: int | None = None
    """When the running stage ends, in nanoseconds of guest time; None while the timer is off."""


class I6300EsbFunction(PciFunction):
    """Configuration space with the two registers; `changed(was)` follows a write to the lock register."""

    def __init__(self, name: str) -> None:
        super().__init__(IDENTITY, name=name)
        self.changed: Callable[[int], None] = _ignore
        self.add_register(CONFIGURATION, 2, writable=CONFIGURATION_WRITABLE)
        self.add_register(LOCK, 1, writable=LOCK_WRITABLE)

    def write_config(self, offset: int, size: int, value: int) -> None:
        before = self.register(LOCK, 1)
        super().write_config(offset, size, value)
        if not offset <= LOCK < offset + size:
            return
        if before & LOCKED:
            self.set_register(LOCK, 1, before)
        else:
            self.changed(before)


def _ignore(before: int) -> None:
    return


class I6300Esb(Device[I6300EsbState]):
    """The timer. `expired` is called when its second stage runs out and its output is enabled."""

    state_type = I6300EsbState

    def __init__(
        self, function: I6300EsbFunction, clock: Clock, timers: TimerQueue, expired: Callable[[], None]
    ) -> None:
        super().__init__()
        self._function = function
        self._clock = clock
        self._timer = timers.timer(clock, self._run_out, "i6300esb")
        self._expired = expired
        function.changed = self._lock_written

    def read(self, offset: int, size: int) -> int:
        """A guest's read from the memory BAR. Preloads cannot be read back."""
        state = self.state
        value = 0
        if offset <= INTERRUPT_STATUS < offset + size:
            value |= (INTERRUPT_ACTIVE if state.interrupt else 0) << 8 * (INTERRUPT_STATUS - offset)
        if offset < RELOAD + 2 and offset + size > RELOAD:
            shift = 8 * (RELOAD - offset)
            reload = TIMED_OUT if state.timed_out else 0
            value |= reload << shift if shift >= 0 else reload >> -shift
        return value & (1 << 8 * size) - 1

    def write(self, offset: int, size: int, value: int) -> None:
        """A guest's write to the memory BAR: part of the unlocking sequence, or what it has unlocked."""
        state = self.state
        if offset == RELOAD and state.unlocking < len(UNLOCK):
            expected = value & 0xFFFF == UNLOCK[state.unlocking]
            state.unlocking = state.unlocking + 1 if expected else int(value & 0xFFFF == UNLOCK[0])
            return
        if state.unlocking < len(UNLOCK):
            return
        state.unlocking = 0
        if offset == RELOAD and size >= 2:
            self._reload(value)
        elif offset == PRELOAD_1 and size == 4:
            state.preload1 = value & PRELOAD_MASK
        elif offset == PRELOAD_2 and size == 4:
            state.preload2 = value & PRELOAD_MASK
        elif offset == INTERRUPT_STATUS and value & INTERRUPT_ACTIVE:
            state.interrupt = False

    def _reload(self, value: int) -> None:
        if value & TIMED_OUT:
            self.state.timed_out = False
        if value & RELOAD_TIMER and self.state.deadline is not None:
            self._start()

    def _lock_written(self, before: int) -> None:
        enabled = self._function.register(LOCK, 1) & ENABLED
        if not enabled:
            self.state.deadline = None
            self.restored()
        elif not before & ENABLED:
            self._start()

    def _start(self) -> None:
        """Count from the beginning: free-running timers have only the second stage."""
        self._begin(2 if self._function.register(LOCK, 1) & FREE_RUNNING else 1)

    def _begin(self, stage: int) -> None:
        state = self.state
        preload = state.preload1 if stage == 1 else state.preload2
        fast = self._function.register(CONFIGURATION, 2) & PRESCALE_1_MHZ
        ticks = preload << (5 if fast else 15)
        state.stage = stage
        state.deadline = self._clock.now() + max(ticks * NANOSECONDS // PCI_CLOCK, 1)
        self.restored()

    def _run_out(self) -> None:
        state = self.state
        if state.stage == 1:
            state.interrupt = True
            self._begin(2)
            return
        state.timed_out = True
        if self._function.register(LOCK, 1) & FREE_RUNNING:
            self._begin(2)
        else:
            state.deadline = None
        if not self._function.register(CONFIGURATION, 2) & OUTPUT_DISABLED:
            self._expired()

    def reset(self) -> None:
        self.state = I6300EsbState(timed_out=self.state.timed_out)
        self.restored()

    def restored(self) -> None:
        if self.state.deadline is None:
            self._timer.cancel()
        else:
            self._timer.arm(self.state.deadline)

    def close(self) -> None:
        """The timer is off for good."""
        self._timer.cancel()


class I6300EsbDevice(PciDevice):
    """`-device i6300esb`."""

    type_name = "i6300esb"
    abstract = False
    description = "Intel 6300ESB watchdog"
    core: I6300Esb

    def make_function(self, environment: Environment) -> PciFunction:
        function = I6300EsbFunction(self.type_name)
        expired = environment.requests.watchdog_expired
        core = self.core = I6300Esb(function, environment.virtual, environment.timers, expired)
        function.add_bar(0, Bar("mem32", BAR_SIZE, core.read, core.write, name=self.type_name))
        return function

    def unrealize(self) -> None:
        super().unrealize()
        self.core.close()

    def parts(self) -> dict[str, Device[Any]]:
        return {**super().parts(), "i6300esb": self.core}
