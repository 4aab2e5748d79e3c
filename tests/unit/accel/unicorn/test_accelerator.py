"""Options, CPU models, and what is refused."""

from __future__ import annotations

import threading

import pytest

from varan.accel import registry
from varan.accel.base import AcceleratorError
from varan.accel.unicorn import library, models
from varan.accel.unicorn.accelerator import UnicornAccelerator
from varan.core.memory import MemorySpace
from varan.core.ports import PortSpace


def test_registry_knows_it_by_both_names() -> None:
    assert registry.load("unicorn") is registry.load("tcg") is UnicornAccelerator


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"colour": "red"}, "no option 'colour'"),
        ({"delivery": "magic"}, "delivery is native or python, not 'magic'"),
        ({"tlb-stub": "maybe"}, "tlb-stub is on or off, not 'maybe'"),
        ({"tb-size": "0"}, "tb-size is a number of MiB from 1 to 1024, not '0'"),
        ({"tb-size": "lots"}, "not 'lots'"),
        ({"thread": "multi"}, "thread=single is all there is"),
    ],
)
def test_bad_option_is_named(options: dict[str, str], complaint: str) -> None:
    with pytest.raises(AcceleratorError, match=complaint):
        UnicornAccelerator(options)


def test_options_are_taken() -> None:
    accelerator = UnicornAccelerator({"delivery": "python", "tb-size": "32", "tlb-stub": "off", "thread": "single"})
    assert (accelerator.delivery, accelerator.tlb_stub, accelerator.buffer_size) == ("python", False, 32 << 20)


def test_unknown_cpu_model_is_named() -> None:
    with pytest.raises(AcceleratorError, match="unable to find CPU model 'abacus'"):
        UnicornAccelerator().create_vm(MemorySpace(), PortSpace(), threading.RLock(), "abacus")


def test_models_have_names_and_numbers() -> None:
    assert models.number("qemu64") == 0
    assert models.number("EPYC-Rome") == 37
    assert models.number(None) == models.number("max") == models.number("Haswell")
    assert len(set(models.names())) == len(models.names()) == 39


@pytest.mark.parametrize("name", UnicornAccelerator.cpu_models())
def test_every_model_makes_a_vcpu(name: str) -> None:
    vm = UnicornAccelerator({"tb-size": "8"}).create_vm(MemorySpace(), PortSpace(), threading.RLock(), name)
    vcpu = vm.create_vcpu(0)
    assert vcpu.get_state().rip == 0xFFF0
    vcpu.close()


def test_other_release_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "VERSION", (2, 1, 5))
    library.load.cache_clear()
    with pytest.raises(AcceleratorError, match=r"unicorn 2\.1\.4 is installed, but only 2\.1\.5 is known here"):
        library.load()
    library.load.cache_clear()


def test_missing_package_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(library, "find", lambda: None)
    library.load.cache_clear()
    assert not UnicornAccelerator.availability().usable
    with pytest.raises(AcceleratorError, match="not installed"):
        library.load()
    library.load.cache_clear()
