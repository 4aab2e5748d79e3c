"""Features by name, and what CPUID leaves say."""

from __future__ import annotations

import logging

import pytest

from varan.accel import cpuid
from varan.accel.base import AcceleratorError
from varan.accel.cpuid import EBX, ECX, EDX, FEATURES, Bit, Choice

HASWELL = cpuid.from_table(
    {
        (0, 0): (13, 0x756E6547, 0x6C65746E, 0x49656E69),
        (1, 0): (0x000306C1, 0, 1 << 20, 1),
        (0x8000_0000, 0): (0x8000_0004, 0, 0, 0),
        (0x8000_0002, 0): (0x65746E49, 0x6F43206C, 0x48206572, 0x00207361),
    }
)


def test_names_are_where_the_manuals_have_them() -> None:
    assert FEATURES["sse4.2"] == Bit(1, 0, ECX, 20)
    assert FEATURES["avx2"] == Bit(7, 0, EBX, 5)
    assert FEATURES["lm"] == Bit(0x8000_0001, 0, EDX, 29)
    assert FEATURES["invtsc"] == Bit(0x8000_0007, 0, EDX, 8)
    assert len(set(FEATURES.values())) == len(FEATURES)
    assert all(0 <= where.bit < 32 for where in FEATURES.values())


@pytest.mark.parametrize(
    ("spelled", "name"),
    [("sse4_2", "sse4.2"), ("sse4-2", "sse4.2"), ("sse3", "pni"), ("tsc_adjust", "tsc-adjust"), ("xd", "nx")],
)
def test_old_spellings_mean_the_same(spelled: str, name: str) -> None:
    assert cpuid.canonical(spelled) == name


def test_identity_is_put_together_from_its_leaves() -> None:
    assert cpuid.identity(HASWELL) == {
        "family": 6,
        "model": 60,
        "stepping": 1,
        "vendor": "GenuineIntel",
        "model-id": "Intel Core Has",
        "level": 13,
        "xlevel": 0x8000_0004,
    }


def test_family_beyond_fifteen_has_its_extension_added() -> None:
    zen = cpuid.from_table({(1, 0): (0x00830F12, 0, 0, 0)})
    shown = cpuid.identity(zen)
    assert (shown["family"], shown["model"], shown["stepping"]) == (23, 0x31, 2)


def test_features_beyond_the_highest_leaf_are_not_there() -> None:
    beyond = cpuid.from_table({(0, 0): (1, 0, 0, 0), (1, 0): (0, 0, 0, 1), (7, 0): (0, 1 << 5, 0, 0)})
    found = cpuid.features(beyond)
    assert found["fpu"]
    assert not found["avx2"]


@pytest.mark.parametrize(
    ("text", "choice"),
    [
        ("qemu64", Choice("qemu64")),
        ("qemu64,+avx,-sse3", Choice("qemu64", {"avx": True, "pni": False})),
        ("qemu64,avx=on,nx=off,svm", Choice("qemu64", {"avx": True, "nx": False, "svm": True})),
        ("max,check,enforce", Choice("max", {}, True)),
        ("max,enforce=off", Choice("max")),
    ],
)
def test_model_with_features(text: str, choice: Choice) -> None:
    assert cpuid.parse_model(text) == choice


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("qemu64,+nosuch", "Property 'qemu64-x86_64-cpu.nosuch' not found"),
        ("qemu64,", "Property 'qemu64-x86_64-cpu.' not found"),
        ("qemu64,avx=maybe", "Parameter 'avx' expects 'on' or 'off'"),
    ],
)
def test_wrong_feature_is_named(text: str, why: str) -> None:
    with pytest.raises(AcceleratorError) as refused:
        cpuid.parse_model(text)
    assert str(refused.value) == why


def test_missing_features_are_warned_about_or_an_error(caplog: pytest.LogCaptureFixture) -> None:
    cpuid.report_missing([], Choice("max", enforce=True))
    with caplog.at_level(logging.WARNING):
        cpuid.report_missing(["avx", "fma"], Choice("max"))
    assert caplog.messages == ["this accelerator has not got the CPU features avx, fma"]
    with pytest.raises(AcceleratorError, match="avx, fma"):
        cpuid.report_missing(["avx", "fma"], Choice("max", enforce=True))
