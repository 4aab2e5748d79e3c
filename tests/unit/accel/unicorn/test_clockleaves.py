"""CPUID leaves 0x15 and 0x16, as numbers and as a guest sees them."""

from __future__ import annotations

import struct
import time

import pytest
from tests.support.cpu_bench import RAX, RBX, RCX, RDX, CpuBench

from varan.accel.unicorn.clockleaves import counter_leaf, speeds_leaf

FREQUENCIES = [25_000_000, 1_000_000_000, 2_600_002_150, 4_500_000_000, 6_200_000_000]
OPTIONS = ["unicorn", "unicorn,delivery=python", "unicorn,delivery=python,tlb-stub=off"]


@pytest.mark.parametrize("hertz", FREQUENCIES)
def test_leaf_gives_the_frequency_to_one_kilohertz(hertz: int) -> None:
    denominator, numerator, crystal, reserved = counter_leaf(hertz)
    assert abs(crystal * numerator // denominator - hertz) <= 1_000
    assert crystal < 1 << 32
    assert crystal % 1_000 == 0, "guests reckon in kHz"
    assert reserved == 0


def test_speeds_are_in_megahertz() -> None:
    assert speeds_leaf(2_600_002_150) == (2600, 2600, 100, 0)


def cpuid(bench: CpuBench, leaf: int) -> tuple[int, int, int, int]:
    """EAX, EBX, ECX, EDX as the guest gets them."""
    bench.vcpu.reset()
    bench.rom[0xFFF0:0xFFF3] = b"\x0f\xa2\xf4"  # cpuid; hlt
    state = bench.vcpu.get_state()
    state.gprs[RAX] = leaf
    bench.vcpu.set_state(state)
    bench.run()
    gprs = bench.vcpu.get_state().gprs
    return gprs[RAX], gprs[RBX], gprs[RCX], gprs[RDX]


@pytest.mark.parametrize("accelerator", OPTIONS)
def test_guest_is_told_how_fast_its_counter_runs(accelerator: str) -> None:
    bench = CpuBench(accelerator)
    try:
        assert cpuid(bench, 0) == (0x16, *struct.unpack("<III", b"GenuntelineI"))
        denominator, numerator, crystal, _ = cpuid(bench, 0x15)
        assert cpuid(bench, 0x15) == (denominator, numerator, crystal, 0), "the answer does not change"
        began, first = time.monotonic(), bench.vcpu.get_state().msrs[0x10]
        time.sleep(0.2)
        ended, last = time.monotonic(), bench.vcpu.get_state().msrs[0x10]
        # Loose, because this test's own two looks may be interrupted.
        assert crystal * numerator / denominator == pytest.approx((last - first) / (ended - began), rel=0.02)
        assert cpuid(bench, 0x16)[0] == pytest.approx(crystal * numerator / denominator / 1e6, abs=1)
        assert cpuid(bench, 0x14) == (0, 0, 0, 0)
        assert cpuid(bench, 7)[1] & 2, "TSC_ADJUST"
        assert cpuid(bench, 0x8000_0007)[3] == 1 << 8, "invariant"
    finally:
        bench.close()
