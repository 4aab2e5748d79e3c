"""CPU features of the engine's models: what each has here, what it lacks, and choosing others."""

from __future__ import annotations

import ctypes
import functools

from varan.accel import cpuid
from varan.accel.cpuid import EAX, EBX, ECX, EDX, FEATURES, Bit, Choice, ModelInfo, Registers
from varan.accel.unicorn import layout, models
from varan.accel.unicorn.cpu import Engine
from varan.accel.unicorn.layout import Env
from varan.accel.unicorn.library import Library

_WORDS = {
    (1, 0, EDX): layout.FEATURE_1_EDX,
    (1, 0, ECX): layout.FEATURE_1_ECX,
    (7, 0, EBX): layout.FEATURE_7_EBX,
    (7, 0, ECX): layout.FEATURE_7_ECX,
    (7, 0, EDX): layout.FEATURE_7_EDX,
    (0x8000_0001, 0, EDX): layout.FEATURE_8000_0001_EDX,
    (0x8000_0001, 0, ECX): layout.FEATURE_8000_0001_ECX,
    (0x8000_0007, 0, EDX): layout.FEATURE_8000_0007_EDX,
}
"""The words of `Env.features` by leaf, subleaf and register."""
_LEAF_7 = 7
_BUFFER = 1 << 20


def ask(engine: Engine, leaf: int, subleaf: int) -> Registers:
    """What CPUID gives on `engine`."""
    out = (ctypes.c_uint32 * 4)()
    at = ctypes.addressof(out)
    engine.library.cpuid(engine.env_pointer, leaf, subleaf, at, at + 4, at + 8, at + 12)
    return out[EAX], out[EBX], out[ECX], out[EDX]


def choose(engine: Engine, choice: Choice, *, quiet: bool = False) -> None:
    """Give the CPU the chosen features, or take them; what is slow is hidden unless it was chosen.

    `quiet`: nothing is said about those that the CPU cannot have.
    Raises AcceleratorError for enforced ones that it cannot have.
    """
    models.hide_slow_features(engine.env)
    missing = []
    for name, wanted in choice.features.items():
        if not _set(engine.env, FEATURES[name], wanted, supported(engine.library)):
            missing.append(name)
    if not quiet:
        cpuid.report_missing(missing, choice)


def _set(env: Env, where: Bit, wanted: bool, supported: frozenset[Bit]) -> bool:
    """Whether the feature is as wanted now."""
    word = _WORDS.get(where[:3])
    if word is None or (wanted and where not in supported):
        return not wanted
    if not wanted:
        env.features[word] &= ~(1 << where.bit)
        return True
    env.features[word] |= 1 << where.bit
    if where.leaf == _LEAF_7:
        env.cpuid_level = max(env.cpuid_level, _LEAF_7)
    return True


@functools.cache
def supported(library: Library) -> frozenset[Bit]:
    """Features that the engine has for at least one of its models."""
    found: set[Bit] = set()
    for model in range(models.count()):
        engine = Engine(library, model, _BUFFER)
        try:
            found.update(bit for bit in FEATURES.values() if _is_set(engine.env, "features", bit))
        finally:
            engine.close()
    return frozenset(found)


def _is_set(env: Env, words: str, where: Bit) -> bool:
    word = _WORDS.get(where[:3])
    return word is not None and bool(getattr(env, words)[word] >> where.bit & 1)


def describe(library: Library, choice: Choice) -> ModelInfo:
    """What a CPU of the model is here. Raises AcceleratorError for an unknown model."""
    engine = Engine(library, models.number(choice.model), _BUFFER)
    try:
        choose(engine, choice, quiet=not choice.enforce)
        missing = tuple(name for name, bit in FEATURES.items() if _is_set(engine.env, "missing", bit))
        return ModelInfo(cpuid.snapshot(lambda leaf, subleaf: ask(engine, leaf, subleaf)), missing)
    finally:
        engine.close()
