"""An accelerator that replays a script: for tests of devices, boards and machines without a guest.

A script is a list of steps: accesses to ports and memory, interrupts taken, and the exits that `Vcpu.run` returns. What
accesses read and which vectors were taken is kept in `ScriptedVcpu.log`. A vCPU whose script has ended is halted.
"""

from __future__ import annotations

import copy
import threading
from collections import deque
from collections.abc import Iterable
from typing import ClassVar, NamedTuple

from varan.accel.base import (
    HALTED,
    KICKED,
    ONE_CPU,
    Accelerator,
    Availability,
    Exit,
    ExitReason,
    Topology,
    Vcpu,
    Vm,
)
from varan.accel.cpuid import ModelInfo, from_table
from varan.accel.state import Activity, CpuState
from varan.core.irq import InterruptController, LocalController, NoPin
from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace


class In(NamedTuple):
    """IN of `size` bytes."""

    port: int
    size: int = 1


class Out(NamedTuple):
    """OUT of `size` bytes."""

    port: int
    value: int
    size: int = 1


class Load(NamedTuple):
    """A read of `size` bytes at a physical address."""

    address: int
    size: int = 4


class Store(NamedTuple):
    """A write of `size` bytes at a physical address."""

    address: int
    value: int
    size: int = 4


class TakeInterrupt(NamedTuple):
    """Acknowledge an interrupt. The vCPU halts here until the controller has one."""


Step = In | Out | Load | Store | TakeInterrupt | Exit


class Outcome(NamedTuple):
    """A step that was made and what it gave: the value read, the vector taken, None for writes."""

    step: Step
    value: int | None


class ScriptedVcpu(Vcpu):
    """Makes one step after the other; `run` returns at an Exit in the script, a kick, or a halt."""

    def __init__(self, index: int, memory: MemorySpace, ports: PortSpace, lock: threading.RLock) -> None:
        self.index = index
        self.pin = NoPin()
        self.log: list[Outcome] = []
        self.state = CpuState(activity=Activity.WAIT_FOR_SIPI if index else Activity.RUNNING)
        self.nmis = 0
        self._memory, self._ports, self._lock = memory, ports, lock
        self._script: deque[Step] = deque()
        self._controller: InterruptController | None = None
        self._kicked = False

    def extend(self, steps: Iterable[Step]) -> None:
        """Add to the end of the script."""
        self._script.extend(steps)
        self.wake()

    def run(self) -> Exit:
        while True:
            if self._kicked:
                self._kicked = False
                return KICKED
            if self.halted:
                return HALTED
            step = self._script.popleft()
            if isinstance(step, Exit):
                if step.reason is ExitReason.HALTED:
                    self.state.activity = Activity.HALTED
                return step
            with self._lock:
                self.log.append(Outcome(step, self._make(step)))

    def _make(self, step: In | Out | Load | Store | TakeInterrupt) -> int | None:
        if isinstance(step, In):
            return self._ports.read(step.port, step.size)
        if isinstance(step, Out):
            self._ports.write(step.port, step.size, step.value)
        elif isinstance(step, Load):
            return self._memory.read(step.address, step.size)
        elif isinstance(step, Store):
            self._memory.write(step.address, step.size, step.value)
        elif self._controller is not None:
            self.state.activity = Activity.RUNNING
            return self._controller.acknowledge()
        return None

    def kick(self) -> None:
        self._kicked = True

    def connect(self, controller: InterruptController, apic: LocalController | None = None) -> None:
        self._controller = controller

    def has_work(self) -> bool:
        return not self.halted

    def inject_nmi(self) -> None:
        self.nmis += 1

    def reset(self) -> None:
        self.state = CpuState(activity=Activity.WAIT_FOR_SIPI if self.index else Activity.RUNNING)

    def get_state(self) -> CpuState:
        state = copy.deepcopy(self.state)
        if self.halted and state.activity is Activity.RUNNING:
            state.activity = Activity.HALTED
        return state

    def set_state(self, state: CpuState) -> None:
        self.state = copy.deepcopy(state)

    def cpuid(self, leaf: int, subleaf: int) -> tuple[int, int, int, int]:
        return 0, 0, 0, 0

    def translate(self, virtual: int) -> int | None:
        return virtual

    @property
    def halted(self) -> bool:
        if self.state.activity is Activity.WAIT_FOR_SIPI or not self._script:
            return True
        if isinstance(self._script[0], TakeInterrupt):
            with self._lock:
                return self._controller is None or self._controller.peek() is None
        return self.state.activity is Activity.HALTED

    @property
    def pc(self) -> int:
        return self.state.cs.base + self.state.rip


class ScriptedVm(Vm):
    """See `Vm`."""

    def __init__(self, script: list[Step], memory: MemorySpace, ports: PortSpace, lock: threading.RLock) -> None:
        self._script = script
        self._spaces = memory, ports, lock

    def create_vcpu(self, index: int) -> ScriptedVcpu:
        vcpu = ScriptedVcpu(index, *self._spaces)
        if index == 0:
            vcpu.extend(self._script)
        return vcpu

    def close(self) -> None:
        return


class ScriptedAccelerator(Accelerator):
    """Gives each VM's first vCPU the script it was made with."""

    name: ClassVar[str] = "scripted"
    description: ClassVar[str] = "replays accesses and exits, for tests"

    @classmethod
    def availability(cls) -> Availability:
        return Availability(True, False, "runs no guest")

    @classmethod
    def cpu_models(cls) -> list[str]:
        return ["scripted"]

    @classmethod
    def describe_model(cls, cpu_model: str) -> ModelInfo:
        return ModelInfo(from_table({}))

    def __init__(self, options: dict[str, str] | None = None, script: Iterable[Step] = ()) -> None:
        self._script = list(script)

    def create_vm(
        self,
        memory: MemorySpace,
        ports: PortSpace,
        lock: threading.RLock,
        cpu_model: str | None = None,
        topology: Topology = ONE_CPU,
    ) -> ScriptedVm:
        return ScriptedVm(self._script, memory, ports, lock)
