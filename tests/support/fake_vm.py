"""An accelerator whose guests do nothing but wait to be kicked, for tests of what stands around vCPUs."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

from varan.accel.base import KICKED, Exit, Vcpu, Vm
from varan.accel.state import CpuState
from varan.core.irq import InterruptController, NoPin


class IdleVcpu(Vcpu):
    """Runs until kicked, or returns the exits it was given."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.pin = NoPin()
        self.exits: deque[Exit | Exception] = deque()
        self.runs = 0
        self.work = True
        self.is_halted = False
        self.closed = False
        self.counting = False
        self.state = CpuState()
        self.running = threading.Event()
        self.on_run: Callable[[], None] | None = None
        """Called once, in the middle of the first run, as a device handler would be."""
        self._kicked = threading.Event()

    def run(self) -> Exit:
        self.runs += 1
        if self.exits:
            exit = self.exits.popleft()
            if isinstance(exit, Exception):
                raise exit
            return exit
        if self.on_run is not None:
            on_run, self.on_run = self.on_run, None
            on_run()
        self.running.set()
        self._kicked.wait()
        self._kicked.clear()
        self.running.clear()
        return KICKED

    def kick(self) -> None:
        self._kicked.set()

    def connect(self, controller: InterruptController) -> None:
        return

    def has_work(self) -> bool:
        return self.work

    def inject_nmi(self) -> None:
        self.state.events.nmi_pending = True

    def reset(self) -> None:
        self.state = CpuState()

    def get_state(self) -> CpuState:
        return self.state

    def set_state(self, state: CpuState) -> None:
        self.state = state

    def cpuid(self, leaf: int, subleaf: int) -> tuple[int, int, int, int]:
        return 0, 0, 0, 0

    def translate(self, virtual: int) -> int | None:
        return virtual

    @property
    def halted(self) -> bool:
        return self.is_halted

    @property
    def pc(self) -> int:
        return self.state.cs.base + self.state.rip

    def stop_counter(self) -> None:
        self.counting = False

    def start_counter(self) -> None:
        self.counting = True

    def close(self) -> None:
        self.closed = True


class IdleVm(Vm):
    """Makes `IdleVcpu`s."""

    def create_vcpu(self, index: int) -> IdleVcpu:
        return IdleVcpu(index)

    def close(self) -> None:
        return
