"""Options, CPU models, what is refused and why; the layouts of the interface."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from varan.accel import registry
from varan.accel.base import AcceleratorError
from varan.accel.kvm import accelerator, ioctls, system
from varan.accel.kvm.accelerator import KvmAccelerator
from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace


def test_registry_knows_it() -> None:
    assert registry.load("kvm") is KvmAccelerator


def test_unknown_option_is_named() -> None:
    with pytest.raises(AcceleratorError, match="no option 'colour'"):
        KvmAccelerator({"colour": "red"})


def test_unknown_cpu_model_is_named() -> None:
    with pytest.raises(AcceleratorError, match="'486' is not one of KVM's: host"):
        KvmAccelerator().create_vm(MemorySpace(), PortSpace(), threading.RLock(), "486")


def test_host_without_the_device_cannot_use_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    missing = str(tmp_path / "kvm")
    monkeypatch.setattr(accelerator, "DEVICE", missing)
    monkeypatch.setattr(system, "DEVICE", missing)
    assert KvmAccelerator.availability().reason == f"there is no {missing}"
    assert not KvmAccelerator.availability().usable
    with pytest.raises(AcceleratorError, match="No such file"):
        KvmAccelerator().create_vm(MemorySpace(), PortSpace(), threading.RLock())


@pytest.mark.parametrize(("virtual", "preferred"), [(True, True), (False, False)])
def test_kvm_that_emulates_works_but_is_no_default(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, virtual: bool, preferred: bool
) -> None:
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(accelerator, "DEVICE", str(device))
    monkeypatch.setattr(accelerator, "hardware_virtualization", lambda: virtual)
    found = KvmAccelerator.availability()
    assert (found.usable, found.preferred) == (True, preferred)


@pytest.mark.parametrize(
    ("request_number", "size"),
    [
        (ioctls.SET_USER_MEMORY_REGION, ioctls.MEMORY_REGION.size),
        (ioctls.GET_REGS, ioctls.REGS.size),
        (ioctls.SET_REGS, ioctls.REGS.size),
        (ioctls.GET_SREGS, ioctls.SREGS_SIZE),
        (ioctls.SET_SREGS, 8 * ioctls.SEGMENT.size + 2 * ioctls.TABLE.size + ioctls.SREGS_TAIL.size),
        (ioctls.GET_VCPU_EVENTS, ioctls.VCPU_EVENTS.size),
        (ioctls.SET_VCPU_EVENTS, ioctls.VCPU_EVENTS.size),
        (ioctls.GET_DEBUGREGS, ioctls.DEBUGREGS.size),
        (ioctls.GET_XSAVE, ioctls.XSAVE_SIZE),
        (ioctls.GET_XCRS, ioctls.XCRS_SIZE),
    ],
)
def test_layouts_have_the_size_that_the_request_number_carries(request_number: int, size: int) -> None:
    assert request_number >> 16 & 0x3FFF == size
