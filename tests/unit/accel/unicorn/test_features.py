"""Features of the engine's models."""

from __future__ import annotations

import pytest

from varan.accel import cpuid
from varan.accel.base import AcceleratorError
from varan.accel.unicorn.accelerator import UnicornAccelerator


def shown(model: str) -> dict[str, bool]:
    return cpuid.features(UnicornAccelerator.describe_model(model).cpuid)


def test_models_differ() -> None:
    assert not shown("486")["cx16"]
    assert shown("qemu64")["cx16"]
    assert cpuid.identity(UnicornAccelerator.describe_model("Haswell").cpuid)["vendor"] == "GenuineIntel"


def test_features_are_taken_and_given() -> None:
    plain, chosen = shown("qemu64"), shown("qemu64,-cx16,+sse4.2,+smep")
    assert {name for name in plain if plain[name] != chosen[name]} == {"cx16", "sse4.2", "smep"}
    assert chosen["sse4.2"] and chosen["smep"]


def test_what_no_model_has_cannot_be_given() -> None:
    assert not shown("max,+avx512f")["avx512f"]
    with pytest.raises(AcceleratorError, match="avx512f"):
        shown("max,+avx512f,enforce")


def test_missing_features_are_the_models_own_that_the_engine_lacks() -> None:
    missing = UnicornAccelerator.describe_model("Haswell").missing
    assert {"avx", "avx2", "pcid", "x2apic"} <= set(missing)
    assert "sse4.2" not in missing
    assert UnicornAccelerator.describe_model("486").missing == ("vme",)


def test_unknown_model_is_refused() -> None:
    with pytest.raises(AcceleratorError, match="unable to find CPU model 'nosuch'"):
        UnicornAccelerator.describe_model("nosuch")


def test_byte_wise_string_instructions_are_shown_on_request_only() -> None:
    assert [shown(model)["erms"] for model in ("max", "Haswell", "max,+erms")] == [False, False, True]
