"""CPU features of KVM's one model, the host: what a table for SET_CPUID2 says, and choosing otherwise."""

from __future__ import annotations

from collections.abc import Iterator

from varan.accel import cpuid
from varan.accel.cpuid import FEATURES, Choice, Cpuid, Registers
from varan.accel.kvm import ioctls

HEADER = 8
"""Bytes before the first entry of a table: the number of entries, and padding."""
_REGISTERS = 3
"""Members of an entry before its registers: leaf, subleaf, flags."""
_INDEXED = 1
"""Flag of an entry that holds for its subleaf only."""


def _entries(table: bytes | bytearray) -> Iterator[tuple[int, list[int]]]:
    """Offset and members of each entry."""
    for at in range(HEADER, len(table), ioctls.CPUID_ENTRY.size):
        yield at, list(ioctls.CPUID_ENTRY.unpack_from(table, at))


def lookup(table: bytes | bytearray) -> Cpuid:
    """What a CPU with `table` answers."""
    answers: dict[tuple[int, int], Registers] = {}
    for _, (leaf, subleaf, flags, eax, ebx, ecx, edx) in _entries(table):
        answers[leaf, subleaf if flags & _INDEXED else 0] = (eax, ebx, ecx, edx)
    return cpuid.from_table(answers)


def choose(table: bytearray, choice: Choice, *, quiet: bool = False) -> None:
    """Take features from `table` as chosen; `quiet`: nothing is said about those that the host has not got.

    Raises AcceleratorError for enforced ones that the host has not got.
    """
    answers = lookup(table)
    missing = [name for name, wanted in choice.features.items() if wanted and not cpuid.has(answers, FEATURES[name])]
    if not quiet:
        cpuid.report_missing(missing, choice)
    unwanted = {FEATURES[name] for name, wanted in choice.features.items() if not wanted}
    for at, entry in _entries(table):
        leaf, subleaf, flags = entry[:_REGISTERS]
        for bit in unwanted:
            if (bit.leaf, bit.subleaf) == (leaf, subleaf if flags & _INDEXED else 0):
                entry[_REGISTERS + bit.register] &= ~(1 << bit.bit)
        ioctls.CPUID_ENTRY.pack_into(table, at, *entry)
