"""A vCPU of KVM's on a bench."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.cpu_bench import CpuBench

from varan.accel.kvm.accelerator import KvmAccelerator


@pytest.fixture
def bench() -> Iterator[CpuBench]:
    """A vCPU with RAM, a device and an interrupt controller."""
    availability = KvmAccelerator.availability()
    if not availability.usable:
        pytest.skip(availability.reason)
    made = CpuBench("kvm")
    yield made
    made.close()
