"""The accelerator contract: external interrupts and NMIs."""

from __future__ import annotations

import threading
import time

import pytest
from tests.support.cpu_bench import (
    DATA,
    INNER_STACK,
    IST_STACK,
    KERNEL_STACK,
    MODES,
    RBX,
    RCX,
    RDI,
    RDX,
    RSI,
    RSP,
    UCODE32,
    UCODE64,
    CpuBench,
    halted,
)
from tests.support.guest_code import CODE

from varan.accel.base import ExitReason

VECTOR = 0x41
HANDLER, SECOND_HANDLER = CODE + 0x20, CODE + 0x40
IF = 0x200


@pytest.mark.parametrize("mode", MODES)
def test_interrupt_wakes_a_halted_vcpu(bench: CpuBench, mode: str) -> None:
    state = bench.start(mode, f"sleeper_{MODES[mode]}")
    bench.gate(VECTOR, HANDLER)
    bench.finish(state)
    for count in range(1, 4):
        bench.controller.request(VECTOR)
        assert bench.vcpu.has_work()
        state = bench.finish()
        assert state.gprs[RBX] == count
    assert bench.controller.acknowledged == [VECTOR] * 3
    assert not bench.vcpu.has_work()
    assert state.rflags & IF


@pytest.mark.parametrize("mode", MODES)
def test_interrupt_does_not_wake_a_vcpu_that_masks_it(bench: CpuBench, mode: str) -> None:
    state = bench.start(mode, f"masked_{MODES[mode]}")
    state.rflags |= IF
    bench.gate(VECTOR, HANDLER)
    bench.finish(state)
    bench.controller.request(VECTOR)
    assert not bench.vcpu.has_work()
    assert bench.vcpu.run().reason is ExitReason.HALTED
    state = bench.vcpu.get_state()
    assert (state.gprs[RBX], state.gprs[RDX], bench.controller.acknowledged) == (0, 0, [])
    state.rflags |= IF
    state = bench.finish(state)
    assert (state.gprs[RBX], state.gprs[RDX], bench.controller.acknowledged) == (1, 1, [VECTOR])


@pytest.mark.parametrize("mode", MODES)
def test_sti_holds_interrupts_for_one_instruction(bench: CpuBench, mode: str) -> None:
    state = bench.start(mode, f"shadow_{MODES[mode]}")
    bench.gate(VECTOR, HANDLER)
    bench.controller.request(VECTOR)
    state = bench.finish(state)
    assert (state.gprs[RBX], state.gprs[RDI], state.gprs[RSI]) == (1, 1, 2)


@pytest.mark.parametrize(("shadow", "taken_after"), [(False, 0), (True, 1)])
@pytest.mark.parametrize("mode", MODES)
def test_shadow_is_part_of_the_state(bench: CpuBench, mode: str, shadow: bool, taken_after: int) -> None:
    state = bench.start(mode, f"two_steps_{MODES[mode]}")
    bench.gate(VECTOR, HANDLER)
    state.rflags |= IF
    state.events.interrupt_shadow = shadow
    bench.controller.request(VECTOR)
    state = bench.finish(state)
    assert (state.gprs[RBX], state.gprs[RDI]) == (1, taken_after)


@pytest.mark.parametrize("mode", ["protected", "long"])
def test_interrupt_in_user_mode_switches_stacks(bench: CpuBench, mode: str) -> None:
    state = bench.start(mode, f"spin_{MODES[mode]}", user=True)
    state.rflags |= IF
    bench.gate(VECTOR, HANDLER)
    bench.gate(0x30, SECOND_HANDLER, privilege=3)
    bench.vcpu.set_state(state)
    threading.Timer(0.02, bench.controller.request, (VECTOR,)).start()
    assert bench.run().reason is ExitReason.HALTED
    state = bench.vcpu.get_state()
    words = 5 * (8 if mode == "long" else 4)
    assert state.gprs[RDX] == INNER_STACK - words
    assert state.gprs[RCX] == state.cs.selector
    frame = int.from_bytes(bench.ram[INNER_STACK - words * 4 // 5 : INNER_STACK - words * 4 // 5 + 4], "little")
    assert frame == (UCODE64 if mode == "long" else UCODE32) | 3
    assert state.ss.selector == (0 if mode == "long" else DATA)
    assert state.gprs[RSP] == INNER_STACK - words


def test_interrupt_reaches_a_running_guest_from_another_thread(bench: CpuBench) -> None:
    state = bench.start("real", "spin_16")
    state.rflags |= IF
    bench.gate(VECTOR, HANDLER)
    bench.gate(0x30, SECOND_HANDLER)
    bench.vcpu.set_state(state)
    threading.Timer(0.02, bench.controller.request, (VECTOR,)).start()
    assert bench.run().reason is ExitReason.HALTED
    assert not bench.vcpu.has_work()
    assert bench.controller.acknowledged == [VECTOR]


def test_wake_is_called_when_another_thread_brings_work(bench: CpuBench) -> None:
    woken = threading.Event()
    bench.vcpu.wake = woken.set
    state = bench.start("long", "sleeper_64")
    bench.gate(VECTOR, HANDLER)
    bench.finish(state)
    threading.Thread(target=bench.controller.request, args=(VECTOR,)).start()
    assert woken.wait(5)
    assert bench.finish().gprs[RBX] == 1


def test_acknowledged_vectors_are_those_the_guest_took(bench: CpuBench) -> None:
    """Urgent requests from another thread overtake offered ones while the guest takes interrupts."""
    state = bench.start("long", "sleeper_64")
    taken: list[int] = []
    vectors = range(0x40, 0x48)
    bench.put("nmi_64", 0x1_0000)
    for vector in vectors:
        # push rax; mov al, vector; out 0x80, al; pop rax; iretq: the device sees which handler ran.
        bench.memory.write_ram(0x1_0000 + vector * 16, bytes((0x50, 0xB0, vector, 0xE6, 0x80, 0x58, 0x48, 0xCF)))
        bench.gate(vector, 0x1_0000 + vector * 16)
    bench.ports.unmap(0x80)
    bench.ports.map(0x80, 1, lambda _o, _s: 0, lambda _o, _s, value: taken.append(value), name="post")
    bench.vcpu.set_state(state)
    requests = [vectors[index * 5 % 8] for index in range(400)]

    def request_all() -> None:
        for index, vector in enumerate(requests):
            bench.controller.request(vector, urgent=bool(index % 3))

    requester = threading.Thread(target=request_all)
    requester.start()
    deadline = time.monotonic() + 20
    while (requester.is_alive() or bench.vcpu.has_work()) and time.monotonic() < deadline:
        assert bench.vcpu.run().reason in (ExitReason.KICKED, ExitReason.HALTED)
    requester.join()
    bench.finish()
    assert taken == bench.controller.acknowledged
    assert sorted(taken) == sorted(requests)


def test_interrupt_acknowledged_elsewhere_is_delivered_once(bench: CpuBench) -> None:
    state = bench.start("long", "sleeper_64")
    bench.gate(VECTOR, HANDLER)
    state.rflags |= IF
    state.events.interrupt = VECTOR
    bench.vcpu.set_state(state)
    assert bench.vcpu.get_state().events.interrupt == VECTOR
    state = bench.finish()
    assert state.gprs[RBX] == 1
    assert state.events.interrupt is None
    assert bench.controller.acknowledged == []


def test_interrupt_uses_the_stack_table(bench: CpuBench) -> None:
    state = bench.start("long", "spin_64")
    bench.gate(VECTOR, HANDLER, ist=1)
    bench.gate(0x30, SECOND_HANDLER)
    state.rflags |= IF
    bench.controller.request(VECTOR)
    state = bench.finish(state)
    assert state.gprs[RDX] == IST_STACK - 40
    assert state.gprs[RSP] == KERNEL_STACK - 40


@pytest.mark.parametrize("mode", MODES)
def test_nmi_wakes_even_a_vcpu_that_masks_interrupts(bench: CpuBench, mode: str) -> None:
    state = bench.start(mode, f"nmi_{MODES[mode]}")
    bench.gate(2, HANDLER)
    bench.finish(state)
    bench.vcpu.inject_nmi()
    assert bench.vcpu.has_work()
    assert bench.finish().gprs[RBX] == 1
    assert not bench.vcpu.has_work()


@pytest.mark.parametrize("mode", MODES)
def test_nmi_waits_for_the_end_of_another(bench: CpuBench, mode: str) -> None:
    injected = []

    def inject_again() -> None:
        if len(injected) < 3:
            injected.append(None)
            bench.vcpu.inject_nmi()

    bench.on_post = inject_again
    bench.gate(2, HANDLER)
    state = bench.start(mode, f"nmi_{MODES[mode]}")
    bench.gate(2, HANDLER)
    bench.finish(state)
    bench.vcpu.inject_nmi()
    state = bench.finish()
    assert (state.gprs[RBX], state.gprs[RDI]) == (4, 1)
    assert not state.events.nmi_blocked


def test_nmi_blocking_is_part_of_the_state(bench: CpuBench) -> None:
    state = halted(bench.start("long", "nmi_64"))
    bench.gate(2, HANDLER)
    state.events.nmi_blocked = True
    bench.vcpu.set_state(state)
    bench.vcpu.inject_nmi()
    assert not bench.vcpu.has_work()
    state = bench.vcpu.get_state()
    assert state.events.nmi_blocked and state.events.nmi_pending
    state.events.nmi_blocked = False
    assert bench.finish(state).gprs[RBX] == 1
