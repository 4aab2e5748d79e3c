"""The CPUID of a KVM vCPU: what the host supports, with the machine's own topology and what its local APIC has."""

from __future__ import annotations

from varan.accel.base import Topology
from varan.accel.kvm import ioctls

_LEAF1_ECX_X2APIC = 1 << 21
_LEAF1_ECX_TSC_DEADLINE = 1 << 24
_LEAF1_ECX_HYPERVISOR = 1 << 31
_LEAF1_EDX_APIC = 1 << 9
_LEAF1_EDX_HTT = 1 << 28
_EXTENDED_ECX_LEGACY_MULTICORE, _EXTENDED_ECX_TOPOLOGY = 1 << 1, 1 << 22
_THREAD_LEVEL, _CORE_LEVEL = 1 << 8, 2 << 8
_LAST_CACHE_LEVEL = 3

Registers = tuple[int, int, int, int]
"""EAX, EBX, ECX, EDX."""


def table(supported: bytes, topology: Topology, index: int) -> bytearray:
    """The argument of SET_CPUID2 for vCPU `index`, from that of GET_SUPPORTED_CPUID."""
    result = bytearray(supported)
    for at in range(8, len(result), ioctls.CPUID_ENTRY.size):
        leaf, subleaf, flags, *registers = ioctls.CPUID_ENTRY.unpack_from(result, at)
        changed = _entry(leaf, subleaf, registers, topology, topology.apic_id(index))
        if changed is not None:
            ioctls.CPUID_ENTRY.pack_into(result, at, leaf, subleaf, flags, *changed)
    return result


def _entry(leaf: int, subleaf: int, old: list[int], topology: Topology, apic_id: int) -> Registers | None:
    eax, ebx, ecx, edx = old
    package = topology.cores * topology.threads
    if leaf == 1:
        ebx = ebx & 0x0000_FFFF | min(package, 255) << 16 | apic_id << 24
        ecx = ecx & ~(_LEAF1_ECX_X2APIC | _LEAF1_ECX_TSC_DEADLINE) | _LEAF1_ECX_HYPERVISOR
        return eax, ebx, ecx, edx & ~_LEAF1_EDX_HTT | _LEAF1_EDX_APIC | (_LEAF1_EDX_HTT if package > 1 else 0)
    if leaf == 4 and eax & 0x1F:
        sharing = package if eax >> 5 & 7 >= _LAST_CACHE_LEVEL else topology.threads
        return eax & 0x3FFF | (sharing - 1 & 0xFFF) << 14 | min(topology.cores - 1, 63) << 26, ebx, ecx, edx
    if leaf in (0xB, 0x1F):
        return _level(subleaf, topology, apic_id)
    if leaf == 0x15:
        # The timer of a local APIC would have to run at the crystal's frequency.
        return 0, 0, 0, 0
    if leaf == 0x8000_0001:
        return eax, ebx, ecx & ~(_EXTENDED_ECX_LEGACY_MULTICORE | _EXTENDED_ECX_TOPOLOGY), edx
    if leaf == 0x8000_0008:
        return eax, ebx, package - 1 & 0xFF, edx
    return None


def _level(subleaf: int, topology: Topology, apic_id: int) -> Registers:
    """Leaf 0xB (SDM volume 2, CPUID, "Extended Topology Enumeration Leaf")."""
    if subleaf == 0:
        return topology.thread_bits, topology.threads, _THREAD_LEVEL, apic_id
    if subleaf == 1:
        return topology.package_bits, topology.cores * topology.threads, 1 | _CORE_LEVEL, apic_id
    return 0, 0, subleaf & 0xFF, apic_id
