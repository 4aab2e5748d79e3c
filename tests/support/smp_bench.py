"""Several vCPUs with their local APICs, run by the executor's threads: RAM and nothing else around them."""

from __future__ import annotations

import struct
import threading
import time
from collections.abc import Callable
from typing import TypeVar

from tests.support.guest_code import CODE
from tests.support.programs import PROGRAMS
from varan.accel import registry
from varan.accel.base import Exit, Topology, Vcpu
from varan.accel.executor import VcpuThread
from varan.accel.state import Activity, CpuState, Table
from varan.board.boot import longmode
from varan.board.interrupts import Interrupts
from varan.core.clock import TimerQueue, VirtualClock
from varan.core.memory import GuestRam, MemorySpace
from varan.core.ports import PortSpace

IDT = 0xD000
STACKS = 0x1_8000
PATIENCE = 20.0
"""Seconds that something may take before its test fails."""


T = TypeVar("T")


class SmpBench:
    """`cpus` vCPUs in reset state, the first halted; `go` lets them run. `accelerator` is as on the command line."""

    def __init__(self, accelerator: str, cpus: int = 2) -> None:
        kind, *words = accelerator.split(",")
        options = {key: value for key, _, value in (word.partition("=") for word in words)}
        topology = Topology(cores=cpus)
        self.lock = threading.RLock()
        self.clock, self.timers = VirtualClock(), TimerQueue()
        self.memory = MemorySpace()
        self._ram = GuestRam(2 << 20)
        self.ram = self._ram.view
        self.memory.map_ram(0, self._ram)
        self.exits: list[Exit] = []
        self.interrupts = Interrupts(topology, self.clock, self.timers)
        self.vm = registry.load(kind)(options).create_vm(self.memory, PortSpace(), self.lock, topology=topology)
        groups = [list(range(cpus))] if self.vm.shares_thread else [[index] for index in range(cpus)]
        self._threads = [self._thread(group) for group in groups]
        self.vcpus = [vcpu for thread in self._threads for vcpu in thread.vcpus]
        self.interrupts.connect(self.vcpus, self.vm.apic_hertz)
        self.apics = self.interrupts.apics
        self.call(0, lambda vcpu: vcpu.set_state(CpuState(activity=Activity.HALTED)))

    def _thread(self, group: list[int]) -> VcpuThread:
        timers = self.timers if 0 in group else None
        return VcpuThread(self.vm, group, self.lock, timers, self._exit, f"vcpu{group[0]}")

    def _exit(self, vcpu: Vcpu, exit: Exit) -> None:
        self.exits.append(exit)

    def put(self, program: str, address: int = CODE) -> None:
        """Load a program of tests.support.programs."""
        self.memory.write_ram(address, PROGRAMS[program].code)

    def start(self, cpu: int, program: str, address: int | None = None, **registers: int) -> None:
        """Have vCPU `cpu` start `program` in 64-bit mode with memory identity-mapped, interrupts off."""
        at = CODE + 0x800 * cpu if address is None else address
        self.put(program, at)
        state = longmode.enter(self.memory, at)
        state.idt = Table(IDT, 0xFFF)
        state.apic_base = self.apics[cpu].base
        state.gprs[4] = STACKS + 0x1000 * cpu
        for name, value in registers.items():
            state.gprs[("rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi").index(name)] = value
        self.call(cpu, lambda vcpu: vcpu.set_state(state))

    def gate(self, vector: int, target: int) -> None:
        """An interrupt gate for 64-bit mode, and the vector's entry for real mode."""
        entry = struct.pack("<HHBBHQ", target & 0xFFFF, longmode.BOOT_CS, 0, 0x8E, target >> 16, 0)
        self.ram[IDT + 16 * vector : IDT + 16 * vector + 16] = entry

    def real_gate(self, vector: int, target: int) -> None:
        """An interrupt's entry for real mode."""
        self.ram[4 * vector : 4 * vector + 4] = struct.pack("<HH", target, 0)

    def call(self, cpu: int, work: Callable[[Vcpu], T]) -> T:
        """Run `work` on the vCPU's thread."""
        thread = next(thread for thread in self._threads if self.vcpus[cpu] in thread.vcpus)
        return thread.call(lambda: work(self.vcpus[cpu])).result()

    def state(self, cpu: int) -> CpuState:
        """A copy of a vCPU's state."""
        return self.call(cpu, lambda vcpu: vcpu.get_state())

    def go(self) -> None:
        """Let guest code run."""
        self.clock.start()
        for thread in self._threads:
            thread.resume()

    def word(self, address: int) -> int:
        """32 bits of RAM."""
        return int.from_bytes(self.ram[address : address + 4], "little")

    def wait(self, reached: Callable[[], bool]) -> None:
        """Wait until `reached`; AssertionError when that takes too long."""
        deadline = time.monotonic() + PATIENCE
        while not reached():
            assert time.monotonic() < deadline, (self.exits, [self.state(cpu).rip for cpu in range(len(self.vcpus))])
            time.sleep(0.001)

    def wait_halted(self, cpu: int) -> None:
        """Wait until a vCPU sits in HLT."""
        self.wait(lambda: self.sleeps(cpu))

    def sleeps(self, cpu: int) -> bool:
        """Whether a vCPU sits in HLT, or waits for SIPI, with nothing to do."""
        return self.call(cpu, lambda vcpu: vcpu.halted and not vcpu.has_work())

    def close(self) -> None:
        """Release everything."""
        for thread in self._threads:
            thread.close()
        self.vm.close()
        del self.ram
        self._ram.close()
