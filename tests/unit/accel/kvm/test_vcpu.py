"""What KVM's own ways ask of a vCPU: instructions in two halves, late kicks, state that must survive both."""

from __future__ import annotations

import struct
import threading
import time

import pytest
from tests.support.cpu_bench import DEVICE, RAX, RBX, RCX, RDX, CpuBench, halted
from tests.support.guest_code import CODE

from varan.accel.base import AcceleratorError, ExitReason
from varan.accel.state import CpuState

pytestmark = pytest.mark.kvm

IF = 0x200
VECTOR = 0x41


def load(bench: CpuBench, code: bytes) -> CpuState:
    """Long mode with `code` instead of a program."""
    state = bench.start("long", "forever")
    bench.memory.write_ram(CODE, code)
    return state


def kick_at_device(bench: CpuBench) -> None:
    """Let every access to the port device kick the vCPU."""
    bench.ports.unmap(0x100)

    def read(_offset: int, _size: int) -> int:
        bench.vcpu.kick()
        return 0x5A

    bench.ports.map(0x100, 4, read, lambda _o, _s, _v: bench.vcpu.kick(), width=4, name="kicker")


def test_port_read_is_complete_when_a_kick_ends_the_run(bench: CpuBench) -> None:
    kick_at_device(bench)
    state = load(bench, b"\xec\xf4")  # in al, dx; hlt
    state.gprs[RDX] = 0x100
    bench.vcpu.set_state(state)
    assert bench.vcpu.run().reason is ExitReason.KICKED
    assert bench.vcpu.pc == CODE + 1
    assert bench.vcpu.get_state().gprs[RAX] == 0x5A


def test_read_modify_write_on_a_device_is_complete_when_a_kick_ends_the_run(bench: CpuBench) -> None:
    bench.memory.unmap(DEVICE)
    written: list[int] = []

    def read(_offset: int, _size: int) -> int:
        bench.vcpu.kick()
        return 40

    bench.memory.map_mmio(DEVICE, 16, read, lambda _o, _s, value: written.append(value), name="counter")
    state = load(bench, b"\x01\x03\xf4")  # add [rbx], eax; hlt
    state.gprs[RBX], state.gprs[RAX] = DEVICE, 2
    bench.vcpu.set_state(state)
    assert bench.vcpu.run().reason is ExitReason.KICKED
    assert bench.vcpu.get_state().rip == CODE + 2
    assert written == [42]


def test_new_state_is_not_touched_by_an_access_that_failed_before(bench: CpuBench) -> None:
    bench.ports.unmap(0x100)
    bench.ports.map(0x100, 4, lambda _o, _s: 1 // 0, lambda _o, _s, _v: None, width=4, name="broken")
    state = load(bench, b"\xec\xf4")
    state.gprs[RDX] = 0x100
    bench.vcpu.set_state(state)
    with pytest.raises(ZeroDivisionError):
        bench.vcpu.run()
    state.rip, state.gprs[RAX] = CODE + 1, 0x1234
    state = bench.finish(state)
    assert (state.rip, state.gprs[RAX]) == (CODE + 2, 0x1234)


def test_kick_after_close_is_harmless(bench: CpuBench) -> None:
    spare = bench.vm.create_vcpu(1)
    spare.close()
    spare.kick()
    spare.pin.changed()
    spare.close()


def test_kick_ends_a_run_from_another_thread_at_once(bench: CpuBench) -> None:
    bench.vcpu.set_state(bench.start("long", "forever"))
    kicked: list[float] = []

    def kick() -> None:
        kicked.append(time.monotonic())
        bench.vcpu.kick()

    threading.Timer(0.02, kick).start()
    assert bench.vcpu.run().reason is ExitReason.KICKED
    assert kicked and time.monotonic() - kicked[0] < 5


def test_whole_state_is_the_same_after_set_and_get(bench: CpuBench) -> None:
    state = halted(bench.start("long", "count"))
    state.gprs = [0x1000_0000_0000_0000 + index for index in range(16)]
    state.rflags, state.cr2, state.cr8 = 0xED7, 0xFEDC_BA98, 5
    state.dr = [1, 2, 3, 4, 0xFFFF0FF1, 0x401]
    state.events.nmi_blocked = state.events.nmi_pending = state.events.interrupt_shadow = True
    area = bytearray(4096)
    struct.pack_into("<H", area, 0, 0x27F)
    struct.pack_into("<I", area, 24, 0x1FA0)
    area[160:176] = bytes(range(16))
    struct.pack_into("<Q", area, 512, 3)
    state.xsave = bytes(area)
    bench.vcpu.set_state(state)
    first = bench.vcpu.get_state()
    for name in ("gprs", "rip", "rflags", "cr0", "cr2", "cr3", "cr4", "cr8", "dr", "efer", "activity", "events"):
        assert getattr(first, name) == getattr(state, name), name
    for name in ("cs", "ds", "es", "fs", "gs", "ss", "ldt", "tr", "gdt", "idt"):
        assert getattr(first, name) == getattr(state, name), name
    assert first.xsave[160:176] == bytes(range(16))
    assert {number: first.msrs[number] for number in state.msrs} == state.msrs
    bench.vcpu.reset()
    bench.vcpu.set_state(first)
    second = bench.vcpu.get_state()
    first.msrs.pop(0x10), second.msrs.pop(0x10)  # time has passed
    assert second == first


def test_state_moves_to_the_embedded_engine_and_back(bench: CpuBench) -> None:
    engine = CpuBench("unicorn")
    state = bench.start("long", "count")
    engine.start("long", "count")
    left = state.gprs[RCX] = 0x7FFF_FFFF
    try:
        for here in (bench, engine, bench):
            here.vcpu.set_state(state)
            # On a busy host the first kicks may come before the guest has run an instruction.
            while state.gprs[RCX] == left:
                threading.Timer(0.002, here.vcpu.kick).start()
                assert here.vcpu.run().reason is ExitReason.KICKED
                state = here.vcpu.get_state()
            assert state.gprs[RCX] < left
            left = state.gprs[RCX]
        assert 0x7FFF_FFFF - left - state.gprs[RBX] in (-1, 0, 1), "between the two counters at most"
    finally:
        engine.close()


def test_vcpu_that_exists_already_is_refused(bench: CpuBench) -> None:
    with pytest.raises(AcceleratorError, match="KVM made no vCPU 0"):
        bench.vm.create_vcpu(0)


def test_task_priority_survives_the_next_run(bench: CpuBench) -> None:
    state = load(bench, b"\x44\x0f\x20\xc0\xf4")  # mov rax, cr8; hlt
    state.cr8 = 7
    state = bench.finish(state)
    assert (state.cr8, state.gprs[RAX]) == (7, 7)


def test_acknowledged_vector_waits_in_the_state_until_the_guest_takes_interrupts(bench: CpuBench) -> None:
    state = bench.start("long", "masked_64")
    bench.gate(VECTOR, CODE + 0x20)
    state.events.interrupt = VECTOR
    state = bench.finish(state)
    assert (state.events.interrupt, state.gprs[RBX]) == (VECTOR, 0)
    state.rflags |= IF
    state = bench.finish(state)
    assert (state.events.interrupt, state.gprs[RBX], bench.controller.acknowledged) == (None, 1, [])


def test_guest_is_interrupted_once_it_allows_it(bench: CpuBench) -> None:
    state = load(bench, b"\xfb\xeb\xfe")  # sti; jmp $
    bench.memory.write_ram(CODE + 0x20, b"\x88\x04\x25\x00\x90\x00\x00\xf4")  # mov [0x9000], al; hlt
    bench.gate(VECTOR, CODE + 0x20)
    bench.controller.request(VECTOR)
    bench.vcpu.set_state(state)
    assert bench.run().reason is ExitReason.HALTED
    assert bench.controller.acknowledged == [VECTOR]


def test_paging_outside_long_mode_is_kept_or_refused_but_not_lost(bench: CpuBench) -> None:
    state = bench.start("protected", "count")
    bench.ram[0x8_0000:0x8_0004] = struct.pack("<I", 0x87)
    state.cr0, state.cr3, state.cr4 = 0x80000011, 0x8_0000, 0x10
    state.gprs[RCX] = 3
    try:
        bench.vcpu.set_state(state)
    except AcceleratorError as error:
        assert "no paging outside long mode" in str(error)
    else:
        assert bench.finish().cr0 == 0x80000011


def test_instruction_that_cannot_run_is_described(bench: CpuBench) -> None:
    """Code in a device: KVM has no way to fetch it."""
    state = load(bench, b"\xff\xe3")  # jmp rbx
    state.gprs[RBX] = DEVICE
    bench.vcpu.set_state(state)
    exit = bench.run()
    assert exit.reason is ExitReason.INTERNAL_ERROR
    assert f"{DEVICE:#x}" in exit.detail


def test_processors_are_told_apart_by_cpuid(bench: CpuBench) -> None:
    second = bench.vm.create_vcpu(1)
    found = []
    for vcpu in (bench.vcpu, second):
        state = load(bench, b"\x0f\xa2\xf4")  # cpuid; hlt
        state.gprs[RAX], state.gprs[RCX] = 1, 0
        vcpu.set_state(state)
        assert vcpu.run().reason is ExitReason.HALTED
        gprs = vcpu.get_state().gprs
        found.append((gprs[RBX] >> 24, gprs[RDX] >> 9 & 1, gprs[RCX] >> 21 & 1))
    second.close()
    assert found == [(0, 1, 0), (1, 1, 0)], "APIC number; a local APIC, no x2APIC"
