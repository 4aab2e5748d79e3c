"""Fixtures for the contract suites."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.cpu_bench import CpuBench

ACCELERATORS = [
    pytest.param("unicorn,delivery=native", id="native"),
    pytest.param("unicorn,delivery=python", id="python"),
    pytest.param("unicorn,delivery=python,tlb-stub=off", id="portable"),
]


@pytest.fixture(params=ACCELERATORS)
def accelerator(request: pytest.FixtureRequest) -> str:
    """Each accelerator in turn, with options as on the command line."""
    name: str = request.param
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
