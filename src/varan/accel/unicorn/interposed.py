"""Functions of the library that are replaced wherever the library itself calls them (x86-64 hosts).

The library has no hook for RDMSR, WRMSR, PAUSE, or stores to pages that hold code, but it calls two exported functions
of its own there, through slots that the dynamic linker fills. Those slots are given the code below, once a process. It
passes on every call but those of CPUs whose unused SVM register points to a data page (`machinecode.Shared`).
"""

from __future__ import annotations

import ctypes
import struct
import threading
from ctypes import c_uint64

from varan.accel.base import AcceleratorError
from varan.accel.unicorn import dynamic, machinecode
from varan.accel.unicorn.library import Library

SOURCE = r"""
.intel_syntax noprefix
        # Offsets of varan.accel.unicorn.layout: from the engine handle, the CPU object, its register file.
        .set ENGINE_CPU, 0x1b8
        .set C_ENV, 0x8a50
        .set E_RAX, 0x00
        .set E_RCX, 0x08
        .set E_RDX, 0x10
        .set E_SHARED, 0x1580
        # Offsets of varan.accel.unicorn.machinecode.Shared.
        .set SH_PAGE_MARKS, 56
        .set SH_PAGE_COUNT, 64
        .set SH_BOARD, 80
        .set SH_APIC_BASE, 88
        .set SH_APIC_BASE_WRITTEN, 96
        .set SH_STOP, 104
        .set SH_OTHERS, 108
        .set SH_PAUSE_STOPS, 109
        # Offsets of varan.accel.unicorn.codemarks.Noticeboard, and its size in pages.
        .set B_COUNT, 8
        .set B_RUNS, 16
        .set B_PAGES, 144
        .set BOARD_ROOM, 4096
        .set QUEUED, 0x80               # in a page's mark: it is on the board already
        .set SVM_PAUSE, 0x77
        .set SVM_MSR, 0x7c
        .set IA32_APIC_BASE, 0x1b

# void intercept(env, what, parameter, return_address): cpu_svm_check_intercept_param, which the library calls first of
# all for instructions that a hypervisor could intercept. Guests have no SVM here.
intercept:
        mov     rax, [rdi + E_SHARED]
        test    rax, rax
        jz      no_intercept
        cmp     esi, SVM_MSR
        je      msr
        cmp     esi, SVM_PAUSE
        jne     no_intercept
        # Another CPU waits for its turn. PAUSE leaves translated code anyway, and stops are looked for there. Only a
        # plain store is right: a read and a write would lose the stop that another thread sets between the two.
        cmp     byte ptr [rax + SH_PAUSE_STOPS], 0
        je      no_intercept
        mov     byte ptr [rax + SH_STOP], 1
no_intercept:
        jmp     [rip + check_intercept]
msr:
        cmp     dword ptr [rdi + E_RCX], IA32_APIC_BASE
        jne     no_intercept
        test    edx, edx
        jnz     write_base
        mov     edx, [rax + SH_APIC_BASE + 4]
        mov     eax, [rax + SH_APIC_BASE]
        mov     [rdi + E_RAX], rax
        mov     [rdi + E_RDX], rdx
        add     rsp, 8                  # RDMSR's helper has saved RBX and called: leave it with what is there
        pop     rbx
        ret
write_base:                             # WRMSR's helper does nothing with it
        cmp     qword ptr [rax + SH_APIC_BASE_WRITTEN], 0
        je      no_intercept
        jmp     [rax + SH_APIC_BASE_WRITTEN]

# void store(engine, pages, ram_address, length, return_address): tb_invalidate_phys_page_fast, called before a store to
# a page that has no fast TLB entry. Pages that hold translated code of other CPUs go on the board.
store:
        mov     rax, [rdi + ENGINE_CPU]
        mov     rax, [rax + C_ENV + E_SHARED]
        test    rax, rax
        jz      pass_store
        cmp     byte ptr [rax + SH_OTHERS], 0
        je      pass_store
        mov     r11, [rax + SH_BOARD]
        lea     r9, [r11 + B_RUNS]
find_run:                               # {end, guest-physical less ram address}, the last one ends at the top
        cmp     rdx, [r9]
        jb      found_run
        add     r9, 16
        jmp     find_run
found_run:
        mov     r10, [r9 + 8]
        add     r10, rdx
        shr     r10, 12
        cmp     r10, [rax + SH_PAGE_COUNT]
        jae     pass_store
        mov     r9, [rax + SH_PAGE_MARKS]
        add     r9, r10
        mov     al, [rax + SH_OTHERS]
        test    [r9], al
        jz      pass_store
        test    byte ptr [r9], QUEUED
        jnz     pass_store
        mov     rax, [r11 + B_COUNT]
        cmp     rax, BOARD_ROOM
        jae     pass_store              # a full board means every page
        mov     [r11 + rax * 4 + B_PAGES], r10d
        inc     qword ptr [r11 + B_COUNT]
        or      byte ptr [r9], QUEUED
pass_store:
        jmp     [rip + invalidate]

        .org    0x1000
check_intercept:        .quad 0
invalidate:             .quad 0
"""

CODE = bytes.fromhex(
    "488b87801500004885c0741483fe7c741583fe77750a80786d007404c6406801ff25da0f0000837f081b75f485d27513"
    "8b505c8b4058488907488957104883c4085bc3488378600074d6ff6060488b87b8010000488b80d09f00004885c0745b"
    "80786c0074554c8b58504d8d4b10493b1172064983c110ebf54d8b51084901d249c1ea0c4c3b504073314c8b48384d01"
    "d18a406c418401742241f60180751c498b4308483d001000007310458994839000000049ff430841800980ff25470f"
)

ENTRIES = {
    "intercept": 0x0,
    "store": 0x4D,
}
"""Offsets into CODE of what is called from outside."""

REPLACED = {
    "intercept": "cpu_svm_check_intercept_param_x86_64",
    "store": "tb_invalidate_phys_page_fast_x86_64",
}
"""The library's functions, in the order of the data page."""

_RDMSR = "helper_rdmsr_x86_64"
_RDMSR_CODE = bytes.fromhex("53 488b4c2408 4889fb 31d2 be7c000000 e8")
"""How its code begins: RBX is pushed and nothing else, then the call follows."""

_lock = threading.Lock()
_kept: list[object] = []
"""The code, which lives as long as the process once it is in place."""


def install(library: Library) -> None:
    """Put the code in place, once a process. Raises AcceleratorError for another build of the library."""
    with _lock:
        if _kept:
            return
        if ctypes.string_at(library.address(_RDMSR), len(_RDMSR_CODE)) != _RDMSR_CODE:
            raise AcceleratorError("this build of unicorn has another RDMSR; install the official wheel")
        finder = dynamic.SlotFinder(library.path)
        addresses = {name: library.address(function) for name, function in REPLACED.items()}
        slots = {name: finder.find(function, addresses[name]) for name, function in REPLACED.items()}
        for name, slot in slots.items():
            dynamic.verify(slot, addresses[name], REPLACED[name])
        mapping, base = machinecode.map_code(CODE)
        struct.pack_into("<2Q", mapping, machinecode.PAGE, *addresses.values())
        for name, slot in slots.items():
            c_uint64.from_address(slot).value = base + ENTRIES[name]
        _kept.append(mapping)
