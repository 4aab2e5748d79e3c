"""Fixtures for the contract suites."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.contract.emulator_limits import EMULATOR_LIMITS
from tests.support.cpu_bench import CpuBench

from varan.accel.kvm.accelerator import KvmAccelerator
from varan.accel.kvm.system import hardware_virtualization

ACCELERATORS = [
    pytest.param("unicorn,delivery=native", id="native"),
    pytest.param("unicorn,delivery=python", id="python"),
    pytest.param("unicorn,delivery=python,tlb-stub=off", id="portable"),
    pytest.param("kvm", id="kvm", marks=pytest.mark.kvm),
]


@pytest.fixture(params=ACCELERATORS)
def accelerator(request: pytest.FixtureRequest) -> str:
    """Each accelerator in turn, with options as on the command line."""
    name: str = request.param
    if name == "kvm":
        if not KvmAccelerator.availability().usable:
            pytest.skip(KvmAccelerator.availability().reason)
        limit = EMULATOR_LIMITS.get(request.node.name)
        if limit is not None and not hardware_virtualization():
            pytest.skip(f"KVM without hardware virtualization: {limit}")
    return name


@pytest.fixture
def bench(accelerator: str) -> Iterator[CpuBench]:
    """A vCPU of each accelerator in turn."""
    made = CpuBench(accelerator)
    yield made
    made.close()


@pytest.fixture
def other(accelerator: str) -> Iterator[CpuBench]:
    """A second machine on the same accelerator."""
    made = CpuBench(accelerator)
    yield made
    made.close()
