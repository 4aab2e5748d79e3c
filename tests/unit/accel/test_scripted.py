"""The scripted accelerator makes its steps, in order, and nothing else."""

from __future__ import annotations

import threading
from collections import deque

from varan.accel.base import HALTED, KICKED, SHUTDOWN
from varan.accel.scripted import In, Load, Out, Outcome, ScriptedAccelerator, ScriptedVcpu, Step, Store, TakeInterrupt
from varan.accel.state import Activity
from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace


class Queue:
    """An interrupt controller with given vectors."""

    def __init__(self, *vectors: int) -> None:
        self.vectors = deque(vectors)

    def peek(self) -> int | None:
        return self.vectors[0] if self.vectors else None

    def acknowledge(self) -> int:
        return self.vectors.popleft()


def vcpu_with(*script: Step, index: int = 0) -> ScriptedVcpu:
    memory, ports, values = MemorySpace(), PortSpace(), [0x5A]
    ports.map(0x60, 1, lambda _o, _s: values[-1], lambda _o, _s, value: values.append(value), name="latch")
    memory.map_mmio(0x1000, 16, lambda offset, _s: offset, lambda _o, _s, value: values.append(value), name="latch")
    return ScriptedAccelerator(script=script).create_vm(memory, ports, threading.RLock()).create_vcpu(index)


def test_accesses_reach_the_devices_in_order() -> None:
    steps = (In(0x60), Out(0x60, 7), In(0x60), Load(0x1004), Store(0x1000, 9), In(0x60))
    vcpu = vcpu_with(*steps)
    assert vcpu.run() is HALTED
    assert vcpu.log == [Outcome(step, value) for step, value in zip(steps, (0x5A, None, 7, 4, None, 9), strict=True)]


def test_run_returns_the_exits_of_the_script() -> None:
    vcpu = vcpu_with(In(0x60), SHUTDOWN, In(0x60))
    assert vcpu.run() is SHUTDOWN
    assert len(vcpu.log) == 1
    vcpu.reset()
    assert vcpu.run() is HALTED
    assert len(vcpu.log) == 2


def test_kick_comes_before_the_next_step() -> None:
    vcpu = vcpu_with(In(0x60))
    vcpu.kick()
    assert vcpu.run() is KICKED
    assert not vcpu.log
    assert vcpu.run() is HALTED


def test_interrupts_are_waited_for() -> None:
    vcpu, controller = vcpu_with(TakeInterrupt(), In(0x60)), Queue()
    vcpu.connect(controller)
    assert vcpu.run() is HALTED
    assert not vcpu.has_work()
    controller.vectors.append(0x20)
    assert vcpu.has_work()
    vcpu.run()
    assert [outcome.value for outcome in vcpu.log] == [0x20, 0x5A]


def test_more_steps_wake_a_vcpu_whose_script_has_ended() -> None:
    vcpu, woken = vcpu_with(), threading.Event()
    vcpu.wake = woken.set
    assert vcpu.get_state().activity is Activity.HALTED
    vcpu.extend([In(0x60)])
    assert woken.is_set()
    assert vcpu.has_work()


def test_later_vcpus_wait_for_sipi() -> None:
    assert vcpu_with(In(0x60), index=1).get_state().activity is Activity.WAIT_FOR_SIPI
