"""Whole machines with the built-in guest, on every accelerator that this host can use."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from varan.accel.kvm.accelerator import KvmAccelerator
from varan.embed.vm import Machine

ACCELERATORS = [
    pytest.param("unicorn", id="unicorn"),
    pytest.param("unicorn,delivery=python", id="unicorn-python-delivery"),
    pytest.param("kvm", id="kvm", marks=pytest.mark.kvm),
]

PROMPT = "varan> "


@pytest.fixture(params=ACCELERATORS)
def accelerator(request: pytest.FixtureRequest) -> str:
    """Each accelerator in turn."""
    name: str = request.param
    if name == "kvm" and not KvmAccelerator.availability().usable:
        pytest.skip(KvmAccelerator.availability().reason)
    return name


@pytest.fixture
async def vm(accelerator: str) -> AsyncIterator[Machine]:
    """A machine with the demonstration guest, open and not started."""
    async with Machine(memory="32M", accel=accelerator, name="test") as machine:
        yield machine


@pytest.fixture
async def guest(vm: Machine) -> Machine:
    """A machine whose demonstration guest waits at its prompt."""
    await vm.start()
    await vm.serial.expect(PROMPT)
    return vm
