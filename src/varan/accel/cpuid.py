"""CPUID: what the protocol calls each feature, and what a CPU's leaves say.

Bits are those of the Intel SDM (volume 2, "CPUID") and AMD's APM (volume 3, appendix E); the names are the machine
protocol's, which calls some features as no manual does.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

from varan.accel.base import AcceleratorError

log = logging.getLogger("varan.accel")

Registers = tuple[int, int, int, int]
"""EAX, EBX, ECX, EDX."""
Cpuid = Callable[[int, int], Registers]
"""(leaf, subleaf) -> what the instruction gives."""

EAX, EBX, ECX, EDX = range(4)


class Bit(NamedTuple):
    """Where a feature is: leaf, subleaf, register, bit."""

    leaf: int
    subleaf: int
    register: int
    bit: int


_WORDS: dict[tuple[int, int, int], str] = {
    (1, 0, EDX): (
        "fpu vme de pse tsc msr pae mce cx8 apic - sep mtrr pge mca cmov pat pse36 pn clflush - ds acpi mmx fxsr "
        "sse sse2 ss ht tm ia64 pbe"
    ),
    (1, 0, ECX): (
        "pni pclmulqdq dtes64 monitor ds-cpl vmx smx est tm2 ssse3 cid - fma cx16 xtpr pdcm - pcid dca sse4.1 "
        "sse4.2 x2apic movbe popcnt tsc-deadline aes xsave - avx f16c rdrand hypervisor"
    ),
    (6, 0, EAX): "- - arat",
    (7, 0, EBX): (
        "fsgsbase tsc-adjust sgx bmi1 hle avx2 - smep bmi2 erms invpcid rtm - - mpx - avx512f avx512dq rdseed adx "
        "smap avx512ifma pcommit clflushopt clwb intel-pt avx512pf avx512er avx512cd sha-ni avx512bw avx512vl"
    ),
    (7, 0, ECX): (
        "- avx512vbmi umip pku - waitpkg avx512vbmi2 - gfni vaes vpclmulqdq avx512vnni avx512bitalg - "
        "avx512-vpopcntdq - la57 - - - - - rdpid - bus-lock-detect cldemote - movdiri movdir64b - sgxlc pks"
    ),
    (7, 0, EDX): (
        "- - avx512-4vnniw avx512-4fmaps fsrm - - - avx512-vp2intersect - md-clear - - - serialize - tsx-ldtrk - "
        "- arch-lbr - - amx-bf16 avx512-fp16 amx-tile amx-int8 spec-ctrl stibp - arch-capabilities "
        "core-capability ssbd"
    ),
    (7, 1, EAX): "- - - - avx-vnni avx512-bf16",
    (0xD, 1, EAX): "xsaveopt xsavec xgetbv1 xsaves xfd",
    (0x8000_0001, 0, EDX): (
        "- - - - - - - - - - - syscall - - - - - - - - nx - mmxext - - fxsr-opt pdpe1gb rdtscp - lm 3dnowext 3dnow"
    ),
    (0x8000_0001, 0, ECX): (
        "lahf-lm cmp-legacy svm extapic cr8legacy abm sse4a misalignsse 3dnowprefetch osvw ibs xop skinit wdt - "
        "lwp fma4 tce - nodeid-msr - tbm topoext perfctr-core perfctr-nb"
    ),
    (0x8000_0007, 0, EDX): "- - - - - - - - invtsc",
    (0x8000_0008, 0, EBX): (
        "clzero - xsaveerptr - - - - - - wbnoinvd - - ibpb - ibrs amd-stibp - - - - - - - - amd-ssbd virt-ssbd "
        "amd-no-ssb"
    ),
}
"""The features of each register, lowest bit first."""

FEATURES: dict[str, Bit] = {
    name: Bit(*word, bit) for word, names in _WORDS.items() for bit, name in enumerate(names.split()) if name != "-"
}
_ALIASES = {"sse3": "pni", "xd": "nx", "i64": "lm", "ffxsr": "fxsr-opt", "pclmuldq": "pclmulqdq"}
_SWITCHES = {"on": True, "off": False, "yes": True, "no": False, "true": True, "false": False, "y": True, "n": False}


def canonical(name: str) -> str | None:
    """The name of the feature that `name` means (underscores and dots go for dashes), None for no feature."""
    name = _ALIASES.get(name, name)
    for spelled in (name, name.replace("_", "-"), name.replace("_", ".").replace("-", ".")):
        if spelled in FEATURES:
            return spelled
    return None


class Choice(NamedTuple):
    """A CPU model and what is chosen otherwise than it has it."""

    model: str
    features: Mapping[str, bool] = MappingProxyType({})
    enforce: bool = False
    """A feature that is not to be had is an error instead of a warning."""


def parse_model(text: str) -> Choice:
    """`MODEL[,+feature][,-feature][,feature=on|off][,enforce]`, as -cpu has it.

    Raises AcceleratorError for a feature or value there is not.
    """
    model, *words = text.split(",")
    chosen: dict[str, bool] = {}
    switches = {"check": True, "enforce": False}
    for word in words:
        name, switch = _switch(word)
        if name in switches:
            switches[name] = switch
            continue
        feature = canonical(name)
        if feature is None:
            raise AcceleratorError(f"Property '{model}-x86_64-cpu.{name}' not found")
        chosen[feature] = switch
    return Choice(model, chosen, switches["enforce"])


def _switch(word: str) -> tuple[str, bool]:
    if word[:1] in ("+", "-"):
        return word[1:], word[0] == "+"
    name, equals, value = word.partition("=")
    if equals and value not in _SWITCHES:
        raise AcceleratorError(f"Parameter '{name}' expects 'on' or 'off'")
    return name, _SWITCHES[value] if equals else True


def report_missing(names: Sequence[str], choice: Choice) -> None:
    """Say that the accelerator has not got features that were chosen. Raises AcceleratorError where they must be."""
    if not names:
        return
    text = f"this accelerator has not got the CPU features {', '.join(names)}"
    if choice.enforce:
        raise AcceleratorError(text)
    log.warning(text)


def has(cpuid: Cpuid, where: Bit) -> bool:
    """Whether the bit is set; leaves beyond the highest say nothing."""
    highest = cpuid(where.leaf & 0x8000_0000, 0)[EAX]
    return where.leaf <= highest and bool(cpuid(where.leaf, where.subleaf)[where.register] >> where.bit & 1)


def features(cpuid: Cpuid) -> dict[str, bool]:
    """Every feature that has a name, and whether the CPU has it."""
    return {name: has(cpuid, where) for name, where in FEATURES.items()}


def identity(cpuid: Cpuid) -> dict[str, Any]:
    """The CPU's family, model, stepping, vendor and name, and its highest leaves, by the protocol's names."""
    level, *vendor = cpuid(0, 0)
    xlevel = cpuid(0x8000_0000, 0)[EAX]
    signature = cpuid(1, 0)[EAX]
    family, model = signature >> 8 & 0xF, signature >> 4 & 0xF
    if family == 0xF:
        family += signature >> 20 & 0xFF
    if family >= 6:
        model |= signature >> 12 & 0xF0
    brand = [word for leaf in range(0x8000_0002, 0x8000_0005) if leaf <= xlevel for word in cpuid(leaf, 0)]
    return {
        "family": family,
        "model": model,
        "stepping": signature & 0xF,
        "vendor": _text([vendor[0], vendor[2], vendor[1]]),
        "model-id": _text(brand),
        "level": level,
        "xlevel": xlevel,
    }


def _text(words: list[int]) -> str:
    return b"".join(word.to_bytes(4, "little") for word in words).rstrip(b"\0 ").decode("ascii", "replace")


def snapshot(cpuid: Cpuid) -> Cpuid:
    """What `cpuid` says now of every leaf that `features` and `identity` read, kept."""
    leaves = {(0, 0), (0x8000_0000, 0), *((leaf, subleaf) for leaf, subleaf, _ in _WORDS)}
    leaves |= {(leaf, 0) for leaf in range(0x8000_0002, 0x8000_0005)}
    return from_table({at: cpuid(*at) for at in leaves})


def from_table(table: Mapping[tuple[int, int], Registers]) -> Cpuid:
    """Answers from `table`; zeros where it has nothing."""
    return lambda leaf, subleaf: table.get((leaf, subleaf), (0, 0, 0, 0))


class ModelInfo(NamedTuple):
    """A CPU model: what its CPUID says here, and features that it should have and has not got here."""

    cpuid: Cpuid
    missing: tuple[str, ...] = ()
