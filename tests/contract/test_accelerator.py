"""The accelerator contract: running, stopping, device accesses, state (interrupts, faults and memory: beside this)."""

from __future__ import annotations

import threading
import time

import pytest
from tests.support.cpu_bench import (
    DEVICE,
    HIGH_DEVICE,
    MODES,
    RAX,
    RBX,
    RCX,
    RDX,
    ROM,
    CpuBench,
    halted,
)
from tests.support.guest_code import CODE

from varan.accel.base import ExitReason
from varan.accel.state import Activity, CpuState

RESET_MEMBERS = (
    *("rip", "rflags", "cs", "ds", "es", "fs", "gs", "ss", "gdt", "idt", "ldt", "tr", "cr0", "cr2", "cr3", "cr4"),
    *("dr", "efer", "xcr0", "activity", "events"),
)
"""What a CPU model has no say in."""


def test_new_vcpu_is_in_reset_state(bench: CpuBench) -> None:
    state, fresh = bench.vcpu.get_state(), CpuState()
    for name in RESET_MEMBERS:
        assert getattr(state, name) == getattr(fresh, name), name
    assert bench.vcpu.pc == 0xFFFF_FFF0
    assert not bench.vcpu.halted


def test_reset_vector_is_where_a_new_vcpu_starts(bench: CpuBench) -> None:
    bench.rom[0xFFF0:0xFFF3] = b"\xb0\x55\xf4"  # mov al, 0x55; hlt
    assert bench.run().reason is ExitReason.HALTED
    assert bench.vcpu.get_state().gprs[RAX] & 0xFF == 0x55


def test_guest_goes_through_all_modes_by_itself(bench: CpuBench) -> None:
    state = bench.finish(bench.start("real", "modes"))
    assert (state.es.selector, state.es.base, state.cr0 & 1) == (0x1234, 0x12340, 0)
    bench.vcpu.set_state(_running(state))
    state = bench.finish()
    assert (state.gprs[RBX], state.cs.selector, state.cs.limit, state.cr0 & 1) == (0xCAFEBABE, 8, 0xFFFF_FFFF, 1)
    state = bench.finish(_running(state))
    assert (state.efer, state.cs.access & 0x2000, state.gs.base) == (0x500, 0x2000, 0x7FFF12345000)
    assert state.gprs[15] == 0x1122334455667788
    state = bench.finish(_running(state))
    assert (state.cr0 & 0x80000001, state.efer & 0x400, state.cs.base, state.gprs[RDX] & 0xFFFF) == (0, 0, 0, 0x4242)


def _running(state: CpuState) -> CpuState:
    state.activity = Activity.RUNNING
    return state


def test_port_accesses_of_every_size(bench: CpuBench) -> None:
    bench.finish(bench.start("long", "ports"))
    assert bench.accesses == [
        ("in", 0, 1, 0x10),
        ("in", 0, 2, 0x1110),
        ("in", 0, 4, 0x13121110),
        ("out", 0, 1, 0x44),
        ("out", 0, 2, 0x3344),
        ("out", 0, 4, 0x11223344),
    ]
    assert bytes(bench.ram[0x9000:0x9008]) == bytes.fromhex("1000 1011 10111213")


@pytest.mark.parametrize("base", [DEVICE, HIGH_DEVICE], ids=["below 4G", "above 4G"])
def test_memory_mapped_accesses_of_every_size(bench: CpuBench, base: int) -> None:
    state = bench.start("long", "mmio")
    state.gprs[RBX] = base
    bench.finish(state)
    assert bench.accesses == [
        ("read", 1, 1, 0x11),
        ("read", 2, 2, 0x1312),
        ("read", 4, 4, 0x17161514),
        ("read", 8, 8, 0x1716151413121110),
        ("write", 0x11, 1, 0x88),
        ("write", 0x12, 2, 0x7788),
        ("write", 0x14, 4, 0x55667788),
        ("write", 0x18, 8, 0x1122334455667788),
    ]
    assert bytes(bench.ram[0x9004:0x9010]) == bytes.fromhex("14151617 1011121314151617")


def test_repeated_string_accesses(bench: CpuBench) -> None:
    bench.ram[0x9300:0x9308] = bytes(range(1, 9))
    state = bench.finish(bench.start("long", "rep_io"))
    kinds = [(kind, size) for kind, _, size, _ in bench.accesses]
    assert kinds == [("in", 1)] * 5 + [("in", 2)] * 3 + [("in", 4)] * 2 + [("out", 2)] * 4 + [("out", 1)] * 3
    assert bytes(bench.ram[0x9000:0x9006]) == b"\x10\x10\x10\x10\x10\0"
    assert bytes(bench.ram[0x9100:0x9108]) == b"\x10\x11" * 3 + b"\0\0"
    assert [value for _, _, _, value in bench.accesses[-7:]] == [0x201, 0x403, 0x605, 0x807, 1, 2, 3]
    assert state.gprs[RCX] == 0


def test_exception_in_a_device_comes_out_of_run(bench: CpuBench) -> None:
    def broken() -> None:
        raise RuntimeError("the device caught fire")

    bench.on_post = broken
    bench.put("return_1", 0x10000)
    state = bench.start("long", "call_twice")
    state.gprs[7] = 0x10000
    bench.vcpu.set_state(state)
    with pytest.raises(RuntimeError, match="caught fire"):
        bench.run()
    assert bench.run().reason is ExitReason.HALTED


def test_exception_in_a_memory_mapped_device_comes_out_of_run(bench: CpuBench) -> None:
    bench.memory.unmap(DEVICE)
    bench.memory.map_mmio(DEVICE, 16, lambda _o, _s: 1 // 0, lambda _o, _s, _v: None, name="broken")
    state = bench.start("long", "mmio")
    state.gprs[RBX] = DEVICE
    bench.vcpu.set_state(state)
    with pytest.raises(ZeroDivisionError):
        bench.run()


def test_kick_before_run_is_not_lost(bench: CpuBench) -> None:
    bench.vcpu.set_state(bench.start("long", "forever"))
    bench.vcpu.kick()
    assert bench.vcpu.run().reason is ExitReason.KICKED


@pytest.mark.parametrize("program", ["forever", "relax"])
def test_every_kick_ends_the_run(bench: CpuBench, program: str) -> None:
    bench.vcpu.set_state(bench.start("long", program))
    ended, runs = threading.Event(), threading.Semaphore(0)
    unheard = []

    def kick_and_wait() -> None:
        for _ in range(2000):
            bench.vcpu.kick()
            if not runs.acquire(timeout=2):
                unheard.append(True)
                break
            while runs.acquire(blocking=False):
                pass
        ended.set()
        bench.vcpu.kick()

    kicker = threading.Thread(target=kick_and_wait)
    kicker.start()
    while not ended.is_set():
        assert bench.vcpu.run().reason is ExitReason.KICKED
        runs.release()
    kicker.join()
    assert not unheard


@pytest.mark.parametrize("program", ["count", "count_memory"])
def test_kicks_neither_lose_nor_repeat_an_instruction(bench: CpuBench, program: str) -> None:
    rounds = 20_000_000 if program == "count" else 3_000_000
    state = bench.start("long", program)
    state.gprs[RCX] = rounds
    bench.vcpu.set_state(state)
    ended, seen = threading.Event(), 0

    def kick_often() -> None:
        while not ended.is_set():
            bench.vcpu.kick()
            time.sleep(0.0001)

    kicker = threading.Thread(target=kick_often)
    kicker.start()
    try:
        while (exit := bench.vcpu.run()).reason is ExitReason.KICKED:
            seen += 1
    finally:
        ended.set()
        kicker.join()
    assert exit.reason is ExitReason.HALTED
    assert (bench.vcpu.get_state().gprs[RBX] if program == "count" else bench.quad(0x9000)) == rounds
    assert seen > 10


def test_state_moves_to_another_machine_in_the_middle_of_work(bench: CpuBench, other: CpuBench) -> None:
    state = bench.start("long", "count")
    state.gprs[RCX] = 5_000_000
    bench.vcpu.set_state(state)
    moved = 0
    here, there = bench, other
    there.start("long", "count")
    while True:
        threading.Timer(0.002, here.vcpu.kick).start()
        exit = here.vcpu.run()
        if exit.reason is ExitReason.HALTED:
            break
        moved += 1
        there.vcpu.set_state(here.vcpu.get_state())
        here, there = there, here
    assert here.vcpu.get_state().gprs[RBX] == 5_000_000
    assert moved


def test_state_is_the_same_after_set_and_get(bench: CpuBench, other: CpuBench) -> None:
    state = bench.start("long", "floats")
    state.gprs[RAX] = 0x0123456789ABCDEF
    state.rflags = 0xAD7
    state.events.nmi_blocked = True
    state.events.nmi_pending = True
    state.dr[0], state.cr2 = 0x1234, 0xFEDC_BA98
    saved = bench.finish(state)
    other.vcpu.set_state(saved)
    again = other.vcpu.get_state()
    saved.msrs.pop(0x10), again.msrs.pop(0x10)  # time has passed
    assert again == saved
    assert saved.rflags == 0xAD7
    assert saved.events.nmi_blocked and saved.events.nmi_pending


def test_floating_point_state_moves(bench: CpuBench, other: CpuBench) -> None:
    state = bench.start("long", "floats")
    other.start("long", "floats")
    state.gprs[RAX] = 0x0123456789ABCDEF
    saved = bench.finish(state)
    other.finish(_running(saved))
    assert other.quad(0x9000) & 0xFFFF_FFFF == 4  # 1 + pi, rounded
    assert other.quad(0x9008) == 0x0123456789ABCDEF


def test_halted_state_stays_halted(bench: CpuBench) -> None:
    bench.vcpu.set_state(halted(bench.start("long", "sleeper_64")))
    assert bench.vcpu.halted
    assert not bench.vcpu.has_work()
    assert bench.vcpu.run().reason is ExitReason.HALTED
    assert bench.vcpu.pc == CODE


@pytest.mark.parametrize("mode", MODES)
def test_reset_forgets_everything(bench: CpuBench, mode: str) -> None:
    fresh = bench.vcpu.get_state()
    bench.finish(bench.start(mode, f"masked_{MODES[mode]}"))
    bench.vcpu.inject_nmi()
    bench.vcpu.reset()
    state = bench.vcpu.get_state()
    fresh.msrs.clear(), state.msrs.clear()
    assert state == fresh
    bench.rom[0xFFF0] = 0xF4
    assert bench.run().reason is ExitReason.HALTED
    assert bench.vcpu.pc == ROM + 0xFFF1


def test_later_vcpus_wait_for_sipi(bench: CpuBench) -> None:
    second = bench.vm.create_vcpu(1)
    assert second.halted
    assert not second.has_work()
    assert second.run().reason is ExitReason.HALTED
    assert second.get_state().activity is Activity.WAIT_FOR_SIPI
    assert second.pc == 0xFFFF_FFF0
    second.inject_nmi()
    assert not second.has_work()
    second.close()


def test_waiting_vcpu_runs_once_it_is_given_a_running_state(bench: CpuBench) -> None:
    second = bench.vm.create_vcpu(1)
    state = bench.start("long", "count")
    state.gprs[RCX] = 7
    second.set_state(state)
    assert second.run().reason is ExitReason.HALTED
    assert second.get_state().gprs[RBX] == 7
    second.reset()
    assert second.get_state().activity is Activity.WAIT_FOR_SIPI
    second.close()


def test_what_the_vcpu_tells_of_cpuid_is_what_its_guest_sees(bench: CpuBench) -> None:
    bench.rom[0xFFF0:0xFFF9] = b"\x66\xb8\x01\x00\x00\x00\x0f\xa2\xf4"  # mov eax, 1; cpuid; hlt
    assert bench.run().reason is ExitReason.HALTED
    gprs = bench.vcpu.get_state().gprs
    told = bench.vcpu.cpuid(1, 0)
    # KVM keeps OSXSAVE (bit 27 of ECX) in step with CR4.
    assert (gprs[RAX], gprs[RCX] & ~(1 << 27), gprs[RDX]) == (told[0], told[2] & ~(1 << 27), told[3])
