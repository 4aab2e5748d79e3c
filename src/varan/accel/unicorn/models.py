"""CPU models: the names a machine may ask for, and what of each the engine can really do."""

from __future__ import annotations

from varan.accel.base import AcceleratorError
from varan.accel.unicorn import layout
from varan.accel.unicorn.layout import Env

DEFAULT = "max"

_NAMES = (
    *("qemu64", "phenom", "core2duo", "kvm64", "qemu32", "kvm32", "coreduo", "486", "pentium", "pentium2", "pentium3"),
    *("athlon", "n270", "Conroe", "Penryn", "Nehalem", "Westmere", "SandyBridge", "IvyBridge", "Haswell", "Broadwell"),
    *("Skylake-Client", "Skylake-Server", "Cascadelake-Server", "Cooperlake", "Icelake-Client", "Icelake-Server"),
    *("Denverton", "Snowridge", "KnightsMill", "Opteron_G1", "Opteron_G2", "Opteron_G3", "Opteron_G4", "Opteron_G5"),
    *("EPYC", "Dhyana", "EPYC-Rome"),
)
"""In the order of the library's numbers."""

_MAX = "Haswell"
"""The model whose features the engine has the most of."""

_X2APIC, _TSC_DEADLINE, _MONITOR = 1 << 21, 1 << 24, 1 << 3
_SVM, _EXTAPIC = 1 << 2, 1 << 3
_NX = 1 << 20
_TSC_ADJUST, _INVARIANT_TSC = 1 << 1, 1 << 8
_ERMS = 1 << 9
_INTEL = b"GenuineIntel"
_CORE_LEVEL = 0xA


def names() -> list[str]:
    """Every model's name, the pseudo-model `max` first."""
    return [DEFAULT, *_NAMES]


def count() -> int:
    """How many models the library has."""
    return len(_NAMES)


def number(name: str | None) -> int:
    """The library's number for a model, the default one for None. Raises AcceleratorError for an unknown name."""
    wanted = name or DEFAULT
    if wanted == DEFAULT:
        wanted = _MAX
    try:
        return _NAMES.index(wanted)
    except ValueError:
        raise AcceleratorError(f"unable to find CPU model '{name}'") from None


def show_counter(env: Env, last_leaf: int) -> bool:
    """Have CPUID say that the time-stamp counter can be relied on, and have leaves up to `last_leaf` for its frequency.

    False, and nothing is changed, where guests would not expect that: only Intel defines these leaves, and some guests
    stumble over leaves that came after their CPU, so models before the Core are left alone.

    TSC_ADJUST goes with it: guests that can see that nobody has moved the counter do not check it against a timer,
    whose interrupts come late here when the host is busy.
    """
    if bytes(env.cpuid_vendor) != _INTEL or env.cpuid_level < _CORE_LEVEL:
        return False
    env.cpuid_level = max(env.cpuid_level, last_leaf)
    env.features[layout.FEATURE_7_EBX] |= _TSC_ADJUST
    env.features[layout.FEATURE_8000_0007_EDX] |= _INVARIANT_TSC
    return True


def hide_missing_features(env: Env, *, hide_nx: bool) -> None:
    """Take from CPUID what the engine claims but has not got.

    Accesses to x2APIC's and the deadline timer's MSRs cannot be seen, and nested virtualization does not work.
    """
    _hide(env, layout.FEATURE_1_ECX, _X2APIC | _TSC_DEADLINE | _MONITOR)
    _hide(env, layout.FEATURE_8000_0001_ECX, _SVM | _EXTAPIC)
    if hide_nx:
        _hide(env, layout.FEATURE_8000_0001_EDX, _NX)


def hide_slow_features(env: Env) -> None:
    """Take from CPUID what the engine has but guests do better without; `-cpu MODEL,+erms` brings it back.

    ERMS tells guests to fill and copy memory with string instructions on bytes, which are translated as one store for
    each byte: Linux then clears a page eight times as slowly as with quadwords.
    """
    env.features[layout.FEATURE_7_EBX] &= ~_ERMS


def _hide(env: Env, word: int, bits: int) -> None:
    env.missing[word] |= env.features[word] & bits
    env.features[word] &= ~bits
