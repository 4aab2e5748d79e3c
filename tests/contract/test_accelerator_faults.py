"""The accelerator contract: exceptions, shutdown, and the ways into the kernel."""

from __future__ import annotations

import pytest
from tests.support.cpu_bench import (
    CODE64,
    HANDLERS,
    INNER_STACK,
    IST_STACK,
    KERNEL_STACK,
    R8,
    R9,
    R10,
    R12,
    R13,
    R14,
    R15,
    RBP,
    RBX,
    RCX,
    RDI,
    RSI,
    UCODE32,
    UCODE64,
    UDATA,
    USER_STACK,
    CpuBench,
)
from tests.support.guest_code import CODE
from tests.support.programs import PROGRAMS

from varan.accel.base import ExitReason
from varan.accel.state import CpuState

DB, BP, UD, NM, DF, NP, GP, PF = 1, 3, 6, 7, 8, 11, 13, 14


def fault(bench: CpuBench, program: str, mode: str = "long", *, user: bool = False) -> dict[str, int]:
    """What the handler notes of the exception that `program` causes."""
    state = bench.start(mode, program, user=user)
    bench.handlers()
    bench.finish(state)
    return bench.note()


@pytest.mark.parametrize(
    ("program", "vector", "error", "offset"),
    [
        ("divide_error", 0, 0, 2),
        ("single_step", DB, 0, 10),
        ("breakpoint", BP, 0, 1),
        ("undefined", UD, 0, 0),
        ("no_fpu", NM, 0, 9),
        ("bad_selector", GP, 0x1238, 5),
        ("page_read", PF, 0, 0),
        ("page_write", PF, 2, 0),
        ("syscall_off", UD, 0, 0),
        ("sysenter_off", GP, 0, 0),
    ],
)
def test_exception_names_its_instruction(bench: CpuBench, program: str, vector: int, error: int, offset: int) -> None:
    state = bench.start("long", program)
    if program.endswith("_off"):
        state.efer &= ~1
        state.msrs[0x174] = 0
    bench.handlers()
    bench.finish(state)
    note = bench.note()
    assert (note["vector"], note["error"], note["rip"]) == (vector, error, CODE + offset)
    assert (note["cs"], note["rsp"] & ~15) == (CODE64, KERNEL_STACK & ~15 if program != "single_step" else note["rsp"])


def test_page_fault_tells_the_address(bench: CpuBench) -> None:
    assert fault(bench, "page_write")["cr2"] == 0x4000_0010


def test_page_fault_on_a_fetch(bench: CpuBench) -> None:
    note = fault(bench, "page_fetch")
    assert (note["vector"], note["error"] & ~0x10, note["cr2"], note["rip"]) == (PF, 0, 0x4000_0020, 0x4000_0020)


def test_hardware_breakpoint(bench: CpuBench) -> None:
    note = fault(bench, "watch")
    assert (note["vector"], note["rip"]) == (DB, CODE + len(PROGRAMS["watch"].code) - 1)


def test_fault_in_user_mode_switches_stacks(bench: CpuBench) -> None:
    note = fault(bench, "page_write", user=True)
    assert (note["vector"], note["error"], note["cs"], note["rsp"], note["ss"]) == (
        *(PF, 2 | 4, UCODE64 | 3),
        *(USER_STACK, UDATA | 3),
    )
    assert note["end"] == INNER_STACK


def test_fault_in_user_mode_switches_stacks_in_protected_mode(bench: CpuBench) -> None:
    note = fault(bench, "undefined_32", "protected", user=True)
    assert (note["vector"], note["rip"], note["cs"] & 0xFFFF, note["rsp"], note["ss"] & 0xFFFF) == (
        *(UD, CODE, UCODE32 | 3),
        *(USER_STACK, UDATA | 3),
    )


def test_software_interrupt_wants_a_gate_for_its_privilege(bench: CpuBench) -> None:
    note = fault(bench, "int_0d", user=True)
    assert (note["vector"], note["error"], note["rip"]) == (GP, 13 * 8 + 2, CODE)


def test_exception_on_its_own_stack(bench: CpuBench) -> None:
    state = bench.start("long", "page_read")
    bench.handlers()
    bench.gate(PF, HANDLERS + 16 * PF, ist=1)
    bench.finish(state)
    note = bench.note()
    assert (note["vector"], note["rsp"], note["end"]) == (PF, KERNEL_STACK, IST_STACK)


def test_missing_handler_is_a_fault_of_its_own(bench: CpuBench) -> None:
    state = bench.start("long", "undefined")
    bench.handlers()
    bench.gate(UD, HANDLERS + 16 * UD, present=False)
    bench.finish(state)
    note = bench.note()
    assert (note["vector"], note["error"] & ~1, note["rip"]) == (NP, UD * 8 + 2, CODE)


def test_fault_while_a_fault_is_delivered_is_a_double_fault(bench: CpuBench) -> None:
    state = bench.start("long", "page_read")
    bench.handlers()
    bench.gate(PF, HANDLERS + 16 * PF, present=False)
    bench.finish(state)
    note = bench.note()
    assert (note["vector"], note["error"]) == (DF, 0)


def test_page_fault_on_the_stack_of_a_page_fault_is_a_double_fault(bench: CpuBench) -> None:
    state = bench.start("long", "page_read")
    bench.handlers()
    bench.gate(DF, HANDLERS + 16 * DF, ist=1)
    state.gprs[4] = 0x5000_0000
    bench.finish(state)
    note = bench.note()
    assert (note["vector"], note["rsp"], note["cr2"] & ~0xFFF) == (DF, 0x5000_0000, 0x4FFF_F000)


def test_page_fault_twice_in_a_row_is_no_double_fault(bench: CpuBench) -> None:
    first = fault(bench, "page_read")
    second = fault(bench, "page_write")
    assert (first["vector"], second["vector"]) == (PF, PF)


@pytest.mark.parametrize("mode", ["protected", "long"])
def test_triple_fault_shuts_down(bench: CpuBench, mode: str) -> None:
    state = bench.start(mode, "undefined")
    state.idt.limit = 0
    bench.vcpu.set_state(state)
    assert bench.run().reason is ExitReason.SHUTDOWN


def test_vcpu_runs_again_after_shutdown_and_reset(bench: CpuBench) -> None:
    state = bench.start("long", "undefined")
    state.idt.limit = 0
    bench.vcpu.set_state(state)
    bench.run()
    bench.vcpu.reset()
    bench.rom[0xFFF0] = 0xF4
    assert bench.run().reason is ExitReason.HALTED


def test_null_task_register_harms_only_the_guest(bench: CpuBench) -> None:
    state = bench.start("long", "null_task")
    bench.handlers()
    bench.gate(0x30, CODE + 0x60, privilege=3)
    bench.vcpu.set_state(state)
    assert bench.run().reason in (ExitReason.SHUTDOWN, ExitReason.HALTED)


def kernel_entries(bench: CpuBench, program: str, mode: str = "long") -> CpuState:
    """The state after a program that ends with INT 0x30 in user mode, whose handler halts."""
    user = program.startswith("sysenter")
    state = bench.start(mode, program, user=user)
    bench.handlers()
    bench.gate(0x30, CODE + 0x60, privilege=3)
    if user:
        state.rip = CODE + 0x20
    if mode == "protected":
        state.msrs = {0x174: CODE64, 0x175: INNER_STACK, 0x176: CODE + 0x40}
    return bench.finish(state)


def test_syscall_and_sysret(bench: CpuBench) -> None:
    state = kernel_entries(bench, "syscall_64")
    gprs = state.gprs
    assert (gprs[R8], gprs[R9]) == (UCODE64 | 3, UDATA | 3)
    assert (gprs[R12], gprs[R13]) == (CODE64, CODE64 + 8)
    assert gprs[R14] == gprs[RCX] == CODE + 0x20 + 10
    assert gprs[R10] & 0x601 == 0x601, "the caller's flags, in R11"
    assert gprs[R15] & 0x601 == 0x001, "FMASK clears IF and DF and leaves CF"


def test_many_syscalls_are_all_made_under_fire(bench: CpuBench) -> None:
    state = bench.start("long", "syscall_loop")
    bench.gate(0x30, CODE + 0x60, privilege=3)
    bench.vcpu.set_state(state)
    for _ in range(50):
        bench.vcpu.kick()
        bench.vcpu.run()
    bench.run()
    assert bench.vcpu.get_state().gprs[RBX] == 0x4000


def test_sysenter_and_sysexit(bench: CpuBench) -> None:
    gprs = kernel_entries(bench, "sysenter_64").gprs
    assert (gprs[R12], gprs[R13], gprs[R14]) == (CODE64, CODE64 + 8, INNER_STACK)
    assert (gprs[R8], gprs[R9]) == (CODE64 + 32 | 3, CODE64 + 40 | 3)


def test_sysenter_and_sysexit_in_protected_mode(bench: CpuBench) -> None:
    gprs = kernel_entries(bench, "sysenter_32", "protected").gprs
    assert (gprs[RSI], gprs[RDI]) == (CODE64, INNER_STACK)
    assert (gprs[RBX], gprs[RBP]) == (CODE64 + 16 | 3, CODE64 + 24 | 3)
