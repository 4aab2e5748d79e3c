"""The accelerator contract: several vCPUs and their local APICs."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.smp_bench import SmpBench

from varan.accel.state import Activity
from varan.devices.irq import messages
from varan.devices.irq.messages import Message

VECTOR = 0x41
STARTED, NMIS, COUNT = 0x9000, 0x9010, 0x9018
HANDLERS, HANDLER = 0xA000, 0xB000
AP_CODE, AP_PAGE = 0x1_0000, 0x10
ROUNDS, FUNCTION = 0x9100, 0x1_4000


@pytest.fixture
def smp(accelerator: str) -> Iterator[SmpBench]:
    """Two vCPUs of each accelerator in turn."""
    made = SmpBench(accelerator)
    yield made
    made.close()


def start_second(smp: SmpBench) -> None:
    """Let the second vCPU sleep in real mode, with handlers for NMIs and for VECTOR."""
    smp.put("ap_real", AP_CODE)
    smp.put("ap_handlers", HANDLERS)
    smp.real_gate(2, HANDLERS)
    smp.real_gate(VECTOR, HANDLERS + 16)
    smp.go()
    send(smp, Message(0, messages.INIT, 1))
    send(smp, Message(AP_PAGE, messages.STARTUP, 1))
    smp.wait(lambda: smp.word(STARTED) == 1)
    smp.wait_halted(1)


def send(smp: SmpBench, message: Message) -> None:
    with smp.lock:
        assert smp.interrupts.bus.send(message)


def test_other_vcpus_wait_for_sipi(smp: SmpBench) -> None:
    smp.go()
    assert smp.state(1).activity is Activity.WAIT_FOR_SIPI
    assert smp.sleeps(1)


def test_sipi_without_init_starts_a_vcpu_that_waits_since_reset(smp: SmpBench) -> None:
    smp.put("ap_real", AP_CODE)
    smp.go()
    send(smp, Message(AP_PAGE, messages.STARTUP, 1))
    smp.wait(lambda: smp.word(STARTED) == 1)
    state = smp.state(1)
    assert (state.cs.selector, state.cs.base, state.cr0 & 1) == (AP_PAGE << 8, AP_CODE, 0)


def test_a_guest_starts_another_cpu_by_its_local_apic(smp: SmpBench) -> None:
    smp.put("ap_real", AP_CODE)
    smp.start(0, "start_others")
    smp.go()
    smp.wait(lambda: smp.word(STARTED) == 1)
    smp.wait_halted(1)
    assert smp.word(STARTED) == 1, "the second SIPI finds it running"


def test_sipi_to_a_running_vcpu_does_nothing(smp: SmpBench) -> None:
    start_second(smp)
    send(smp, Message(AP_PAGE, messages.STARTUP, 1))
    send(smp, Message(AP_PAGE, messages.STARTUP, 0))
    smp.wait_halted(1)
    assert smp.word(STARTED) == 1


def test_init_stops_a_vcpu_until_sipi(smp: SmpBench) -> None:
    start_second(smp)
    send(smp, Message(0, messages.INIT, 1))
    smp.wait(lambda: smp.state(1).activity is Activity.WAIT_FOR_SIPI)
    send(smp, Message(AP_PAGE, messages.STARTUP, 1))
    smp.wait(lambda: smp.word(STARTED) == 2)


def test_state_saved_between_init_and_sipi_waits(smp: SmpBench) -> None:
    start_second(smp)
    send(smp, Message(0, messages.INIT, 1))
    state = smp.state(1)
    assert state.activity is Activity.WAIT_FOR_SIPI
    smp.call(1, lambda vcpu: vcpu.set_state(state))
    send(smp, Message(AP_PAGE, messages.STARTUP, 1))
    smp.wait(lambda: smp.word(STARTED) == 2)


def test_reset_forgets_what_was_signalled(smp: SmpBench) -> None:
    send(smp, Message(AP_PAGE, messages.STARTUP, 1))
    smp.call(1, lambda vcpu: vcpu.reset())
    smp.go()
    assert smp.state(1).activity is Activity.WAIT_FOR_SIPI


def test_message_wakes_a_halted_vcpu(smp: SmpBench) -> None:
    start_second(smp)
    with smp.lock:
        smp.apics[1].write(0xF0, 4, 0x1FF)
    send(smp, Message(VECTOR, messages.FIXED, 1))
    smp.wait(lambda: smp.word(COUNT) & 0xFFFF == 1)
    smp.wait_halted(1)
    with smp.lock:
        assert smp.apics[1].read(0x120, 4) == 1 << VECTOR % 32, "in service until the guest ends it"


def test_nmi_reaches_every_cpu_whose_apic_lets_it_pass(smp: SmpBench) -> None:
    start_second(smp)
    with smp.lock:
        smp.apics[1].pulse_lint1()
    smp.wait(lambda: smp.word(NMIS) & 0xFFFF == 1)
    smp.wait_halted(1)
    with smp.lock:
        smp.apics[1].write(0xF0, 4, 0x1FF)
        smp.apics[1].pulse_lint1()
    smp.wait_halted(1)
    assert smp.word(NMIS) & 0xFFFF == 1, "LINT1 is masked"


def test_each_cpu_sees_its_own_local_apic(smp: SmpBench) -> None:
    for cpu in (0, 1):
        smp.start(cpu, "apic_id", rdi=0x9000 + 16 * cpu)
    smp.go()
    for cpu in (0, 1):
        smp.wait_halted(cpu)
    assert [smp.word(0x9000), smp.word(0x9010)] == [0, 1 << 24]
    assert smp.word(0x9004) == smp.word(0x9014) == 0x50014


def test_apic_base_is_the_msr_s_value(smp: SmpBench, accelerator: str) -> None:
    if accelerator == "unicorn,delivery=python,tlb-stub=off":
        pytest.skip("without machine code the MSR reads 0")
    for cpu in (0, 1):
        smp.start(cpu, "apic_base", rdi=0x9000 + 16 * cpu)
    smp.go()
    for cpu in (0, 1):
        smp.wait_halted(cpu)
    assert [smp.word(0x9000), smp.word(0x9010)] == [0xFEE00900, 0xFEE00800]
    assert [smp.word(0x9008), smp.word(0x9018)] == [0xFEE00100, 0xFEE00000]
    assert [apic.base for apic in smp.apics] == [0xFEE00100, 0xFEE00000]
    assert smp.state(1).apic_base == 0xFEE00000


def test_a_cpu_interrupts_itself(smp: SmpBench) -> None:
    smp.put("apic_handler", HANDLER)
    smp.gate(VECTOR, HANDLER)
    smp.start(0, "ipi_self", rcx=50)
    smp.go()
    smp.wait(lambda: smp.word(COUNT) == 50)
    smp.wait_halted(0)
    with smp.lock:
        assert smp.apics[0].read(0x120, 4) == 0


def test_task_priority_holds_interrupts_of_its_class_and_below(smp: SmpBench) -> None:
    smp.put("apic_handler", HANDLER)
    smp.gate(VECTOR, HANDLER)
    smp.start(0, "task_priority", rcx=20_000)
    with smp.lock:
        smp.apics[0].write(0xF0, 4, 0x1FF)
    send(smp, Message(VECTOR))
    smp.go()
    smp.wait(lambda: smp.word(COUNT) == 1)
    smp.wait_halted(0)
    assert (smp.word(0x9020), smp.word(0x9028)) == (5, 0)


def test_task_priority_is_the_same_in_cr8_and_in_the_apic(smp: SmpBench) -> None:
    smp.start(0, "apic_id", rdi=0x9000)
    with smp.lock:
        smp.apics[0].write(0x80, 4, 0x60)
    state = smp.state(0)
    assert state.cr8 == 6
    state.cr8, state.lapic = 3, b""
    smp.call(0, lambda vcpu: vcpu.set_state(state))
    with smp.lock:
        assert smp.apics[0].read(0x80, 4) == 0x30


def test_registers_of_the_local_apic_are_part_of_the_state(smp: SmpBench) -> None:
    with smp.lock:
        smp.apics[0].write(0xF0, 4, 0x1AB)
        smp.apics[0].write(0xD0, 4, 0x55000000)
    state = smp.state(0)
    assert len(state.lapic) == 1024
    with smp.lock:
        smp.apics[0].reset()
    smp.call(0, lambda vcpu: vcpu.set_state(state))
    with smp.lock:
        assert (smp.apics[0].read(0xF0, 4), smp.apics[0].read(0xD0, 4)) == (0x1AB, 0x55000000)


@pytest.mark.parametrize("run_first", [False, True], ids=["fresh page", "page that both have run"])
def test_code_that_another_cpu_changes_is_noticed(smp: SmpBench, run_first: bool) -> None:
    if run_first:
        smp.memory.write_ram(FUNCTION, bytes.fromhex("b800000000c3"))
        smp.start(0, "call_rounds", rdi=ROUNDS + 0x40, rsi=FUNCTION)
        smp.ram[ROUNDS + 0x40] = 1
        smp.go()
        smp.wait(lambda: smp.word(ROUNDS + 0x44) == 1)
    smp.start(1, "call_rounds", rdi=ROUNDS, rsi=FUNCTION)
    smp.start(0, "patch_rounds", rdi=ROUNDS, rsi=FUNCTION, rcx=150)
    smp.go()
    smp.wait(lambda: smp.word(ROUNDS + 12) != 0)
    assert (smp.word(ROUNDS + 12), smp.word(ROUNDS + 4)) == (1, 150)
