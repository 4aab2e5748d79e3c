"""A machine without an accelerator: real memory, events and lifecycle, vCPUs whose state a test writes down.

What command handlers ask of a machine is here with the machine's own classes where they need no guest code; the vCPUs
run nothing and answer from a `CpuState` and a table of page translations.
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from types import SimpleNamespace
from typing import Any

from varan.accel.base import HALTED, Exit, Vcpu
from varan.accel.state import Activity, CpuState
from varan.api.values import CommandLineOptionInfo, ShutdownCause
from varan.board import bootorder
from varan.chardev.base import Chardev
from varan.core.clock import ManualClock, TimerQueue
from varan.core.events import EventBus
from varan.core.input import Typist
from varan.core.irq import InterruptController, NoPin
from varan.core.memory import PAGE_SIZE, GuestRam, MemorySpace
from varan.core.ports import PortSpace
from varan.core.qom import Container
from varan.devices.environment import Environment, WakeCause
from varan.jobs.manager import JobManager
from varan.machine.cpus import cpu_type
from varan.machine.drives import Drives
from varan.machine.ends import MachineEnds
from varan.machine.lifecycle import Lifecycle
from varan.machine.peripherals import Peripherals
from varan.machine.runstate import RunStateMachine
from varan.machine.spec import Actions, MachineSpec, Topology
from varan.machine.tree import Tree
from varan.machine.userobjects import UserObjects
from varan.machine.vcpus import VcpuHandle
from varan.net.network import Network

RAM_SIZE = 1 << 20


class ScriptedVcpu(Vcpu):
    """A vCPU that is what `state` says; `pages` maps virtual page addresses to physical ones."""

    def __init__(self, index: int) -> None:
        self.index = index
        self.pin = NoPin()
        self.state = CpuState(activity=Activity.RUNNING if index == 0 else Activity.WAIT_FOR_SIPI)
        self.pages: dict[int, int] = {}
        self.nmis = 0

    def run(self) -> Exit:
        return HALTED

    def kick(self) -> None:
        return

    def connect(self, controller: InterruptController) -> None:
        return

    def has_work(self) -> bool:
        return False

    def inject_nmi(self) -> None:
        self.nmis += 1

    def reset(self) -> None:
        self.state = CpuState()

    def get_state(self) -> CpuState:
        return self.state

    def set_state(self, state: CpuState) -> None:
        self.state = state

    def cpuid(self, leaf: int, subleaf: int) -> tuple[int, int, int, int]:
        return 0, 0, 0, 0

    def translate(self, virtual: int) -> int | None:
        page = self.pages.get(virtual & -PAGE_SIZE)
        return None if page is None else page | virtual % PAGE_SIZE

    @property
    def halted(self) -> bool:
        return self.state.activity is not Activity.RUNNING

    @property
    def pc(self) -> int:
        return self.state.cs.base + self.state.rip


class InlineThread:
    """A vCPU thread that is the caller's own: work is done before `call` returns."""

    def __init__(self, thread_id: int) -> None:
        self.thread_id = thread_id
        self.running = False
        self.resting = False

    def call(self, work: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(work())
        except Exception as error:
            future.set_exception(error)
        return future

    def pause(self) -> Future[None]:
        self.running = self.resting = False
        return self.call(lambda: None)

    def hold(self) -> None:
        self.running = False

    def rest(self) -> None:
        self.resting = True

    def resume(self) -> None:
        self.running, self.resting = True, False


class FakeMachine:
    """Quacks like `varan.machine.machine.Machine`. Use it as an async context manager."""

    def __init__(
        self,
        *,
        name: str | None = "lizard",
        cpus: int = 2,
        accelerator: str = "unicorn",
        topology: Topology | None = None,
    ) -> None:
        self.spec = MachineSpec(name=name, cpus=cpus, topology=topology)
        self.name = name
        self.uuid = uuid.UUID("12345678-1234-5678-1234-567812345678")
        self.lock = threading.RLock()
        self.events = EventBus()
        self.lifecycle = Lifecycle(self, self.events, Actions())
        self.chardevs: dict[str, Chardev] = {}
        self.network = Network()
        self.jobs = JobManager(self.events.emit)
        ends = MachineEnds(self)  # type: ignore[arg-type]
        self.drives = Drives(ends.secrets, ends.throttle_groups, self.lock)
        self.drives.emit = self.events.emit
        self.accelerator: Any = SimpleNamespace(
            name=accelerator, description="runs nothing", cpu_models=lambda: ["max"], synchronous_mmu=True
        )
        self.memory = MemorySpace()
        self.ports = PortSpace()
        self.ram = GuestRam(RAM_SIZE, "pc.ram")
        self.memory.map_ram(0, self.ram)
        self.cpus = [ScriptedVcpu(index) for index in range(cpus)]
        self.threads = [InlineThread(4000 + index) for index in range(cpus)]
        self.vcpus = [
            VcpuHandle(thread, vcpu, self.memory)  # type: ignore[arg-type]
            for thread, vcpu in zip(self.threads, self.cpus, strict=True)
        ]
        self.tree = Tree(Container())
        self.boot = None
        self.environment = Environment(
            self.memory,
            self.ports,
            self.lock,
            TimerQueue(),
            ManualClock(),
            ManualClock(),
            unattached=self.tree.unattached,
            ends=ends,
        )
        self.typist = Typist(self.environment.input, self.environment.virtual, self.environment.timers)
        self.peripherals = Peripherals(self.tree, self.environment, ())
        self.objects = UserObjects(self.tree, self.environment)
        self.cpu_objects = []
        for vcpu in self.vcpus:
            cpu = cpu_type("max")(vcpu.index, self.spec.arrangement)
            cpu.vcpu = vcpu
            self.tree.unattached.add_numbered_child("device", cpu)
            self.cpu_objects.append(cpu)
        self.board = SimpleNamespace(
            devices={},
            interrupts=None,
            memory=self.memory,
            ports=self.ports,
            set_boot_order=bootorder.check,
        )
        self.command_line: Callable[[], list[CommandLineOptionInfo]] = list
        self.restarts = 0
        self.button_presses = 0
        self.can_sleep = True
        self.woken_by: list[WakeCause] = []
        self.ended_by: ShutdownCause | None = None

    async def __aenter__(self) -> FakeMachine:
        self.lifecycle.open()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.lifecycle.close()
        await self.jobs.close()
        await self.drives.close()
        await self.network.close()
        self.ram.close()

    @property
    def run_state(self) -> RunStateMachine:
        return self.lifecycle.run_state

    @property
    def actions(self) -> Actions:
        return self.lifecycle.actions

    async def drain(self) -> None:
        return

    async def flush(self) -> None:
        await self.drives.flush()

    def retry(self) -> None:
        self.drives.retry()
        for job in self.jobs.jobs.values():
            job.guest_resumed()

    def start_clock(self) -> None:
        return

    def stop_clock(self) -> None:
        return

    async def restart(self) -> None:
        self.restarts += 1

    async def stop(self) -> None:
        await self.lifecycle.stop()

    async def cont(self) -> None:
        await self.lifecycle.cont()

    async def system_reset(self) -> None:
        await self.lifecycle.reset()

    def pending_wake(self) -> WakeCause | None:
        return None

    async def wake(self, cause: WakeCause) -> bool:
        self.woken_by.append(cause)
        return True

    async def system_wakeup(self) -> None:
        await self.lifecycle.wakeup()

    async def inject_nmi(self) -> None:
        for cpu in self.cpus:
            cpu.inject_nmi()

    def press_power_button(self) -> None:
        self.button_presses += 1

    def quit(self, cause: ShutdownCause = ShutdownCause.HOST_QMP_QUIT) -> None:
        self.ended_by = cause

    def map_page(self, virtual: int, physical: int, cpu: int = 0) -> None:
        """Let vCPU `cpu` see the page at `physical` at `virtual`."""
        self.cpus[cpu].pages[virtual] = physical
