"""The accelerator contract: the time-stamp counter, which stands still while the machine is stopped."""

from __future__ import annotations

import time

import pytest
from tests.support.cpu_bench import RAX, RDX, CpuBench

from varan.accel.base import ExitReason, Vcpu
from varan.accel.state import CpuState

TSC = 0x10
PAUSE = 0.05


@pytest.fixture
def stopping(bench: CpuBench) -> CpuBench:
    """A vCPU whose counter can be stopped, which the contract leaves to the accelerator."""
    if type(bench.vcpu).stop_counter is Vcpu.stop_counter:
        pytest.skip("this accelerator's counter runs on while the machine is stopped")
    return bench


def read_by_guest(bench: CpuBench) -> int:
    """What RDTSC gives the guest now."""
    bench.rom[0xFFF0:0xFFF6] = b"\x0f\x31\xe6\x80\xeb\xfa"  # again: rdtsc; out 0x80, al; jmp again
    bench.on_post = bench.vcpu.kick
    assert bench.vcpu.run().reason is ExitReason.KICKED
    gprs = bench.vcpu.get_state().gprs
    return gprs[RDX] << 32 | gprs[RAX]


def counter(bench: CpuBench) -> int:
    return bench.vcpu.get_state().msrs[TSC]


def rate(bench: CpuBench) -> float:
    """Counts a second."""
    began, first = time.monotonic(), counter(bench)
    time.sleep(PAUSE)
    ended, last = time.monotonic(), counter(bench)
    return (last - first) / (ended - began)


def test_guest_reads_the_counter_that_its_state_shows(bench: CpuBench) -> None:
    before = counter(bench)
    first = read_by_guest(bench)
    second = read_by_guest(bench)
    assert before < first < second < counter(bench)


def test_counter_stands_still_while_stopped_and_goes_on_from_there(stopping: CpuBench) -> None:
    a_second = rate(stopping)
    first = read_by_guest(stopping)
    began = time.monotonic()
    stopping.vcpu.stop_counter()
    held = stopping.vcpu.get_state()
    time.sleep(PAUSE)
    assert stopping.vcpu.get_state() == held
    stopping.vcpu.start_counter()
    second = read_by_guest(stopping)
    running = time.monotonic() - began - PAUSE
    assert first <= held.msrs[TSC] <= second
    assert (second - held.msrs[TSC]) / a_second < running + PAUSE / 10


def test_stopped_counter_can_be_stopped_again(stopping: CpuBench) -> None:
    read_by_guest(stopping)
    stopping.vcpu.stop_counter()
    held = counter(stopping)
    stopping.vcpu.stop_counter()
    assert counter(stopping) == held
    stopping.vcpu.start_counter()
    assert counter(stopping) >= held


def test_state_set_while_stopped_brings_its_counter(stopping: CpuBench) -> None:
    stopping.vcpu.stop_counter()
    state = stopping.vcpu.get_state()
    state.msrs[TSC] = 1 << 50
    stopping.vcpu.set_state(state)
    time.sleep(0.001)
    assert stopping.vcpu.get_state().msrs == state.msrs
    stopping.vcpu.start_counter()
    assert 1 << 50 <= read_by_guest(stopping) < 1 << 51


def test_reset_while_stopped_takes_the_counter_back(stopping: CpuBench) -> None:
    state: CpuState = stopping.vcpu.get_state()
    state.msrs[TSC] = 1 << 50
    stopping.vcpu.set_state(state)
    stopping.vcpu.stop_counter()
    stopping.vcpu.reset()
    assert counter(stopping) == counter(stopping) < 1 << 49
    stopping.vcpu.start_counter()
    assert read_by_guest(stopping) < 1 << 49
